//! The files of the tree in the layout of C2SP `tlog-tiles`: hashes, entries and the checkpoint. They contain only redacted
//! entries, so they can be published as they are.

use super::error::AuditError;
use super::journal::sync_directory;
use super::tree::{Hash, HashReader, TILE_WIDTH, Tree};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the file with the latest checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// The directory of the tiles.
const DIRECTORY: &str = "tile";

/// The level of a tile, or the bundles of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Hashes of this level of tiles.
    Hashes(u32),
    /// Entries.
    Entries,
}

/// The path of a tile below the directory of the log. `width` is the number of hashes or entries in it.
pub(super) fn path(level: Level, index: u64, width: usize) -> PathBuf {
    let mut path = PathBuf::from(DIRECTORY);
    match level {
        Level::Hashes(level) => path.push(level.to_string()),
        Level::Entries => path.push("entries"),
    }
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    path.extend(groups.iter().rev());
    if width < TILE_WIDTH {
        path.as_mut_os_string().push(".p");
        path.push(width.to_string());
    }
    path
}

/// The number of hashes of a tile at this size of the tree; zero if there is no such tile.
pub(super) fn width_at(size: u64, level: Level, index: u64) -> usize {
    let shift = match level {
        Level::Hashes(level) => 8 * level,
        Level::Entries => 0,
    };
    let hashes = size.checked_shr(shift).unwrap_or(0);
    let start = index.saturating_mul(TILE_WIDTH as u64);
    usize::try_from(hashes.saturating_sub(start)).unwrap_or(usize::MAX).min(TILE_WIDTH)
}

/// Reads a tile of the tree of this size: the file of its width, or a wider one, which begins with the same bytes.
pub(super) fn read(directory: &Path, level: Level, index: u64, size: u64) -> io::Result<Vec<u8>> {
    let width = width_at(size, level, index);
    match fs::read(directory.join(path(level, index, width))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && width < TILE_WIDTH => {
            fs::read(directory.join(path(level, index, TILE_WIDTH))).map_err(|_| error)
        }
        read => read,
    }
}

/// Splits the bytes of a tile into its hashes.
pub(super) fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks(size_of::<Hash>()).filter_map(|hash| hash.try_into().ok()).collect()
}

/// Splits the bytes of a bundle into its entries; `None` if it is malformed.
pub(super) fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(TILE_WIDTH);
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// Appends an entry to a bundle.
pub(super) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    bundle.extend(u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
    bundle.extend(entry);
}

/// Reads the hashes of the tree of one size from its files.
pub(super) struct TileReader<'a> {
    pub(super) directory: &'a Path,
    pub(super) size: u64,
}

impl HashReader for TileReader<'_> {
    type Error = AuditError;

    fn hashes(&mut self, level: u32, index: u64, count: usize) -> Result<Vec<Hash>, AuditError> {
        let (tile, start) = (index / TILE_WIDTH as u64, index % TILE_WIDTH as u64);
        let level = Level::Hashes(level);
        let file = self.directory.join(path(level, tile, width_at(self.size, level, tile)));
        let bytes = read(self.directory, level, tile, self.size);
        let hashes = hashes(&bytes.map_err(|source| AuditError::io("read", &file, source))?);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let found = start.checked_add(count).and_then(|end| hashes.get(start..end)).map(<[Hash]>::to_vec);
        found.ok_or_else(|| AuditError::io("read", &file, io::ErrorKind::UnexpectedEof.into()))
    }
}

/// Reads the tree of this size from its files; `None` if one is missing or too short.
pub(super) fn read_tree(directory: &Path, size: u64) -> Option<(Tree, Vec<u8>)> {
    let mut edge = Vec::new();
    for level in 0.. {
        let hashes_of_level = size.checked_shr(8 * level).unwrap_or(0);
        if hashes_of_level == 0 {
            break;
        }
        let (index, width) = (hashes_of_level >> 8, width_at(size, Level::Hashes(level), hashes_of_level >> 8));
        let tile = match width {
            0 => Vec::new(),
            width => hashes(&read(directory, Level::Hashes(level), index, size).ok()?).get(..width)?.to_vec(),
        };
        edge.push(tile);
    }
    let width = width_at(size, Level::Entries, size >> 8);
    let mut bundle = Vec::new();
    if width > 0 {
        let bytes = read(directory, Level::Entries, size >> 8, size).ok()?;
        entries(&bytes)?.get(..width)?.iter().for_each(|entry| push_entry(&mut bundle, entry));
    }
    Some((Tree::from_edge(size, edge), bundle))
}

/// Writes files of tiles. They are not on disk for certain before [`sync`].
pub(super) struct TileWriter<'a> {
    directory: &'a Path,
    written: Vec<PathBuf>,
}

impl<'a> TileWriter<'a> {
    pub(super) const fn new(directory: &'a Path) -> Self {
        Self { directory, written: Vec::new() }
    }

    /// Writes a tile, and removes the narrower tiles that a full one replaces.
    pub(super) fn write(&mut self, level: Level, index: u64, width: usize, bytes: &[u8]) -> Result<(), AuditError> {
        let path = self.directory.join(path(level, index, width));
        let parent = path.parent().unwrap_or(self.directory);
        if !parent.is_dir() {
            fs::create_dir_all(parent).map_err(|source| AuditError::io("create", parent, source))?;
        }
        replace(&path, bytes, |_| Ok(()))?;
        if width == TILE_WIDTH {
            let mut narrower = path.clone().into_os_string();
            narrower.push(".p");
            let _ = fs::remove_dir_all(narrower);
        }
        self.written.push(path);
        Ok(())
    }

    /// The files that were written.
    pub(super) fn into_written(self) -> Vec<PathBuf> {
        self.written
    }
}

/// Waits until these files below a directory are on disk.
pub(super) fn sync(directory: &Path, files: &[PathBuf]) -> Result<(), AuditError> {
    let mut parents = BTreeSet::new();
    for path in files {
        let error = |source| AuditError::io("sync", path, source);
        match File::open(path) {
            // A wider one has replaced it.
            Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.and_then(|file| file.sync_all()).map_err(error)?,
        }
        // Directories that were created are names in those above them.
        parents.extend(path.ancestors().skip(1).take_while(|parent| parent.starts_with(directory)));
    }
    parents.into_iter().try_for_each(sync_directory)
}

/// Replaces a file in one step: a reader sees the old content or the new one. `finish` is called before.
fn replace(path: &Path, bytes: &[u8], finish: impl FnOnce(&File) -> io::Result<()>) -> Result<(), AuditError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        finish(&file)
    };
    let written = write().map_err(|source| AuditError::io("write", &temporary, source));
    let renamed =
        written.and_then(|()| fs::rename(&temporary, path).map_err(|source| AuditError::io("replace", path, source)));
    renamed.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Replaces a file in one step, which a power failure does not undo in part.
pub(super) fn replace_synced(path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
    replace(path, bytes, File::sync_all)?;
    path.parent().map_or(Ok(()), sync_directory)
}

#[cfg(test)]
mod tests {
    use super::{Level, entries, path, push_entry, sync, width_at};
    use std::fs;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        for (level, index, width, text) in [
            (Level::Hashes(0), 0, 256, "tile/0/000"),
            (Level::Hashes(1), 273, 256, "tile/1/273"),
            (Level::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (Level::Entries, 999, 12, "tile/entries/999.p/12"),
            (Level::Entries, 1000, 255, "tile/entries/x001/000.p/255"),
        ] {
            assert_eq!(path(level, index, width).to_str(), Some(text));
        }
    }

    #[test]
    fn sync_leaves_out_files_that_were_replaced_and_reports_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let (existing, missing) = (directory.path().join("000"), directory.path().join("000.p/1"));
        fs::write(&existing, "hashes").expect("a file");
        sync(directory.path(), &[existing.clone(), missing]).expect("what is there is synced");
        // No file can be below a file.
        assert!(sync(directory.path(), &[existing.join("1")]).is_err());
    }

    #[test]
    fn width_counts_hashes_of_complete_subtrees() {
        for (size, level, index, width) in [
            (0, 0, 0, 0),
            (255, 0, 0, 255),
            (256, 0, 0, 256),
            (256, 0, 1, 0),
            (256, 1, 0, 1),
            (70_000, 0, 273, 112),
            (70_000, 1, 1, 17),
            (70_000, 2, 0, 1),
            (70_000, 3, 0, 0),
        ] {
            assert_eq!(width_at(size, Level::Hashes(level), index), width, "{size} {level} {index}");
        }
    }

    #[test]
    fn bundle_is_split_into_its_entries() {
        let mut bundle = Vec::new();
        let long = vec![b'x'; 65_535];
        for entry in [&b"a"[..], b"", &long] {
            push_entry(&mut bundle, entry);
        }
        assert_eq!(entries(&bundle), Some(vec![&b"a"[..], b"", &long]));
        assert_eq!(entries(&bundle[..bundle.len() - 1]), None);
    }
}
