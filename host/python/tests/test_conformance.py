"""The conformance cases, on every way to decide."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from delete_learning import Guard, Policy, conformance
from support import FEW, LEGAL_HOLD, ROOT, assembled

DIRECTORY = ROOT / "tests/conformance/cases"


def expected() -> list[str]:
    """The lines that every host prints."""
    lines = []
    for file in sorted(DIRECTORY.glob("*.json")):
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            expect, answer = case["expect"], case["expect"]["answer"]
            if answer != "deleted":
                answer = {key: answer[key] for key in ("status", "code", "detail", "rule")}
            result = {"case": case["name"], "calls": expect["calls"], "answer": answer, "left": expect["left"]}
            lines.append(json.dumps(result, ensure_ascii=False, separators=(",", ":")))
    return lines


def run(*arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "delete_learning.conformance", *arguments]
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert finished.returncode == status
    return finished.stdout.decode("utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--asyncio"],
        ["--cases", str(DIRECTORY)],
        ["--component", str(ROOT / "guest/policy/component/delete-learning.wasm")],
    ],
)
def test_default_policy_prints_the_bytes_of_every_host(arguments: list[str]) -> None:
    assert run("--json", *arguments).splitlines() == expected()


def test_guard_that_retains_nothing_changes_no_answer() -> None:
    for guards in (["one"], ["one", "two"]):
        arguments = [argument for name in guards for argument in ("--guard", f"{name}={LEGAL_HOLD}")]
        cases = [case for case in conformance.cases() if not case.injects_faults]
        assert len(cases) > 50
        assert run(*arguments) == f"{len(cases)} passed, 0 failed\n"


def test_guard_changes_no_answer_on_an_event_loop() -> None:
    cases = conformance.cases()
    guarded = Policy(guards=[Guard(name="legal-hold", component=LEGAL_HOLD)], limits=FEW)
    assert len(cases) == len(expected()) > 100
    for case in (case for case in cases if not case.injects_faults):
        got = asyncio.run(case.run_async(guarded))
        assert (got["answer"], got["left"]) == (case.expect["answer"], case.expect["left"]), case.name


def test_wrong_policy_fails(tmp_path: Path) -> None:
    component = tmp_path / "policy.wasm"
    component.write_bytes(assembled("rejects_with_empty_rule"))
    output = run("--component", str(component), status=1)
    assert output.endswith(f"0 passed, {len(expected())} failed\n")
    assert "failed: the policy failed: its rejection violates the contract" in output
    run("--cases", str(tmp_path), status=1)
    run("--guard", "legal-hold.wasm", status=2)
