"""Runs the conformance cases on a component in this host.

    python conformance.py [--component FILE] [--cases DIRECTORY] [--json]

Prints the failing cases, then `N passed, N failed`; exits with 1 if a case failed. With `--json`, prints one JSON
object per case instead, one per line, in the order of file names and of cases. The objects are compact and have no
unnecessary escapes, so hosts with the same results print the same bytes.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from host import Caller, IdentityError, Learning, Outcome, Policy, Request, StorageError, Target

ROOT = Path(__file__).resolve().parents[2]


def snake_case(names: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in names.items()}


class Case:
    """One case: the `identity` and the `storage` that it specifies. Records the calls."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.name = case["name"]
        self.expect = case["expect"]
        self.request = Request(**snake_case(case["request"]))
        self.identity = case["identity"]
        self.records = dict(case["storage"]["records"])
        self.faults = case["storage"].get("faults", {})
        self.calls: list[str] = []

    def run(self, policy: Policy) -> dict[str, Any]:
        try:
            rejection = policy.decide(self.request, identity=self, storage=self)
            answer = asdict(rejection) if rejection else "deleted"
        except Exception as error:
            answer = f"failed: {error}"
        return {"calls": self.calls, "answer": answer, "left": sorted(self.records)}

    def current(self) -> Caller:
        self.calls.append("identity.current")
        if "error" in self.identity:
            raise IdentityError(**self.identity["error"])
        return Caller(**snake_case(self.identity["caller"]))

    def locate(self) -> Target:
        self.record_call("locate")
        return Target("main", "agno_learnings")

    def find(self) -> Learning | None:
        self.record_call("find")
        if self.request.learning_id not in self.records:
            return None
        owner = self.records[self.request.learning_id]
        return Learning(learning_type="user_profile", content="{}", created_at=0, revision="1", user_id=owner)

    def delete(self) -> Outcome:
        return self.record_call("delete") or self.remove()

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        if fault := self.record_call("delete-if-owned-by", user_id):
            return fault
        owner = self.records.get(self.request.learning_id, user_id)
        if owner is None:
            return Outcome.UNOWNED
        return self.remove() if owner == user_id else Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, revision: str) -> Outcome:
        if fault := self.record_call("delete-if-unchanged", revision):
            return fault
        if revision != "1" and self.request.learning_id in self.records:
            return Outcome.CHANGED
        return self.remove()

    def record_call(self, function: str, *argument: str) -> Outcome | None:
        """Records a call. Returns or raises the result that the case injects for this function, if any."""
        self.calls.append(" ".join([f"storage.{function}", *argument]))
        fault = self.faults.get(function) or self.faults.get("*", {})
        if "error" in fault:
            raise StorageError(**fault["error"])
        return Outcome(fault["outcome"]) if fault else None

    def remove(self) -> Outcome:
        if self.request.learning_id not in self.records:
            return Outcome.ABSENT
        del self.records[self.request.learning_id]
        return Outcome.DELETED


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the conformance cases on a component in this host.")
    parser.add_argument("--component", type=Path, default=ROOT / "guest/policy/component/delete-learning.wasm")
    parser.add_argument("--cases", type=Path, default=ROOT / "tests/conformance/cases")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each case")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")

    try:
        policy = Policy(options.component)
    except ValueError as error:
        sys.exit(str(error))
    files = sorted(options.cases.glob("*.json"))
    cases = [Case(case) for file in files for case in json.loads(file.read_text(encoding="utf-8"))["cases"]]
    if not cases:
        sys.exit(f"no cases in {options.cases}")
    failed = 0
    for case in cases:
        got = case.run(policy)
        failed += got != case.expect
        if options.json:
            print(compact({"case": case.name, **got}))
        elif got != case.expect:
            print(f"{case.name}\n  expected {compact(case.expect)}\n  got      {compact(got)}")
    if not options.json:
        print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
