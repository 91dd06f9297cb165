"""Measures a decision of this package beside other policy engines for the same rule, in one run.

    python bench.py [--seconds N] [--rounds N] [--json] [--other NAME=COMMAND]…

The rule: a caller with the scope `learnings:delete` deletes its own record. Each contestant is a process of its own,
and they take turns. Prints decisions per second, processor time per decision (of the whole process, so also of its
other threads), the peak of resident memory, and the time from the import to the first decision; a figure is the median
of the rounds. `--json` prints one object per contestant. Needs `cedarpy` for the contestant of this name.

`--other` adds a command that measures itself: it gets the number of seconds as its argument and prints such an object.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

ID = "user_memory_7"


def delete_learning() -> Callable[[], None]:
    """`Policy.decide`."""
    from delete_learning import Policy, Request

    identity, storage = _host(asynchronous=False)
    policy, request = Policy(), Request(ID)

    def decide() -> None:
        if policy.decide(request, identity, storage) is not None:
            raise AssertionError

    return decide


def delete_learning_async() -> Callable[[], Awaitable[None]]:
    """`Policy.decide_async`, with functions that are `async`."""
    from delete_learning import Policy, Request

    identity, storage = _host(asynchronous=True)
    policy, request = Policy(), Request(ID)

    async def decide() -> None:
        if await policy.decide_async(request, identity, storage) is not None:
            raise AssertionError

    return decide


def delete_learning_async_plain() -> Callable[[], Awaitable[None]]:
    """`Policy.decide_async`, with functions that are plain and run on a thread."""
    from delete_learning import Policy, Request

    identity, storage = _host(asynchronous=False)
    policy, request = Policy(), Request(ID)

    async def decide() -> None:
        if await policy.decide_async(request, identity, storage) is not None:
            raise AssertionError

    return decide


def _host(*, asynchronous: bool) -> tuple[Any, Any]:
    from delete_learning import Caller, Credential, Outcome

    class Alice:
        def current(self) -> Caller:
            return Caller(Credential.JWT, "alice", ["learnings:delete"])

    class Record:
        def delete_if_owned_by(self, user_id: str) -> Outcome:
            return Outcome.DELETED if user_id == "alice" else Outcome.OWNED_BY_ANOTHER

    class AsyncRecord:
        async def delete_if_owned_by(self, user_id: str) -> Outcome:
            return Outcome.DELETED if user_id == "alice" else Outcome.OWNED_BY_ANOTHER

    return Alice(), AsyncRecord() if asynchronous else Record()


CEDAR_POLICY = """
permit (principal, action == Action::"delete", resource)
when { principal.scopes.contains("learnings:delete") && resource.owner == principal };
permit (principal, action == Action::"delete", resource)
when { principal.scopes.contains("agent_os:admin") };
"""


def cedarpy() -> Callable[[], None]:
    """Cedar, which only decides: it calls no storage and has no rejection. Its entities are given as it needs them."""
    from cedarpy import Decision, is_authorized

    def decide() -> None:
        request = {
            "principal": 'User::"alice"',
            "action": 'Action::"delete"',
            "resource": f'Learning::"{ID}"',
            "context": {},
        }
        alice = {"type": "User", "id": "alice"}
        entities = [
            {"uid": alice, "attrs": {"scopes": ["learnings:delete"]}, "parents": []},
            {"uid": {"type": "Learning", "id": ID}, "attrs": {"owner": {"__entity": alice}}, "parents": []},
        ]
        if is_authorized(request, CEDAR_POLICY, entities).decision != Decision.Allow:
            raise AssertionError

    return decide


CONTESTANTS: dict[str, Callable[[], Callable[[], Any]]] = {
    "delete-learning": delete_learning,
    "delete-learning, async": delete_learning_async,
    "delete-learning, async, plain storage": delete_learning_async_plain,
    "cedarpy": cedarpy,
}


def measure(name: str, seconds: float) -> dict[str, Any]:
    """Measures one contestant in this process."""
    begin = time.perf_counter()
    decide = CONTESTANTS[name]()

    async def run() -> tuple[int, float, float, float]:
        pending = decide()
        is_async = pending is not None
        if is_async:
            await pending
        first = time.perf_counter() - begin
        wall, cpu, decisions = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - wall < seconds:
            for _ in range(100):
                pending = decide()
                if is_async:
                    await pending
            decisions += 100
        return decisions, time.perf_counter() - wall, time.process_time() - cpu, first

    decisions, wall, cpu, first = asyncio.run(run())
    return {
        "name": name,
        "decisions_per_second": decisions / wall,
        "cpu_microseconds": cpu / decisions * 1e6,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "first_decision_ms": first * 1000,
    }


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure."""
    figures = (key for key in rounds[0] if key != "name")
    return {"name": rounds[0]["name"], **{key: statistics.median(each[key] for each in rounds) for key in figures}}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Measures a decision beside other policy engines.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each contestant")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.seconds)))
        return
    seconds = str(options.seconds)
    commands = {name: [sys.executable, __file__, "--only", name, "--seconds", seconds] for name in CONTESTANTS}
    for other in options.other:
        name, _, command = other.partition("=")
        commands[name] = [*command.split(), seconds]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            results[name].append({**json.loads(output), "name": name})
    rows = [median(rounds) for rounds in results.values()]
    if options.json:
        for row in rows:
            print(json.dumps(row))
        return
    print("| | decisions per second | processor time | peak memory | first decision |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['decisions_per_second']:.0f} | {row['cpu_microseconds']:.0f} µs "
            f"| {row['peak_memory_mib']:.0f} MiB | {row['first_decision_ms']:.0f} ms |"
        )


if __name__ == "__main__":
    main()
