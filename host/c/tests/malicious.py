"""Plans the tests of malicious policies and guards: python3 tests/malicious.py BUILD >plan

Reads the components and their expectations from the tables of tests/malicious_policies, so that this library is held to
what the Rust library is held to. Writes the text of each component, with its parts, to BUILD/components/, and
prints one test per line, separated by tabs:

    policy|guard  FILE  POLICY-FILE  load|violates|fails|answers  VALUE  RECORD

VALUE is a part of the load error, a part of the violation, the name of a failure, or a status.
"""

import re
import sys
from pathlib import Path

BUILD = Path(sys.argv[1]) / "components"
SOURCES = Path(__file__).resolve().parents[3] / "tests/malicious_policies"

FAILURES = {
    "Trapped": "trap",
    "Sandbox": "trap",
    "CpuTimeLimit": "cpu-time-limit",
    "TooManyCalls": "host-calls",
    "TooManyBytes": "host-call-bytes",
    "FalseSuccess": "false-success",
    "RejectedAfterDeletion": "rejected-after-deletion",
    "InvalidRejection": "invalid-rejection",
}

# What this library does differently, and why.
DIFFERENCES = {
    # A component is instantiated once when it is loaded. That finds these, which the Rust library finds in a request or
    # before it instantiates.
    "spins_in_start_function": ("load", "it exceeded the CPU time limit", "-"),
    "traps_in_start_function": ("load", "`unreachable` instruction executed", "-"),
    "declares_too_many_memories": ("load", "memory count too high", "-"),
    "declares_too_many_core_instances": ("load", "instance count too high", "-"),
    # `max_memories` is a limit of its own here, because the C API limits each memory and not their total.
    "declares_memories_above_total": ("load", "memory count too high", "-"),
    "grows_eight_memories": ("load", "memory count too high", "-"),
    "declares_tables_above_total": ("answers", "204", "deleted"),
    # The C API copies a string before this library can count its bytes; the memory of the component limits the copy.
    "passes_oversized_string": ("fails", "host-call-bytes", "not-deleted"),
    # Other words for the same mismatch.
    "imports_unknown_function": ("load", 'it imports "delete-everything"', "-"),
    "imports_core_module": ("load", 'it imports "code"', "-"),
    "imports_unknown_storage_version": ("load", 'it imports "learnings:plugin/storage@0.2.0"', "-"),
    "is_core_module": ("load", "attempted to parse a wasm module with a component parser", "-"),
}


def expand(text: str) -> str:
    """Replaces every `;; include` line by the part that it names."""
    part = lambda match: expand((SOURCES / "parts" / f"{match[1]}.wat").read_text(encoding="utf-8"))  # noqa: E731
    return re.sub(r"^ *;; include (\S+)$", part, text, flags=re.MULTILINE)


def write(source: Path) -> str:
    target = BUILD / source.relative_to(SOURCES)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(expand(source.read_text(encoding="utf-8")), encoding="utf-8")
    return str(target.with_suffix(".wasm"))


def table(file: str, macro: str) -> list[tuple[str, str, str]]:
    """Returns name, expectation and arguments of each entry."""
    text = (SOURCES / file).read_text(encoding="utf-8")
    body = re.search(rf"^{macro}! {{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)[1]
    entries = re.findall(r"^    (\w+):\s+(\w+)\((.*?)\);$", body, re.MULTILINE)
    if len(entries) != len(re.findall(r"^    \w+:", body, re.MULTILINE)):
        sys.exit(f"{file} has entries that this script cannot read")
    return entries


def record(arguments: str) -> str:
    return {"Deleted": "deleted", "NotDeleted": "not-deleted"}[arguments.rsplit(", ", 1)[1]]


def plan(name: str, expectation: str, arguments: str, text: str) -> tuple[str, str, str]:
    if name in DIFFERENCES:
        return DIFFERENCES[name]
    if wasi := re.search(r'\(import "(wasi:[^"]+)"', text):
        return "load", f'it imports "{wasi[1]}"', "-"
    if expectation == "fails_to_load":
        # The part of the message that all hosts have in common.
        return "load", re.search(r'"(.*)"$', arguments)[1], "-"
    if expectation == "violates":
        return "violates", re.search(r'"(.*)"', arguments)[1], record(arguments)
    if expectation == "fails":
        return "fails", FAILURES[re.search(r"PolicyError::(\w+)", arguments)[1]], record(arguments)
    if expectation == "answers":
        status = arguments.rsplit(", ", 1)[1]
        return "answers", status, "deleted" if status == "204" else "not-deleted"
    return "answers", "204", "deleted"


def main() -> None:
    policies = {"deletes": "default", "finds": write(SOURCES / "probes/finds.wat"),
                "deletes_twice_policy": write(SOURCES / "deletes_twice.wat")}
    write(SOURCES / "guards/forwards.wat")
    unused = set(DIFFERENCES)
    for kind, file, macro in [("policy", "mod.rs", "malicious_policies"), ("guard", "guards.rs", "malicious_guards")]:
        for name, expectation, arguments in table(file, macro):
            component = write(SOURCES / ("guards" if kind == "guard" else "") / f"{name}.wat")
            planned = plan(name, expectation, arguments, Path(component).with_suffix(".wat").read_text("utf-8"))
            unused.discard(name)
            front = policies.get(arguments.split(",")[0], "default")
            print(kind, component, front, *planned, sep="\t")
    if unused:
        sys.exit(f"unused differences: {unused}")


main()
