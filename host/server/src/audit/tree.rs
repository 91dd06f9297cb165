//! The Merkle tree of RFC 6962, section 2.1, over the entries of the log, in tiles of 256 hashes (C2SP `tlog-tiles`).
//!
//! An own implementation, because the published crates do not fit: `tlog_tiles` and `signed_note` have had no release since
//! April 2025, and add second implementations of Ed25519 and SHA-256 to the server. The tests compare it with the
//! recursive definition of the RFC.

use aws_lc_rs::digest::{SHA256, digest};

/// The hash of a node.
pub(super) type Hash = [u8; 32];

/// The number of hashes in a tile, and of entries in a bundle.
pub(super) const TILE_WIDTH: usize = 256;

/// Levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// Computes the SHA-256 digest of these bytes, one part after another.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    hash
}

/// The hash of an entry.
pub(super) fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of a node with these children.
pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root of the empty tree.
fn empty_root() -> Hash {
    sha256(&[])
}

/// The largest power of two that is less than `size`, which must be at least 2.
const fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// A tree that grows. It contains the hashes of the tiles that are not full, so its size does not depend on the log's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    size: u64,
    /// The hashes of the last tile of each level of tiles, less than 256 each.
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// Creates a tree of this size from the hashes of the last tile of each level.
    pub(super) const fn from_edge(size: u64, edge: Vec<Vec<Hash>>) -> Self {
        Self { size, edge }
    }

    /// The number of entries.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the last tile of each level, which is empty if all tiles of the level are full.
    pub(super) fn edge(&self) -> &[Vec<Hash>] {
        &self.edge
    }

    /// Appends an entry. Calls `full` with the level, the index and the hashes of each tile that it completes.
    ///
    /// # Errors
    /// The first error of `full`. Then the tree must no longer be used.
    pub(super) fn push<E>(
        &mut self,
        leaf: Hash,
        mut full: impl FnMut(u32, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if self.edge.len() == level {
                self.edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(tile) = self.edge.get_mut(level) else { return Ok(()) };
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return Ok(());
            }
            let height = u32::try_from(level).unwrap_or(u32::MAX);
            let index = (self.size >> (TILE_HEIGHT * (height + 1))) - 1;
            full(height, index, tile)?;
            hash = root_of(tile);
            tile.clear();
            level += 1;
        }
    }

    /// The root.
    pub(super) fn root(&self) -> Hash {
        // The roots of the complete subtrees from left to right, each smaller than the one before it.
        let mut subtrees = Vec::new();
        for tile in self.edge.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (subtree, further) = rest.split_at(1 << rest.len().ilog2());
                subtrees.push(root_of(subtree));
                rest = further;
            }
        }
        subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

/// The root over the hashes of subtrees of equal size, of which there must be a power of two.
pub(super) fn root_of(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                _ => None,
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(empty_root)
}

/// Reads hashes of tiles.
pub(super) trait HashReader {
    /// Why a hash cannot be read.
    type Error;

    /// Reads `count` hashes of a level of tiles from this index on. They are in one tile.
    fn hashes(&mut self, level: u32, index: u64, count: usize) -> Result<Vec<Hash>, Self::Error>;
}

/// The root of the entries from `start` to `end`, a subtree of RFC 6962.
fn subtree<R: HashReader>(reader: &mut R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let size = end - start;
    if size.is_power_of_two() && start.is_multiple_of(size) {
        let height = size.trailing_zeros();
        let (level, in_tile) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let hashes = reader.hashes(level, start >> (TILE_HEIGHT * level), 1 << in_tile)?;
        return Ok(root_of(&hashes));
    }
    let middle = start + split(size);
    Ok(node_hash(&subtree(reader, start, middle)?, &subtree(reader, middle, end)?))
}

/// The inclusion proof of an entry in the tree of this size (RFC 6962, section 2.1.1): from the leaf to the root.
pub(super) fn inclusion_proof<R: HashReader>(reader: &mut R, index: u64, size: u64) -> Result<Vec<Hash>, R::Error> {
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(subtree(reader, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree(reader, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2); `None` if it has another length than a proof of
/// this entry has.
pub(super) fn root_from_proof(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::{Hash, HashReader, Tree, empty_root, inclusion_proof, leaf_hash, node_hash, root_from_proof, split};
    use proptest::prelude::{any, prop, proptest};
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    /// The definition of RFC 6962, section 2.1.
    fn defined_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            leaves => {
                let middle = usize::try_from(split(leaves.len() as u64)).expect("small");
                node_hash(&defined_root(&leaves[..middle]), &defined_root(&leaves[middle..]))
            }
        }
    }

    /// The definition of RFC 6962, section 2.1.1.
    fn defined_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let middle = usize::try_from(split(leaves.len() as u64)).expect("small");
        let (left, right) = leaves.split_at(middle);
        if index < middle {
            [defined_path(index, left), vec![defined_root(right)]].concat()
        } else {
            [defined_path(index - middle, right), vec![defined_root(left)]].concat()
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(index.to_string().as_bytes())).collect()
    }

    /// The tiles of a tree.
    #[derive(Default)]
    struct Tiles(BTreeMap<(u32, u64), Vec<Hash>>);

    impl Tiles {
        fn grow(leaves: &[Hash]) -> (Self, Tree) {
            let (mut tiles, mut tree) = (Self::default(), Tree::default());
            for leaf in leaves {
                let full = |level, index, hashes: &[Hash]| {
                    assert_eq!(hashes.len(), 256);
                    assert!(tiles.0.insert((level, index), hashes.to_vec()).is_none(), "a tile is completed once");
                    Ok::<_, Infallible>(())
                };
                tree.push(*leaf, full).expect("infallible");
            }
            for (level, hashes) in (0..).zip(tree.edge()) {
                tiles.0.insert((level, tree.size() >> (8 * (level + 1))), hashes.clone());
            }
            (tiles, tree)
        }
    }

    impl HashReader for Tiles {
        type Error = String;

        fn hashes(&mut self, level: u32, index: u64, count: usize) -> Result<Vec<Hash>, String> {
            let tile = self.0.get(&(level, index / 256)).ok_or("no such tile")?;
            let start = usize::try_from(index % 256).expect("small");
            Ok(tile.get(start..start + count).ok_or("not in the tile")?.to_vec())
        }
    }

    #[test]
    fn root_of_known_trees_is_that_of_rfc_6962() {
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(Tree::default().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn root_is_that_of_the_definition_at_every_size() {
        let leaves = leaves(1100);
        let mut tree = Tree::default();
        for (index, leaf) in leaves.iter().enumerate() {
            tree.push(*leaf, |_, _, _| Ok::<_, Infallible>(())).expect("infallible");
            assert_eq!(tree.root(), defined_root(&leaves[..=index]), "{index}");
        }
    }

    #[test]
    fn third_level_of_tiles_is_filled() {
        let leaves = leaves(256 * 256 + 300);
        let (mut tiles, tree) = Tiles::grow(&leaves);
        assert_eq!(tree.root(), defined_root(&leaves));
        let proof = inclusion_proof(&mut tiles, 65_000, tree.size()).expect("the tiles are complete");
        assert_eq!(proof, defined_path(65_000, &leaves));
    }

    proptest! {
        #[test]
        fn proofs_are_those_of_the_definition(size in 1_usize..1500, position in any::<prop::sample::Index>()) {
            let leaves = leaves(size);
            let (mut tiles, tree) = Tiles::grow(&leaves);
            let index = position.index(size);
            let proof = inclusion_proof(&mut tiles, index as u64, size as u64).expect("the tiles are complete");
            assert_eq!(proof, defined_path(index, &leaves));
            let root = |index, proof: &[Hash]| root_from_proof(leaves[index], index as u64, size as u64, proof);
            assert_eq!(root(index, &proof), Some(tree.root()));
            for changed in 0..proof.len() {
                let mut changed_proof = proof.clone();
                changed_proof[changed][0] ^= 1;
                assert_ne!(root(index, &changed_proof), Some(tree.root()));
            }
            assert_ne!(root(index, &[proof.clone(), vec![[0; 32]]].concat()), Some(tree.root()));
            if let Some((_, shorter)) = proof.split_last() {
                assert_ne!(root(index, shorter), Some(tree.root()));
            }
            let other = (index + 1) % size;
            assert!(other == index || root(other, &proof) != Some(tree.root()));
        }
    }
}
