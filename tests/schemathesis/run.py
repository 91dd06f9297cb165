"""Asks a host that runs whatever schemathesis makes of its /openapi.json, with every check that schemathesis has.

    SECRET=… python run.py {missing|invalid|valid} http://127.0.0.1:PORT

The credentials: none, a token that is signed with another secret, or one of alice's with the scope to delete. Prints how
many cases there were and what was answered; ends with 1 where a check failed, or an answer was one that these credentials
cannot get. SEED repeats a run.
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
# Cases an operation, at most; schemathesis stops earlier where it has nothing new.
CASES = {"missing": 200, "invalid": 200, "valid": 600}
# What must have been answered for a run to mean anything, and everything that may have been.
MUST = {"missing": {200, 401, 405}, "invalid": {200, 401, 405}, "valid": {200, 204, 400, 401, 404, 405}}
MAY = {"missing": {404}, "invalid": {404}, "valid": {403}}


def token(secret):
    """HS256, by hand: RFC 7515."""

    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    claims = {"sub": "alice", "scopes": ["learnings:delete"], "exp": int(time.time()) + 600}
    signed = part(json.dumps({"alg": "HS256"}).encode()) + "." + part(json.dumps(claims).encode())
    return signed + "." + part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def statuses(events):
    """How often each status was answered, from schemathesis's own record."""
    found = collections.Counter()
    for line in events.read_text().splitlines():
        for event in json.loads(line).values():
            for interaction in event.get("recorder", {}).get("interactions", {}).values():
                found[interaction["response"]["status_code"] if interaction["response"] else None] += 1
    return found


def main(kind, url):
    secret = os.environ["SECRET"]
    bearer = {"missing": None, "invalid": token(secret + "!"), "valid": token(secret)}[kind]
    with tempfile.TemporaryDirectory() as folder:
        events, report = Path(folder, "events.ndjson"), Path(folder, "report.json")
        command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{url}/openapi.json"]
        command += ["--checks", "all", "--continue-on-failure", "--max-examples", str(CASES[kind])]
        command += ["--report", "ndjson,json", "--report-ndjson-path", str(events), "--report-json-path", str(report)]
        command += ["--header", f"Authorization: Bearer {bearer}"] if bearer else []
        command += ["--seed", os.environ["SEED"]] if "SEED" in os.environ else []
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(run.stdout + run.stderr)
        answered, summary = statuses(events), json.loads(report.read_text())

    cases, seed = summary["test_cases"]["generated"], summary["seed"]
    each = ", ".join(f"{count} times {status}" for status, count in sorted(answered.items(), key=str))
    print(f"schemathesis, {kind} credentials: {cases} cases passed (seed {seed}); answered {each}")
    wrong = set(answered) - MUST[kind] - MAY[kind]
    lacking = MUST[kind] - set(answered)
    if wrong or lacking:
        sys.exit(f"{kind} credentials must not be answered {wrong or 'nothing'}, and {lacking or 'nothing'} is lacking")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CASES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
