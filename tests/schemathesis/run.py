"""Runs schemathesis with all checks against the /openapi.json of a running server.

    SECRET=… python run.py {missing|invalid|valid} http://127.0.0.1:PORT

The credentials: none, a token that is signed with another secret, or alice's token with the scope to delete. Prints the
number of cases and of each status. Exits with 1 if a check fails or a status is unexpected. SEED repeats a run.
"""

import base64
import collections
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
# The maximum number of cases per operation. schemathesis stops earlier if it has no further cases.
MAX_CASES = {"missing": 200, "invalid": 200, "valid": 600}
# The statuses that must occur, and the further statuses that can occur.
REQUIRED = {"missing": {200, 401, 405}, "invalid": {200, 401, 405}, "valid": {200, 204, 400, 401, 404, 405}}
POSSIBLE = {"missing": {404}, "invalid": {404}, "valid": {403}}


def token(secret):
    """Returns an HS256 token (RFC 7515)."""

    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    claims = {"sub": "alice", "scopes": ["learnings:delete"], "exp": int(time.time()) + 600}
    signed = part(json.dumps({"alg": "HS256"}).encode()) + "." + part(json.dumps(claims).encode())
    return signed + "." + part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def statuses(events):
    """Counts the statuses in the report of schemathesis."""
    counts = collections.Counter()
    for line in events.read_text().splitlines():
        for event in json.loads(line).values():
            for interaction in event.get("recorder", {}).get("interactions", {}).values():
                counts[interaction["response"]["status_code"] if interaction["response"] else None] += 1
    return counts


def main(kind, url):
    secret = os.environ["SECRET"]
    bearer = {"missing": None, "invalid": token(secret + "!"), "valid": token(secret)}[kind]
    with tempfile.TemporaryDirectory() as directory:
        events, report = Path(directory, "events.ndjson"), Path(directory, "report.json")
        command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{url}/openapi.json"]
        command += ["--checks", "all", "--continue-on-failure", "--max-examples", str(MAX_CASES[kind])]
        command += ["--report", "ndjson,json", "--report-ndjson-path", str(events), "--report-json-path", str(report)]
        command += ["--header", f"Authorization: Bearer {bearer}"] if bearer else []
        command += ["--seed", os.environ["SEED"]] if "SEED" in os.environ else []
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
        run = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(run.stdout + run.stderr)
        counts, summary = statuses(events), json.loads(report.read_text())

    cases, seed = summary["test_cases"]["generated"], summary["seed"]
    each = ", ".join(f"{count} times {status}" for status, count in sorted(counts.items(), key=str))
    print(f"schemathesis, {kind} credentials: {cases} cases passed (seed {seed}); {each}")
    unexpected = set(counts) - REQUIRED[kind] - POSSIBLE[kind]
    missing = REQUIRED[kind] - set(counts)
    if unexpected or missing:
        sys.exit(f"{kind} credentials: unexpected statuses {sorted(unexpected, key=str)}, missing statuses {sorted(missing)}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MAX_CASES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
