//! Verifies a log: journal, bundles and tiles against signed checkpoints. Names the first entry that is wrong.

use super::error::AuditError;
use super::event::{Kind, MAX_ENTRY_BYTES};
use super::journal::{self, JournalReader, Next};
use super::note::{Checkpoint, PublicKey};
use super::tiles::{self, CHECKPOINT, Level, hashes, path, width_at};
use super::tree::{Hash, TILE_WIDTH, Tree, leaf_hash};
use super::{Entry, Values};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The index of the first entry that is wrong, if one can be named.
    pub entry: Option<u64>,
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = self.entry {
            write!(formatter, "entry {entry}: ")?;
        }
        write!(formatter, "{}: {}", self.file.display(), self.problem)
    }
}

/// A log that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The entries.
    pub entries: u64,
    /// The latest checkpoint of the log, which covers the entries before its size.
    pub checkpoint: Checkpoint,
    /// Decisions that deleted their record.
    pub deletions: u64,
    /// Decisions that did not.
    pub other_decisions: u64,
    /// Intents that a crash left open and that were closed with what the database showed.
    pub interrupted: u64,
    /// Intents that are open.
    pub open_intents: u64,
    /// Decisions that were not recorded, because they exceeded their share of the space.
    pub dropped: u64,
    /// Entries of which at least one value was erased.
    pub erased: u64,
    /// Whether bytes follow the last line: it is being written, or it is torn.
    pub is_last_line_incomplete: bool,
}

/// How many of the entries were verified.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Verified entries.
    pub done: u64,
    /// All entries of the latest checkpoint.
    pub total: u64,
}

/// Verifies a log against its latest checkpoint, which one of these keys signed, and against checkpoints that were stored
/// elsewhere, with the names of their files. Returns what is wrong as a [`Finding`].
///
/// Without a journal it verifies the tiles and the entries in them: a copy of what can be published.
///
/// # Errors
/// [`AuditError`] if a file cannot be read.
pub fn verify(
    directory: &Path,
    keys: &[PublicKey],
    stored: &[(PathBuf, String)],
    progress: &mut dyn FnMut(Progress),
) -> Result<Result<Report, Finding>, AuditError> {
    let mut verifier = match Verifier::new(directory, keys, stored)? {
        Ok(verifier) => verifier,
        Err(finding) => return Ok(Err(finding)),
    };
    verifier.check_tiles()?;
    Ok(match verifier.check_entries(progress)? {
        Ok(()) => verifier.conclude(),
        Err(finding) => Err(finding),
    })
}

/// A checkpoint that was stored elsewhere.
struct Stored {
    file: PathBuf,
    checkpoint: Checkpoint,
}

struct Verifier<'a> {
    directory: &'a Path,
    checkpoint: Checkpoint,
    stored: Vec<Stored>,
    /// What is wrong with the hashes in the tiles; `None` if they lead to the root of the checkpoint.
    tiles: Option<Finding>,
    /// The tree of the entries.
    tree: Tree,
    /// The roots of the entries at the sizes of the checkpoints.
    roots: BTreeMap<u64, Hash>,
    /// The first entry that is not the one in its tile, although the tiles are wrong themselves.
    difference: Option<u64>,
    /// The first entry that is wrong in its bundle.
    bundles: Option<Finding>,
    /// The hashes and the bundle of 256 entries.
    block: Option<Block>,
    open: HashSet<String>,
    report: Report,
}

struct Block {
    index: u64,
    hashes: Vec<Hash>,
    bundle: Result<Vec<u8>, Finding>,
}

impl Block {
    /// The entry in the bundle.
    fn entry(&self, index: u64) -> Result<&[u8], String> {
        let bundle = self.bundle.as_ref().map_err(|finding| finding.problem.clone())?;
        let entries = tiles::entries(bundle).ok_or_else(|| "the bundle is malformed".to_owned())?;
        entries.get(position(index)).copied().ok_or_else(|| "it is missing in the bundle".to_owned())
    }
}

/// The position of an entry in its tile.
fn position(index: u64) -> usize {
    usize::try_from(index % TILE_WIDTH as u64).unwrap_or(usize::MAX)
}

impl<'a> Verifier<'a> {
    fn new(
        directory: &'a Path,
        keys: &[PublicKey],
        stored: &[(PathBuf, String)],
    ) -> Result<Result<Self, Finding>, AuditError> {
        let file = PathBuf::from(CHECKPOINT);
        let finding = |file: &Path, problem: String| Finding { entry: None, file: file.to_owned(), problem };
        // Fails without the directory, so that a wrong path is not taken for a log without a checkpoint.
        fs::read_dir(directory).map_err(|source| AuditError::io("list", directory, source))?;
        let Ok(note) = fs::read_to_string(directory.join(CHECKPOINT)) else {
            let problem =
                "there is no checkpoint, so nothing proves the log; the server writes one at intervals and at its end";
            return Ok(Err(finding(&file, problem.to_owned())));
        };
        let checkpoint = match Checkpoint::open(&note, keys) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return Ok(Err(finding(&file, error.to_string()))),
        };
        let mut opened = Vec::new();
        for (file, note) in stored {
            match Checkpoint::open(note, keys) {
                Ok(checkpoint) => opened.push(Stored { file: file.clone(), checkpoint }),
                Err(error) => return Ok(Err(finding(file, error.to_string()))),
            }
        }
        opened.sort_unstable_by_key(|stored| stored.checkpoint.size);
        Ok(Ok(Self::of(directory, checkpoint, opened)))
    }

    fn of(directory: &'a Path, checkpoint: Checkpoint, stored: Vec<Stored>) -> Self {
        let report = Report {
            entries: 0,
            checkpoint: checkpoint.clone(),
            deletions: 0,
            other_decisions: 0,
            interrupted: 0,
            open_intents: 0,
            dropped: 0,
            erased: 0,
            is_last_line_incomplete: false,
        };
        let roots = std::iter::once((0, Tree::default().root())).collect();
        Self {
            directory,
            checkpoint,
            stored,
            tiles: None,
            tree: Tree::default(),
            roots,
            difference: None,
            bundles: None,
            block: None,
            open: HashSet::new(),
            report,
        }
    }

    /// Whether the hashes in the tiles lead to the root of the checkpoint. If they do, they are those of its entries.
    fn check_tiles(&mut self) -> Result<(), AuditError> {
        let size = self.checkpoint.size;
        let mut tree = Tree::default();
        let mut problem = None;
        for index in 0..size.div_ceil(TILE_WIDTH as u64) {
            let leaves = match self.read_tile(Level::Hashes(0), index) {
                Ok(bytes) => hashes(&bytes),
                Err(finding) => {
                    self.tiles = Some(finding);
                    return Ok(());
                }
            };
            for leaf in leaves.into_iter().take(width_at(size, Level::Hashes(0), index)) {
                tree.push(leaf, |level, index, expected| {
                    if level > 0 {
                        problem = problem.take().or_else(|| self.check_tile(level, index, expected));
                    }
                    Ok::<_, AuditError>(())
                })?;
            }
        }
        for (level, expected) in (0..).zip(tree.edge()).skip(1) {
            if !expected.is_empty() {
                let index = size >> (8 * (level + 1));
                problem = problem.take().or_else(|| self.check_tile(level, index, expected));
            }
        }
        let is_root = tree.root() == self.checkpoint.root && tree.size() == size;
        let mismatch = || Finding {
            entry: None,
            file: PathBuf::from(CHECKPOINT),
            problem: "the hashes in the tiles do not lead to its root".to_owned(),
        };
        self.tiles = if is_root { problem } else { Some(problem.unwrap_or_else(mismatch)) };
        Ok(())
    }

    /// Checks a tile above the lowest level.
    fn check_tile(&self, level: u32, index: u64, expected: &[Hash]) -> Option<Finding> {
        match self.read_tile(Level::Hashes(level), index) {
            Ok(bytes) if hashes(&bytes).starts_with(expected) => None,
            Ok(_) => {
                let file = path(Level::Hashes(level), index, expected.len());
                let problem = "it has other hashes than the tiles below it lead to".to_owned();
                Some(Finding { entry: None, file, problem })
            }
            Err(finding) => Some(finding),
        }
    }

    fn read_tile(&self, level: Level, index: u64) -> Result<Vec<u8>, Finding> {
        let size = self.checkpoint.size;
        let width = width_at(size, level, index);
        let file = path(level, index, width);
        let first = match level {
            Level::Hashes(0) | Level::Entries => Some(index * TILE_WIDTH as u64),
            Level::Hashes(_) => None,
        };
        match tiles::read(self.directory, level, index, size) {
            Ok(bytes) if level == Level::Entries || bytes.len() >= width * size_of::<Hash>() => Ok(bytes),
            Ok(bytes) => Err(Finding { entry: first, file, problem: format!("it has {} bytes", bytes.len()) }),
            Err(error) => Err(Finding { entry: first, file, problem: format!("cannot be read: {error}") }),
        }
    }

    fn check_entries(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Result<(), Finding>, AuditError> {
        let has_journal = self.directory.join(journal::DIRECTORY).is_dir();
        let first =
            if has_journal { journal::segments(self.directory)?.first().map(|segment| segment.first) } else { None };
        // Entries whose file of the journal was moved away are still in the bundles.
        let bundled = if has_journal { first.unwrap_or(0) } else { self.checkpoint.size };
        for index in 0..bundled {
            if let Err(finding) = self.check_bundled(index) {
                return Ok(Err(finding));
            }
            self.report_progress(progress);
        }
        if !has_journal {
            return Ok(Ok(()));
        }
        let mut reader = JournalReader::open(self.directory, bundled)?;
        loop {
            let mut can_be_torn = false;
            let (index, problem) = match reader.next_line()? {
                Next::End => return Ok(Ok(())),
                Next::Line(line) => match self.check_entry(line.index, line.entry, Some(line.values)) {
                    Ok(()) => {
                        self.report_progress(progress);
                        continue;
                    }
                    Err(problem) => (line.index, problem),
                },
                Next::Malformed { index, .. } => (index, "the line is not an entry and its values".to_owned()),
                Next::Incomplete { index, .. } => {
                    can_be_torn = index >= self.checkpoint.size;
                    (index, "the line has no end".to_owned())
                }
                Next::Gap { index, next } => {
                    (index, format!("the next file begins with entry {next}: entries are missing or repeated"))
                }
            };
            if can_be_torn && reader.is_in_last_file() {
                self.report.is_last_line_incomplete = true;
                return Ok(Ok(()));
            }
            let file = reader
                .segment()
                .map_or_else(|| PathBuf::from(journal::DIRECTORY), |segment| self.relative(&segment.path));
            return Ok(Err(Finding { entry: Some(index), file, problem }));
        }
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.directory).unwrap_or(path).to_owned()
    }

    fn report_progress(&self, progress: &mut dyn FnMut(Progress)) {
        if self.tree.size().is_multiple_of(4096) {
            progress(Progress { done: self.tree.size(), total: self.checkpoint.size });
        }
    }

    /// Checks an entry that only its bundle has.
    fn check_bundled(&mut self, index: u64) -> Result<(), Finding> {
        let file = self.bundle_path(index);
        let entry = self.load_block(index >> 8)?.entry(index).map(<[u8]>::to_vec);
        let checked = match entry {
            Ok(entry) => self.check_entry(index, &entry, None),
            Err(problem) => Err(problem),
        };
        checked.map_err(|problem| Finding { entry: Some(index), file, problem })
    }

    /// The path of the bundle with an entry.
    fn bundle_path(&self, index: u64) -> PathBuf {
        path(Level::Entries, index >> 8, width_at(self.checkpoint.size, Level::Entries, index >> 8))
    }

    /// The hashes and the entries of a block of 256 entries of the checkpoint.
    fn load_block(&mut self, index: u64) -> Result<&Block, Finding> {
        if self.block.as_ref().is_none_or(|block| block.index != index) {
            // That a tile cannot be read was found before, and is reported once all entries are read.
            let hashes = self.read_tile(Level::Hashes(0), index).map(|bytes| hashes(&bytes)).unwrap_or_default();
            let bundle = self.read_tile(Level::Entries, index);
            self.block = Some(Block { index, hashes, bundle });
        }
        let missing = || Finding { entry: None, file: PathBuf::new(), problem: "a tile is missing".to_owned() };
        self.block.as_ref().ok_or_else(missing)
    }

    /// Checks the bytes of an entry. Returns what is wrong.
    fn check_entry(&mut self, index: u64, entry: &[u8], values: Option<&[u8]>) -> Result<(), String> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err("it is too long".to_owned());
        }
        let hash = leaf_hash(entry);
        if index < self.checkpoint.size {
            let block = self.load_block(index >> 8).map_err(|finding| finding.to_string())?;
            let in_bundle = block.entry(index).and_then(|bundled| {
                if bundled == entry { Ok(()) } else { Err("it is another one than in the journal".to_owned()) }
            });
            if block.hashes.get(position(index)) != Some(&hash) {
                if self.tiles.is_none() {
                    return Err("it is not the entry that the checkpoint contains".to_owned());
                }
                self.difference = self.difference.or(Some(index));
            }
            if let Err(problem) = in_bundle
                && self.bundles.is_none()
            {
                self.bundles = Some(Finding { entry: Some(index), file: self.bundle_path(index), problem });
            }
        }
        self.tree.push(hash, |_, _, _| Ok::<_, std::convert::Infallible>(())).unwrap_or_default();
        let size = self.tree.size();
        if size == self.checkpoint.size || self.stored.iter().any(|stored| stored.checkpoint.size == size) {
            self.roots.insert(size, self.tree.root());
        }
        let parsed: Entry = serde_json::from_slice(entry).map_err(|error| format!("it is malformed: {error}"))?;
        if let Some(values) = values {
            let values: Values = serde_json::from_slice(values).map_err(|_| "its values are malformed".to_owned())?;
            if let Some(name) = values.mismatch(&parsed) {
                return Err(format!("the value of {name} beside it is not the one that it has the digest of"));
            }
            self.report.erased += u64::from(values.is_erased(&parsed));
        }
        self.count(parsed)
    }

    /// Counts an entry, and checks that it follows the entries that it needs.
    fn count(&mut self, entry: Entry) -> Result<(), String> {
        self.report.entries += 1;
        let request_id = entry.request_id.unwrap_or_default();
        match entry.event {
            Kind::Intent => {
                if self.open.insert(request_id) {
                    Ok(())
                } else {
                    Err("it repeats an open intent".to_owned())
                }
            }
            Kind::Interrupted => {
                self.report.interrupted += 1;
                if self.open.remove(&request_id) {
                    Ok(())
                } else {
                    Err("it closes an intent that is not open".to_owned())
                }
            }
            Kind::Decision => {
                let has_intent = self.open.remove(&request_id);
                if entry.outcome.as_deref() == Some("deleted") {
                    self.report.deletions += 1;
                    if !has_intent {
                        return Err("it is a deletion without an open intent".to_owned());
                    }
                } else {
                    self.report.other_decisions += 1;
                }
                Ok(())
            }
            Kind::Dropped => {
                self.report.dropped += entry.count.unwrap_or(0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Where the first changed entry is, as far as checkpoints prove it. Journal, bundles and tiles that were changed alike
    /// agree with each other, so that nothing else in the directory does.
    fn locate_change(&self) -> String {
        let own = (self.checkpoint.size, self.checkpoint.root);
        let stored = self.stored.iter().map(|stored| (stored.checkpoint.size, stored.checkpoint.root));
        let mut checkpoints: Vec<(u64, Hash)> = stored.chain([own]).collect();
        checkpoints.sort_unstable_by_key(|(size, _)| *size);
        let is_contained = |(size, root): &(u64, Hash)| self.roots.get(size) == Some(root);
        let contained = checkpoints.iter().take_while(|checkpoint| is_contained(checkpoint)).last();
        let first = contained.map_or(0, |(size, _)| *size);
        let last = checkpoints.iter().find(|checkpoint| !is_contained(checkpoint)).map_or(own.0, |(size, _)| *size);
        if first == 0 {
            let earlier =
                if self.stored.is_empty() { "checkpoints that were stored elsewhere" } else { "earlier checkpoints" };
            return format!(
                "the first changed entry is before entry {last} and cannot be located, because all files of the log agree with each \
                 other: {earlier} narrow it (--checkpoint FILE)"
            );
        }
        format!("the first changed entry is between entry {first} and entry {}", last.saturating_sub(1))
    }

    /// Compares the roots of the entries with the checkpoints.
    fn conclude(mut self) -> Result<Report, Finding> {
        let (size, root) = (self.checkpoint.size, self.checkpoint.root);
        if self.tree.size() < size {
            let problem = format!("the end of the journal is cut off: the checkpoint has {size} entries");
            return Err(Finding { entry: Some(self.tree.size()), file: journal::DIRECTORY.into(), problem });
        }
        let is_root = self.roots.get(&size) == Some(&root);
        match (is_root, self.tiles.take(), self.difference) {
            (true, None, _) => {}
            (true, Some(finding), None) => return Err(finding),
            (true, Some(_), Some(index)) => {
                let file = path(Level::Hashes(0), index >> 8, width_at(size, Level::Hashes(0), index >> 8));
                let problem = "its hash is not that of the entry, which the checkpoint contains".to_owned();
                return Err(Finding { entry: Some(index), file, problem });
            }
            (false, _, entry) => {
                let problem = if entry.is_some() {
                    "journal and tiles have different entries, and neither lead to its root".to_owned()
                } else {
                    format!(
                        "the {size} entries do not lead to its root: it was replaced, or every copy of an entry was changed alike; {}",
                        self.locate_change()
                    )
                };
                return Err(Finding { entry, file: CHECKPOINT.into(), problem });
            }
        }
        if let Some(finding) = self.bundles {
            return Err(finding);
        }
        for Stored { file, checkpoint } in &self.stored {
            let (entry, problem) = match self.roots.get(&checkpoint.size) {
                None => {
                    let problem = format!(
                        "it has {} entries and the log only {}: the end of the log was cut off",
                        checkpoint.size,
                        self.tree.size()
                    );
                    (Some(self.tree.size()), problem)
                }
                Some(root) if *root != checkpoint.root => {
                    let problem = format!(
                        "the first {} entries of the log are not those that it has; {}",
                        checkpoint.size,
                        self.locate_change()
                    );
                    (None, problem)
                }
                Some(_) if checkpoint.size > size => {
                    let problem = format!(
                        "it has {} entries, and the checkpoint of the log was replaced by one of {size}",
                        checkpoint.size
                    );
                    (None, problem)
                }
                Some(_) => continue,
            };
            return Err(Finding { entry, file: file.clone(), problem });
        }
        self.report.open_intents = self.open.len() as u64;
        Ok(self.report)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKPOINT, Checkpoint, MAX_ENTRY_BYTES, Tree, Verifier};
    use crate::audit::tiles::{Level, TileWriter};
    use crate::audit::tree::{Hash, leaf_hash};
    use std::fs;
    use std::path::Path;

    /// More entries than a full tile of the level above the lowest one covers.
    const SIZE: u64 = 66_000;

    fn write(tiles: &mut TileWriter<'_>, level: u32, index: u64, hashes: &[Hash]) {
        let written = tiles.write(Level::Hashes(level), index, hashes.len(), hashes.as_flattened());
        written.expect("a tile");
    }

    /// Writes the tiles of a tree, and returns its checkpoint.
    fn checkpoint(directory: &Path) -> Checkpoint {
        let (mut tree, mut tiles) = (Tree::default(), TileWriter::new(directory));
        for entry in 0..SIZE {
            let pushed = tree.push(leaf_hash(&entry.to_be_bytes()), |level, index, hashes| {
                write(&mut tiles, level, index, hashes);
                Ok::<_, ()>(())
            });
            pushed.expect("a leaf");
        }
        for (level, hashes) in (0..).zip(tree.edge()).filter(|(_, hashes)| !hashes.is_empty()) {
            write(&mut tiles, level, SIZE >> (8 * (level + 1)), hashes);
        }
        Checkpoint { origin: "example.com/log".to_owned(), size: SIZE, root: tree.root() }
    }

    #[test]
    fn tile_of_every_level_is_checked() {
        let directory = tempfile::tempdir().expect("a directory");
        let checkpoint = checkpoint(directory.path());
        let check = || {
            let mut verifier = Verifier::of(directory.path(), checkpoint.clone(), Vec::new());
            verifier.check_tiles().expect("the tiles are read");
            verifier.tiles
        };
        assert_eq!(check(), None);
        // A changed hash shows in the tile above it, or at the root if its own tile is not full.
        for (file, finding) in [
            ("tile/0/001", "tile/1/000"),
            ("tile/0/257.p/208", CHECKPOINT),
            ("tile/1/000", "tile/1/000"),
            ("tile/1/001.p/1", "tile/1/001.p/1"),
            ("tile/2/000.p/1", "tile/2/000.p/1"),
        ] {
            let path = directory.path().join(file);
            let bytes = fs::read(&path).expect("a tile");
            let mut changed = bytes.clone();
            changed[7] ^= 1;
            fs::write(&path, changed).expect("the tile is changed");
            let found = check().expect("it was changed");
            assert!(found.file == Path::new(finding) && found.problem.contains("hashes"), "{file}: {found}");
            fs::write(&path, bytes).expect("the tile is restored");
        }
        let path = directory.path().join("tile/0/001");
        fs::write(&path, [0; 100]).expect("the tile is cut off");
        let found = check().expect("it was cut off");
        assert_eq!(found.to_string(), "entry 256: tile/0/001: it has 100 bytes");
    }

    #[test]
    fn entry_has_a_maximum_length() {
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 0, root: Tree::default().root() };
        let mut verifier = Verifier::of(Path::new("."), checkpoint, Vec::new());
        let mut check = |length| verifier.check_entry(0, &vec![b' '; length], None).expect_err("spaces are no entry");
        assert!(check(MAX_ENTRY_BYTES).starts_with("it is malformed"));
        assert_eq!(check(MAX_ENTRY_BYTES + 1), "it is too long");
    }
}
