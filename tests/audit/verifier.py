"""Verifies a published log with aics-tlog: checkpoint, tiles, entries, and earlier checkpoints.

verifier.py log DIRECTORY PUBLIC_KEY_FILE [EARLIER_CHECKPOINT...]
verifier.py receipt RECEIPT PUBLIC_KEY_FILE
"""

import base64
import json
import sys
from pathlib import Path

import aics_tlog as tlog


def open_checkpoint(text, key):
    note = tlog.parse_note(text)
    result = tlog.verify_checkpoint(note, key, expected_origin=key.name)
    if not result.ok:
        sys.exit(f"the checkpoint does not verify: {result.error}")
    return tlog.parse_checkpoint(note.text)


def verify_log(directory, key, earlier):
    checkpoint = open_checkpoint((directory / "checkpoint").read_text(encoding="utf-8"), key)
    reader = tlog.FileSystemTileReader(directory)
    report = tlog.audit_tiles(reader, checkpoint.size, checkpoint.root)
    for text in earlier:
        old = open_checkpoint(text, key)
        if old.size > checkpoint.size:
            sys.exit(f"the log has {checkpoint.size} entries, and an earlier checkpoint {old.size}")
        proof = tlog.consistency_proof_from_tiles(reader, old.size, checkpoint.size)
        if not tlog.verify_consistency(old.size, checkpoint.size, old.root, checkpoint.root, proof):
            sys.exit(f"the log does not contain the first {old.size} entries as they were")
    for index in {0, checkpoint.size // 2, checkpoint.size - 1}:
        entry = tlog.tiles.read_entry(reader, index, checkpoint.size)
        proof = tlog.inclusion_proof_from_tiles(reader, index, checkpoint.size)
        if not tlog.verify_leaf_inclusion(entry, index, checkpoint.size, proof, checkpoint.root):
            sys.exit(f"entry {index} is not in the log")
    print(f"{checkpoint.size} entries, {report.tiles} tiles, {report.bundles} bundles, {len(earlier)} earlier checkpoints")


def verify_receipt(file, key):
    receipt = json.loads(file.read_text(encoding="utf-8"))
    head, note = receipt["proof"].split("\n\n", 1)
    version, index, *hashes = head.split("\n")
    assert version == "c2sp.org/tlog-proof@v1", version
    checkpoint = open_checkpoint(note, key)
    proof = [base64.b64decode(line, validate=True) for line in hashes]
    entry = receipt["entry"].encode()
    index = int(index.removeprefix("index "))
    if not tlog.verify_leaf_inclusion(entry, index, checkpoint.size, proof, checkpoint.root):
        sys.exit("the log does not contain the entry of the receipt")
    print(f"entry {index} of {checkpoint.size}")


def main():
    command, path, key_file, *rest = sys.argv[1:]
    key = tlog.read_vkey_file(Path(key_file).read_text(encoding="utf-8"))
    if command == "log":
        verify_log(Path(path), key, [Path(file).read_text(encoding="utf-8") for file in rest])
    else:
        verify_receipt(Path(path), key)


try:
    main()
except (tlog.TileVerificationError, tlog.TileMissingError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
