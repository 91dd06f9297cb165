"""Runs the conformance cases on every host and compares the results byte by byte.

    python3 compare.py NAME='COMMAND' …

Each command prints one JSON object per case, one per line, and is run in this directory. The first host is the
reference. Prints a table of hosts with the number of passed cases and of cases equal to the reference, and the results
of each case that fails or differs. Exits with 1 if a case fails or differs.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def expected() -> dict[str, str]:
    """Returns the expected line of each case, in the form that the hosts print."""
    lines = {}
    for file in sorted((HERE.parent / "conformance/cases").glob("*.json")):
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            expect, answer = case["expect"], case["expect"]["answer"]
            if answer != "deleted":
                answer = {key: answer[key] for key in ("status", "code", "detail", "rule")}
            result = {"case": case["name"], "calls": expect["calls"], "answer": answer, "left": expect["left"]}
            lines[case["name"]] = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return lines


def run_host(command: str) -> dict[str, str]:
    output = subprocess.run(command, shell=True, cwd=HERE, stdout=subprocess.PIPE, check=False).stdout
    return {json.loads(line)["case"]: line for line in output.decode("utf-8").splitlines()}


def main() -> int:
    hosts = [argument.split("=", 1) for argument in sys.argv[1:]]
    if not hosts or any(len(host) != 2 for host in hosts):
        sys.exit(__doc__)
    cases, reference, failed = expected(), None, False
    print(f"{'host':<10} passed  equal to {hosts[0][0]}")
    for name, command in hosts:
        got = run_host(command)
        reference = reference or got
        passed = sum(got.get(case) == line for case, line in cases.items())
        equal = sum(got.get(case) == reference.get(case) for case in cases)
        print(f"{name:<10} {passed:>3}/{len(cases)}  {equal:>3}/{len(cases)}")
        for case, line in cases.items():
            if got.get(case) != line or got.get(case) != reference.get(case):
                failed = True
                print(f"  {case}\n    expected  {line}\n    {name}: {got.get(case, 'no result')}")
                print(f"    {hosts[0][0]}: {reference.get(case, 'no result')}")
        if unknown := got.keys() - cases.keys():
            failed = True
            print(f"  {name} reports unknown cases: {', '.join(sorted(unknown))}")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
