//! Compiled policies, kept in a folder for the next start.
//!
//! Compiling takes most of the time of a start, and touches more memory than serving does afterwards. What is kept is
//! machine code, and whoever can write it runs as this process does. So it is read only from a file in a folder that both
//! belong to the user of this process, and that nobody else can write to. A file that is not whole, or of another
//! policy, engine or processor, is as good as none.
#![expect(unsafe_code, reason = "compiled code is run as it is; this module decides where it may come from")]

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A folder of compiled policies.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// Why a folder cannot have compiled policies.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It can be neither used nor made.
    #[error("{}: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others could put code into it.
    #[error("{} belongs to another user, or others can write to it; compiled code is only taken from where they cannot", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
    },
    /// This system does not tell who can write to it.
    #[error("on this system it is not known who can write to {}", folder.display())]
    Unknown {
        /// The folder.
        folder: PathBuf,
    },
}

/// How the names of its files end. Others are left alone.
const ENDING: &str = ".compiled-policy";

/// So many are kept; the oldest goes.
const MOST: usize = 16;

impl Cache {
    /// Uses this folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made, or somebody else could put code into it.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Io { folder: folder.to_owned(), source };
        make(folder).map_err(failed)?;
        match is_ours(&fs::metadata(folder).map_err(failed)?) {
            Some(true) => Ok(Self { folder: folder.to_owned() }),
            Some(false) => Err(CacheError::Open { folder: folder.to_owned() }),
            None => Err(CacheError::Unknown { folder: folder.to_owned() }),
        }
    }

    /// The policy of these bytes, compiled: as it is kept here, or else by this function, and then it is kept.
    pub(super) fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        compile: impl FnOnce() -> wasmtime::Result<Component>,
    ) -> wasmtime::Result<Component> {
        let file = self.folder.join(name(engine, bytes));
        if let Some(kept) = kept(engine, &file) {
            return Ok(kept);
        }
        let compiled = compile()?;
        // Without it the next start takes longer, and nothing else.
        if let Err(error) = compiled.serialize().and_then(|code| Ok(self.keep(&file, &code)?)) {
            tracing::warn!(error = format!("{error:#}"), file = %file.display(), "cannot keep the compiled policy");
        }
        Ok(compiled)
    }

    /// Writes code with its digest, whole or not at all, and makes room for it.
    fn keep(&self, file: &Path, code: &[u8]) -> io::Result<()> {
        let mut part = NamedTempFile::new_in(&self.folder)?;
        part.write_all(digest(&SHA256, code).as_ref())?;
        part.write_all(code)?;
        part.persist(file)?;
        let mut all: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(ENDING) {
                all.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        all.sort();
        let surplus = all.len().saturating_sub(MOST);
        all.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// The name of the file of this policy as this engine compiles it.
fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    let policy: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{policy}-{:016x}{ENDING}", hasher.finish())
}

/// The compiled policy in this file, if there is one that can be believed and used.
fn kept(engine: &Engine, file: &Path) -> Option<Component> {
    let mut opened = File::open(file).ok()?;
    if is_ours(&opened.metadata().ok()?) != Some(true) {
        tracing::warn!(file = %file.display(), "others can write this compiled policy; it is compiled anew");
        return None;
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes).ok()?;
    let (expected, code) = bytes.split_at_checked(SHA256_OUTPUT_LEN)?;
    if digest(&SHA256, code).as_ref() != expected {
        tracing::warn!(file = %file.display(), "this compiled policy is not whole; it is compiled anew");
        return None;
    }
    // SAFETY: the bytes must be what `Component::serialize` gave. Only this user can have written them, into a folder that
    // nobody else can write to, and their digest says that they are whole. Whoever else runs as this user can do what
    // this process can anyway. The library itself checks version, settings and processor.
    unsafe { Component::deserialize(engine, code) }.ok()
}

/// Makes the folder, and those that it is in, for this user alone.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Whether it belongs to the user of this process and nobody else can write to it; none where that is not known.
#[cfg(unix)]
fn is_ours(metadata: &fs::Metadata) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    Some(metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & OTHERS_WRITE == 0)
}

#[cfg(not(unix))]
fn is_ours(_: &fs::Metadata) -> Option<bool> {
    None
}
