"""Builds guard.py to the component of a guard: `python build.py OUTPUT`."""

import subprocess
import sys
from pathlib import Path

COMPONENT_HEADER_BYTES = 8
IMPORT_SECTION = 10

directory = Path(__file__).parent
output = Path(sys.argv[1])
compiler = Path(sys.executable).parent / "componentize-py"
options = ["--quiet", "--wit-path", directory.parent / "wit", "--world", "guard"]
subprocess.run(
    [compiler, *options, "componentize", "--stub-wasi", "--python-path", directory, "--output", output, "guard"],
    check=True,
)

component = bytearray(output.read_bytes())
# A section is its id, its length as LEB128, and its content.
at = COMPONENT_HEADER_BYTES
while at < len(component):
    section, length, shift, at = component[at], 0, 0, at + 1
    while True:
        byte = component[at]
        length |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
    end = at + length
    if section == IMPORT_SECTION:
        component[at:end] = component[at:end].replace(b"host:config/store@", b"wasi:config/store@")
    at = end
output.write_bytes(component)
