"""Runs the conformance cases on a policy in this package.

    python -m delete_learning.conformance [--component FILE] [--guard NAME=FILE]… [--cases DIRECTORY] [--json]

Without `--cases`, runs those that the package contains. Prints the failing cases, then `N passed, N failed`; exits with
1 if a case failed. With `--json`, prints one JSON object per case instead, one per line, in the order of file names and
of cases. The objects are compact and have no unnecessary escapes, so hosts with the same results print the same bytes.

A guard makes calls of its own. So with `--guard` the calls are not compared, but answer and remaining records are; and
cases that inject a result into a call are not run.
"""

import argparse
import asyncio
import io
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import _native
from ._contract import (
    Caller,
    Credential,
    IdentityError,
    IdentityErrorKind,
    Learning,
    Outcome,
    Request,
    StorageError,
    StorageErrorKind,
    Target,
)
from ._errors import LoadError, PolicyFailure
from ._policy import Guard, Policy


def _snake_case(names: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in names.items()}


class Case:
    """One case: the `identity` and the `storage` that it specifies. Records the calls."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.name: str = case["name"]
        self.expect: dict[str, Any] = case["expect"]
        self.request = Request(**_snake_case(case["request"]))
        self._identity = case["identity"]
        self._records: dict[str, str | None] = dict(case["storage"]["records"])
        self._faults: dict[str, dict[str, Any]] = case["storage"].get("faults", {})
        self._calls: list[str] = []

    @property
    def injects_faults(self) -> bool:
        """Whether the case injects a result into a call of the policy."""
        return bool(self._faults)

    def run(self, policy: Policy) -> dict[str, Any]:
        """Returns the calls, the answer and the remaining records."""
        policy._injects_faults = True
        try:
            rejection = policy.decide(self.request, self, self)
        except PolicyFailure as failure:
            return self._result(f"failed: {failure}")
        return self._result(asdict(rejection) if rejection else "deleted")

    async def run_async(self, policy: Policy) -> dict[str, Any]:
        """Like `run`, with `decide_async`."""
        policy._injects_faults = True
        try:
            rejection = await policy.decide_async(self.request, self, self)
        except PolicyFailure as failure:
            return self._result(f"failed: {failure}")
        return self._result(asdict(rejection) if rejection else "deleted")

    def _result(self, answer: object) -> dict[str, Any]:
        return {"calls": self._calls, "answer": answer, "left": sorted(self._records)}

    def current(self) -> Caller:
        """`identity.current`."""
        self._calls.append("identity.current")
        if "error" in self._identity:
            error = self._identity["error"]
            credential = Credential(error["credential"])
            raise IdentityError(IdentityErrorKind(error["kind"]), credential, error["message"])
        caller = _snake_case(self._identity["caller"])
        return Caller(**{**caller, "credential": Credential(caller["credential"])})

    def locate(self) -> Target:
        """`storage.locate`."""
        self._record_call("locate")
        return Target("main", "agno_learnings")

    def find(self) -> Learning | None:
        """`storage.find`."""
        self._record_call("find")
        if self.request.learning_id not in self._records:
            return None
        owner = self._records[self.request.learning_id]
        return Learning(learning_type="user_profile", content="{}", created_at=0, revision="1", user_id=owner)

    def delete(self) -> Outcome:
        """`storage.delete`."""
        return self._record_call("delete") or self._remove()

    def delete_if_owned_by(self, user_id: str, /) -> Outcome:
        """`storage.delete-if-owned-by`."""
        if fault := self._record_call("delete-if-owned-by", user_id):
            return fault
        owner = self._records.get(self.request.learning_id, user_id)
        if owner is None:
            return Outcome.UNOWNED
        return self._remove() if owner == user_id else Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, revision: str, /) -> Outcome:
        """`storage.delete-if-unchanged`."""
        if fault := self._record_call("delete-if-unchanged", revision):
            return fault
        if revision != "1" and self.request.learning_id in self._records:
            return Outcome.CHANGED
        return self._remove()

    def _record_call(self, function: str, *argument: str) -> Outcome | None:
        """Records a call. Returns or raises the result that the case injects for this function, if any."""
        self._calls.append(" ".join([f"storage.{function}", *argument]))
        fault = self._faults.get(function) or self._faults.get("*", {})
        if "error" in fault:
            raise StorageError(StorageErrorKind(fault["error"]["kind"]), fault["error"]["message"])
        return Outcome(fault["outcome"]) if fault else None

    def _remove(self) -> Outcome:
        if self.request.learning_id not in self._records:
            return Outcome.ABSENT
        del self._records[self.request.learning_id]
        return Outcome.DELETED


def cases(directory: Path | None = None) -> list[Case]:
    """Returns the cases of the package, or of the files in a directory, in the order of the file names."""
    if directory is None:
        texts = [text for _, text in _native.conformance_files()]
    else:
        texts = [file.read_text(encoding="utf-8") for file in sorted(directory.glob("*.json"))]
    return [Case(case) for text in texts for case in json.loads(text)["cases"]]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _guard(argument: str) -> Guard:
    name, separator, file = argument.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{argument!r} is not NAME=FILE")
    return Guard(name=name, component=file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit status."""
    parser = argparse.ArgumentParser(description="Runs the conformance cases on a policy.")
    parser.add_argument("--component", type=Path, help="the policy (default: the default policy)")
    parser.add_argument(
        "--guard", type=_guard, action="append", default=[], metavar="NAME=FILE", help="outermost first"
    )
    parser.add_argument("--cases", type=Path, metavar="DIRECTORY", help="(default: the cases of the package)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each case")
    parser.add_argument("--asyncio", action="store_true", help="decide on an event loop")
    options = parser.parse_args(arguments)
    # The cases inject faults, which the package logs.
    logging.getLogger("delete_learning").setLevel(logging.CRITICAL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")

    try:
        policy = Policy(options.component, guards=options.guard)
    except LoadError as error:
        sys.exit(str(error))
    selected = cases(options.cases)
    if options.guard:
        selected = [case for case in selected if not case.injects_faults]
    if not selected:
        sys.exit(f"no cases in {options.cases}")
    compared = ["answer", "left"] if options.guard else ["calls", "answer", "left"]
    failed = 0
    for case in selected:
        got = asyncio.run(case.run_async(policy)) if options.asyncio else case.run(policy)
        has_failed = any(got[key] != case.expect[key] for key in compared)
        failed += has_failed
        if options.json:
            print(_compact({"case": case.name, **got}))
        elif has_failed:
            print(f"{case.name}\n  expected {_compact(case.expect)}\n  got      {_compact(got)}")
    if not options.json:
        print(f"{len(selected) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
