//! Compiled policies, cached in a private directory.
//!
//! Compiling takes most of the time of a start. A cached file contains machine code: a user who can write it controls this
//! process. It is read only from a file and a directory that belong to this user and that nobody else can write to, and
//! only if its SHA-256 matches. wasmtime's own cache checks neither: it runs whatever its directory contains. It also adds
//! zstd, and the time of a C compiler, to every build.
#![expect(unsafe_code, reason = "wasmtime runs cached machine code as it is; this module decides where it comes from")]

use crate::error::CacheError;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A directory of compiled policies.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    is_read_only: bool,
}

/// The suffix of cache files. Other files in the directory are left alone.
const SUFFIX: &str = ".compiled-policy";

/// Maximum number of cache files. The least recently used are deleted.
const MAX_FILES: usize = 16;

/// Bytes of a SHA-256 digest, which every cache file starts with.
const DIGEST_BYTES: usize = 32;

impl Cache {
    /// Opens a cache in this directory, which is created with mode 0700 if it does not exist.
    ///
    /// # Errors
    /// [`CacheError`] if the directory cannot be created, or is not private to this user.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let io_error = |source| CacheError::Io { directory: directory.to_owned(), source };
        create_private(directory).map_err(io_error)?;
        match is_private(&fs::metadata(directory).map_err(io_error)?) {
            Some(true) => Ok(Self { directory: directory.to_owned(), is_read_only: false }),
            Some(false) => Err(CacheError::NotPrivate { directory: directory.to_owned() }),
            None => Err(CacheError::Unsupported { directory: directory.to_owned() }),
        }
    }

    /// Uses what is cached, and changes nothing.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// Returns the cached component for these bytes, or compiles and caches it.
    pub(crate) fn get_or_compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        compile: impl FnOnce() -> wasmtime::Result<Component>,
    ) -> wasmtime::Result<Component> {
        let file = self.directory.join(file_name(engine, bytes));
        if let Some(cached) = self.read(engine, &file) {
            return Ok(cached);
        }
        let compiled = compile()?;
        if self.is_read_only {
            return Ok(compiled);
        }
        // A failure costs the next start its compilation, nothing else.
        if let Err(error) = compiled.serialize().and_then(|code| Ok(self.store(&file, &code)?)) {
            tracing::warn!(error = format!("{error:#}"), file = %file.display(), "cannot cache the compiled policy");
        }
        Ok(compiled)
    }

    /// The component in this cache file, if it can be trusted and used.
    fn read(&self, engine: &Engine, file: &Path) -> Option<Component> {
        let mut opened = File::open(file).ok()?;
        if is_private(&opened.metadata().ok()?) != Some(true) {
            tracing::warn!(file = %file.display(), "others can write this compiled policy; compiling it again");
            return None;
        }
        let mut bytes = Vec::new();
        opened.read_to_end(&mut bytes).ok()?;
        let (digest, code) = bytes.split_at_checked(DIGEST_BYTES)?;
        if Sha256::digest(code).as_slice() != digest {
            tracing::warn!(file = %file.display(), "this compiled policy is damaged; compiling it again");
            return None;
        }
        if !self.is_read_only {
            // The modification time is that of the last use. If it cannot be set, the file is only deleted earlier.
            let _ = opened.set_modified(SystemTime::now());
        }
        // SAFETY: `code` must come from `Component::serialize`. Only this user can have written the file, and its digest
        // shows that it is complete. wasmtime itself checks its version, the engine's settings and the processor.
        unsafe { Component::deserialize(engine, code) }.ok()
    }

    /// Writes a cache file atomically, and deletes the least recently used files if there are too many.
    fn store(&self, file: &Path, code: &[u8]) -> io::Result<()> {
        let mut part = NamedTempFile::new_in(&self.directory)?;
        part.write_all(&Sha256::digest(code))?;
        part.write_all(code)?;
        part.persist(file)?;
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(MAX_FILES);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// The name of the cache file for this component and this engine.
fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let component: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{component}-{:016x}{SUFFIX}", hasher.finish())
}

/// Creates the directory and its parents with access for this user alone.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Whether the file belongs to this user and nobody else can write to it; `None` if the system does not report it.
fn is_private(metadata: &fs::Metadata) -> Option<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        const WRITABLE_BY_OTHERS: u32 = 0o022;
        Some(metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & WRITABLE_BY_OTHERS == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}
