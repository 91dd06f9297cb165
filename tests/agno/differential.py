"""The real Agno beside this host: the same rows, the same requests, and the same answers but for the differences listed.

    python differential.py DIFFERENCES.md < hosts.json

`hosts.json` lists hosts that run, each with its address, its databases (id and file), and how it is configured. For each,
an AgentOS of the same configuration is started on a copy of the same rows; then both are sent the same requests over HTTP,
one by one: status, detail, and which rows are gone are compared, and the rows are put back.

The requests are the matrix of the model (callers, records, targets), a few that are odd, and some that are generated.
SEED repeats a run; GENERATED says how many are generated; MATRIX=all asks the whole matrix instead of a share of it.

Whatever differs must be one of RULES, and each rule's name must be a row of DIFFERENCES.md.
"""

import base64
import collections
import hashlib
import hmac
import http.client
import json
import logging
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.base import Model
from agno.os import AgentOS
from agno.os.config import AuthorizationConfig
from agno.os.settings import AgnoAPISettings

TABLE = "agno_learnings"
# Of the matrix, for each configuration, where not all of it is asked.
SHARE = 150

# Every record, in every database: id and owner.
ROWS = {
    "alice's": "alice", "bob's": "bob", "shared": None, "empty": "", "Alice's": "Alice", "bot's": "sa:bot", "7's": "7",
    "a": "alice", "a/b": "alice", "a/": "alice", "a%2Fb": "alice", "with space": "alice", "plus+": "alice",
    "ü🦀": "alice", "x\ufffd": "alice", "users": "alice", "users/alice": "alice", "..": "alice", "nul\0": "alice",
    "L" * 5000: "alice", "?x=1&y": "alice", "'; DROP TABLE agno_learnings; --": "alice",
}  # fmt: skip

Answer = collections.namedtuple("Answer", "status detail gone")
Asked = collections.namedtuple("Asked", "path query headers")


# --- the differences -------------------------------------------------------------------------------------------------


def sent_id(asked):
    """The id as it was sent."""
    return asked.path.removeprefix("/learnings/")


def learning_id(asked):
    """The id as bytes, decoded once."""
    return unquote_to_bytes(sent_id(asked))


def parameters(asked, name):
    return [value for key, value in parse_qsl(asked.query, keep_blank_values=True) if key == name]


def credentials(asked):
    return [value for name, value in asked.headers if name.lower() == "authorization"]


def part(asked, index):
    """A part of the token, as JSON; empty where it is none."""
    try:
        text = credentials(asked)[0].split()[-1].split(".")[index]
        decoded = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return decoded if isinstance(decoded, dict) else {}
    except (IndexError, ValueError):
        return {}


def refused(answer, status, detail):
    return (answer.status, answer.detail, answer.gone) == (status, detail, [])


def is_taken_for_number(claim):
    try:
        return isinstance(claim, str | bool) and int(claim) is not None
    except ValueError:
        return False


def is_repeated(asked):
    return len(parameters(asked, "db_id")) > 1 or len(parameters(asked, "table")) > 1


def quotes_what_was_sent(asked, ours, theirs):
    names = parameters(asked, "db_id") + parameters(asked, "table")
    is_changed = any(len(name.encode()) > 400 or any(unprintable(one) for one in name) for name in names)
    return is_changed and (ours.status, ours.gone) == (theirs.status, theirs.gone) == (404, [])


def unprintable(character):
    return ord(character) < 32 or 127 <= ord(character) < 160


# name, as DIFFERENCES.md has it; when it explains what differs: configuration, request, our answer, Agno's.
RULES = [
    (
        "why a token was refused",
        lambda c, asked, ours, theirs: refused(ours, 401, "Invalid token")
        and theirs.status == 401
        and re.match("Invalid token: |Error decoding token: ", theirs.detail),
    ),
    (
        "a confined token without `sub`",
        lambda c, asked, ours, theirs: c["isolation"]
        and not part(asked, 1).get("sub")
        and refused(ours, 403, "Authenticated request is missing a user identity")
        and refused(theirs, 404, "Learning not found"),
    ),
    (
        "`db_id` or `table` given twice",
        lambda c, asked, ours, theirs: is_repeated(asked) and (ours.status, ours.gone) == (400, []),
    ),
    (
        "a trailing slash, `/learnings/a/`",
        lambda c, asked, ours, theirs: asked.path.endswith("/") and refused(ours, 404, "Not Found"),
    ),
    (
        "an id with `/` in it, encoded",
        lambda c, asked, ours, theirs: "/" not in sent_id(asked)
        and b"/" in learning_id(asked)
        # Whatever Agno makes of it, here nothing but this record may be gone.
        and {id.encode() for _, id in ours.gone} <= {learning_id(asked)},
    ),
    (
        "an id that is not UTF-8, or longer than 4096 bytes",
        lambda c, asked, ours, theirs: (not is_utf8(learning_id(asked)) or len(learning_id(asked)) > 4096)
        and refused(ours, 400, "The learning_id must be UTF-8, percent-encoded, and not overlong"),
    ),
    (
        "`table=` names another table of Agno's",
        lambda c, asked, ours, theirs: parameters(asked, "table") == ["agno_sessions"]
        and [refused(ours, 404, f"No database with id '{id}' has table 'agno_sessions'") for id in parameters(asked, "db_id")]
        == [True],
    ),
    (
        "a token without the `Bearer` scheme, or two `Authorization` headers",
        lambda c, asked, ours, theirs: refused(ours, 401, "Authorization header must be one 'Bearer <token>'"),
    ),
    (
        "an `exp`, `nbf` or `iat` that is text holding a number, or `true`",
        lambda c, asked, ours, theirs: any(is_taken_for_number(part(asked, 1).get(name)) for name in ("exp", "nbf", "iat"))
        and refused(ours, 401, "Invalid token"),
    ),
    (
        "`Bearer` with no token after it",
        lambda c, asked, ours, theirs: [one.strip().lower() for one in credentials(asked)] == ["bearer"]
        and refused(ours, 401, "Authorization header " + ("missing" if c["mode"] == "jwt" else "required"))
        and (theirs.status, theirs.gone) == (401, []),
    ),
    (
        "a token whose parts end in `=`",
        lambda c, asked, ours, theirs: any("=" in value for value in credentials(asked)) and refused(ours, 401, "Invalid token"),
    ),
    (
        "the scope `learnings::delete`",
        lambda c, asked, ours, theirs: part(asked, 1).get("scopes") == ["learnings::delete"]
        and refused(ours, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "a list of scopes with something in it that is no text",
        lambda c, asked, ours, theirs: not c["enforce"]
        and any(not isinstance(scope, str) for scope in part(asked, 1).get("scopes") or [])
        and c["admin_scope"] in part(asked, 1)["scopes"]
        and ours.gone == [],
    ),
    (
        "other routes",
        lambda c, asked, ours, theirs: "/" in sent_id(asked) and refused(ours, 404, "Not Found"),
    ),
    (
        "a token's `crit` header",
        lambda c, asked, ours, theirs: "crit" in part(asked, 0) and refused(ours, 401, "Invalid token"),
    ),
    (
        "a name that is repeated in `detail`",
        lambda c, asked, ours, theirs: quotes_what_was_sent(asked, ours, theirs),
    ),
]


def is_utf8(content):
    try:
        return content.decode() is not None
    except UnicodeDecodeError:
        return False


def explanation(configuration, asked, ours, theirs):
    return next((name for name, explains in RULES if explains(configuration, asked, ours, theirs)), None)


# --- requests --------------------------------------------------------------------------------------------------------


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token(secret, claims, header=None, hash="sha256"):
    header = {"alg": "HS256", "typ": "JWT"} | (header or {})
    signed = ".".join(base64url(json.dumps(one).encode()) for one in (header, claims))
    return f"{signed}.{base64url(hmac.new(secret.encode(), signed.encode(), hash).digest())}"


def bearer(value):
    return [("Authorization", f"Bearer {value}")]


SCOPES = [
    [], ["learnings:read"], ["learnings:delete"], ["learnings:*:delete"], ["agent_os:admin"], ["learnings:root"],
    ["learnings:read", "learnings:delete"], ["learnings:root", "agent_os:admin"], ["learnings:delete learnings:read"],
]  # fmt: skip


def callers(c):
    """The headers of each caller of the matrix."""
    all = [[]]
    if c["mode"] == "jwt":
        all += [bearer(token("another secret, of more than 32 bytes", {"sub": "alice", "scopes": ["agent_os:admin"]}))]
        all += [bearer(token(c["secret"], {"sub": "alice", "exp": int(time.time()) - 60}))]
        for scopes in SCOPES:
            for sub in (None, "", "alice", "bob"):
                claims = {"scopes": scopes} | ({} if sub is None else {"sub": sub})
                all += [bearer(token(c["secret"], claims))]
    elif c["mode"] == "security-key":
        all += [bearer("another key"), bearer(c["secret"])]
    else:
        all += [bearer("anything")]
    return all


def targets():
    def query(db_ids, tables):
        pairs = [("db_id", one) for one in db_ids] + [("table", one) for one in tables]
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)

    once = [[], [""], ["main"], ["nowhere"]], [[], [""], [TABLE], ["nothing"]]
    all = [query(db_ids, tables) for db_ids in once[0] for tables in once[1]]
    several = [
        (["main", "main"], []), (["main", "nowhere"], []), (["nowhere", "main"], [TABLE]), (["", "main"], []),
        (["", "main"], [TABLE]), (["main"], [TABLE, TABLE]), (["main"], ["", TABLE]), ([], [TABLE, TABLE]), ([], ["", ""]),
    ]  # fmt: skip
    return all + [query(*both) for both in several]


def matrix(c):
    records = ["absent", "shared", "alice's", "bob's", "bot's", "empty"]
    return [
        Asked("/learnings/" + quote(record), query, headers)
        for headers in callers(c)
        for query in targets()
        for record in records
    ]


ODD_IDS = ["a%2Fb", "a%2fb", "a%252Fb", "a%2F", "a/", "a//", "a/b", "users", "users%2Falice", "users%2Fbob", "with%20space",
    "with+space", "plus+", "plus%2B", "%C3%BC%F0%9F%A6%80", "x%FF", "x%EF%BF%BD", "%ED%A0%80", "..", "%2E%2E", ".", "%2e",
    "nul%00", "L" * 5000, "L" * 4096, "%3Fx=1&y", "%3fx%3D1%26y", "%27;%20DROP%20TABLE%20agno_learnings;%20--", "%", "%zz",
    "a;b", "a%0Ab", "a%23", "~", "a:b", "@", "%C3"]  # fmt: skip
ODD_QUERIES = ["db_id=main&table=agno_sessions", "table=agno_sessions", "DB_ID=nowhere", "db_id[]=nowhere", "db%5Fid=nowhere",
    "db_id", "db_id=main;table=nothing", "db_id=main&table=" + TABLE.upper(), "db_id=Main", "db_id=%20main", "db_id=main%20",
    "db_id=a%0Ab", "db_id=" + "n" * 500, "db_id=main&table=a%00b", "db_id=%FF", "db_id=n%2Bo+w", "&&db_id=main&", "=",
    "db_id=main&table=%22", "db_id=second", "user_id=bob", "db_id=%F0%9F%A6%80"]  # fmt: skip


def odd_headers(c):
    """Credentials that nobody should send."""
    if c["mode"] != "jwt":
        key = c["secret"] or "anything"
        return [
            [("authorization", key)], [("Authorization", f"bearer {key}")], [("Authorization", f"Bearer   {key}  ")],
            [("Authorization", "Bearer")], [("Authorization", "Bearer ")], [("Authorization", f"Basic {key}")],
            bearer(key) * 2, bearer(key) + bearer("another"), bearer("another") + bearer(key), bearer(key + "x"),
            [("Authorization", "")], bearer(f"{key} {key}"), bearer("é"),
        ]  # fmt: skip
    now, secret = int(time.time()), c["secret"]
    # Not so soon that it could come while this runs.
    soon = now + 7200
    good = {"sub": "alice", "scopes": ["learnings:delete"]}
    of = lambda **claims: bearer(token(secret, good | claims))
    plain = token(secret, good)
    head, claims, signature = plain.split(".")
    admin = token(secret, {"scopes": ["agent_os:admin"]})
    return [
        [("Authorization", plain)], [("Authorization", f"bearer {plain}")], [("Authorization", f"BEARER  {plain} ")],
        [("Authorization", f"Basic {plain}")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("Authorization", "")], [("Authorization", f"Bearer\t{plain}")], bearer(plain) * 2, bearer(plain) + bearer("x"),
        bearer("x") + bearer(plain), bearer(plain) + bearer(admin), bearer(f"{plain} {plain}"), bearer("é"),
        bearer(head + "." + claims), bearer(plain + "."), bearer(f"{head}.{claims}."), bearer(plain + "="), bearer(".."),
        bearer(plain[:-1]), bearer(plain.replace(".", "..", 1)), bearer(admin),
        bearer(token(secret, good, {"alg": "none"})), bearer(token(secret, good, {"alg": "HS512"}, "sha512")),
        bearer(token(secret, good, {"alg": "hs256"})), bearer(token(secret, good, {"typ": "other"})),
        bearer(token(secret, good, {"typ": 7})), bearer(token(secret, good, {"kid": "any"})),
        bearer(token(secret, good, {"kid": 7})), bearer(token(secret, good, {"crit": ["b64"], "b64": True})),
        bearer(token(secret, good, {"crit": []})), bearer(token(secret, good, {"crit": ["exp"]})),
        bearer(token(secret, good, {"b64": False})), bearer(token(secret, [good])), bearer(token(secret, "text")),
        of(exp=soon), of(exp=soon + 0.5), of(exp=now - 60), of(exp=str(soon)), of(exp=str(now - 60)),
        of(exp="soon"), of(exp=None), of(exp=True), of(exp=0), of(exp=-1), of(exp=1e30), of(exp=[soon]), of(exp={}),
        of(nbf=soon), of(nbf=now - 60), of(nbf=now + 5), of(nbf=str(now - 60)), of(nbf=str(soon)), of(nbf=None),
        of(iat=soon), of(iat=now + 5), of(iat=now - 60), of(iat=str(now - 60)), of(iat="then"), of(iat=None), of(iat=1.5),
        of(iss="anybody"), of(iss=7), of(iss=None), of(aud="anybody"), of(aud=["x"]), of(aud=7), of(aud=None), of(jti="x"),
        of(jti=7), of(jti=None), of(sub=7), of(sub=None), of(sub=True), of(sub=["alice"]), of(sub={}), of(sub="sa:bot"),
        of(sub="sa:"), of(sub="SA:bot"), of(sub="__scheduler__"), of(sub="__scheduler__x"), of(sub="__oauth__:x"),
        of(sub="__oauth__"), of(sub="Alice"), of(sub=" alice"), of(sub="ü"), of(sub="7"), of(sub="a\0"), of(sub="L" * 3000),
        of(scopes="learnings:delete"), of(scopes="agent_os:admin"), of(scopes="learnings:delete learnings:read"),
        of(scopes=None), of(scopes=7), of(scopes={}), of(scopes={"learnings:delete": True}), of(scopes=[7, "learnings:delete"]),
        of(scopes=[None]), of(scopes=[7, "agent_os:admin"]), of(scopes=[["learnings:delete"]]), of(scopes=["learnings:*"]), of(scopes=["*"]), of(scopes=["*:delete"]),
        of(scopes=["*:*:delete"]), of(scopes=["*:*"]), of(scopes=["learnings:a:delete"]), of(scopes=["learnings:alice's:delete"]),
        of(scopes=["learnings:write"]), of(scopes=["Learnings:Delete"]), of(scopes=[" learnings:delete"]), of(scopes=[""]),
        of(scopes=["agent_os:*"]), of(scopes=["agent_os:admin:"]), of(scopes=["learnings:delete:"]), of(scopes=["agent_os"]),
        of(scopes=["learnings::delete"]), of(scopes=["learnings:*:*"]), of(scopes=["agent_os:*:admin"]),
    ]  # fmt: skip


def odd(c):
    """Each oddity by itself, on a request that is otherwise plain."""
    usual = callers(c)[-1] if c["mode"] != "jwt" else bearer(token(c["secret"], {"sub": "alice", "scopes": ["learnings:delete"]}))
    all = [Asked("/learnings/" + id, "", headers) for id in ODD_IDS for headers in ([], usual)]
    all += [Asked("/learnings/a", query, headers) for query in ODD_QUERIES for headers in ([], usual)]
    all += [Asked(f"/learnings/{id}", "", headers) for headers in odd_headers(c) for id in ("a", "shared", "absent")]
    return all


def generated(c, number, dice):
    """Oddities together, at random."""
    ids = [quote(id, safe="") for id in ROWS] + ["absent"] + ODD_IDS
    plain, odd = callers(c), odd_headers(c)
    for _ in range(number):
        headers = dice.choice(odd if dice.random() < 0.5 else plain)
        query = ""
        if dice.random() < 0.5:
            query = "&".join(dice.choice(ODD_QUERIES + targets()) for _ in range(dice.choice((1, 1, 1, 2))))
        yield Asked("/learnings/" + dice.choice(ids), query, headers)


# --- the two sides ---------------------------------------------------------------------------------------------------


class Side:
    """A server and its databases."""

    def __init__(self, address, files):
        self.address, self.connection = address, None
        self.databases = {id: sqlite3.connect(file, timeout=30, isolation_level=None) for id, file in files.items()}
        for database in self.databases.values():
            # Durability is not what is compared, and waiting for the disk is what takes time.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"DELETE FROM {TABLE}")
            database.execute("CREATE TABLE IF NOT EXISTS agno_sessions (session_id VARCHAR PRIMARY KEY)")
            self.restore(database, ROWS)

    @staticmethod
    def restore(database, ids):
        sql = f"INSERT INTO {TABLE} (learning_id, learning_type, user_id, content, created_at) VALUES (?, 'test', ?, '{{}}', 1)"
        database.executemany(sql, [(id, ROWS[id]) for id in ids])

    def ask(self, asked):
        """Sends the request, sees which rows are gone, and puts them back. Its answer, and what else is in it."""
        for is_last in (False, True):
            try:
                self.connection = self.connection or http.client.HTTPConnection(self.address, timeout=30)
                self.connection.putrequest("DELETE", asked.path + ("?" + asked.query if asked.query else ""))
                for name, value in asked.headers:
                    self.connection.putheader(name, value.encode())
                self.connection.endheaders()
                response = self.connection.getresponse()
                body = response.read()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection = None
                if is_last:
                    raise
        gone = []
        for id, database in self.databases.items():
            left = {row[0] for row in database.execute(f"SELECT learning_id FROM {TABLE}")}
            lost = sorted(set(ROWS) - left)
            gone += [(id, one) for one in lost]
            self.restore(database, lost)
        error = json.loads(body) if body else {}
        return Answer(response.status, error.get("detail"), gone), error, response.headers


def agno(c, files):
    """An AgentOS that is configured as the host is, and how to stop it."""
    for name in ("OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"):
        os.environ.pop(name, None)
    is_jwt = c["mode"] == "jwt"
    if is_jwt and not c["enforce"]:
        # Tokens are verified, and scopes not asked for: what an AgentOS does that has a key and no authorization.
        os.environ["JWT_VERIFICATION_KEY"] = c["secret"]
    # The databases of an AgentOS are those of its agents. These never run, so their model says nothing.
    silent = type("Silent", (Model,), {name: lambda *_, **__: None for name in Model.__abstractmethods__})
    databases = [SqliteDb(id=id, db_file=str(file)) for id, file in files.items()]
    agents = [Agent(id=db.id, db=db, model=silent(id="silent"), telemetry=False) for db in databases]
    settings = {"authorization": False, "user_isolation": False}
    if is_jwt:
        config = {"verification_keys": [c["secret"]], "algorithm": "HS256", "admin_scope": c["admin_scope"]}
        config = AuthorizationConfig(**config, user_isolation=c["isolation"])
        settings = {"authorization": c["enforce"], "user_isolation": c["isolation"], "authorization_config": config}
    key = c["secret"] if c["mode"] == "security-key" else None
    settings["settings"] = AgnoAPISettings(os_security_key=key)
    app = AgentOS(id="os", agents=agents, telemetry=False, **settings).get_app()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def stop():
        server.should_exit = True
        thread.join()

    return f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", stop


class Comparison:
    def __init__(self):
        self.asked = self.same = 0
        self.explained = collections.Counter()
        self.wrong = []

    def compare(self, c, ours, theirs, asked):
        self.asked += 1
        (mine, error, headers), (agnos, agnos_error, agnos_headers) = ours.ask(asked), theirs.ask(asked)
        if mine.status != 204:
            # What every error differs in, whatever it is about.
            self.explained["body of an error"] += 1
            if set(error) != {"detail", "error_code"} or set(agnos_error) - {"detail"}:
                self.wrong.append(("the bodies' members", c, asked, error, agnos_error))
        if mine.status == 401:
            self.explained["401"] += 1
            if "WWW-Authenticate" not in headers:
                self.wrong.append(("the challenge of a 401", c, asked, dict(headers), dict(agnos_headers)))
        if mine == agnos:
            self.same += 1
        elif name := explanation(c, asked, mine, agnos):
            self.explained[name] += 1
        else:
            self.wrong.append(("the answers", c, asked, mine, agnos))


def run(hosts, dice, folder):
    comparison = Comparison()
    number = int(os.environ.get("GENERATED", "3000"))
    for index, c in enumerate(hosts):
        files = {}
        for id, file in c["databases"].items():
            files[id] = folder / f"{index}-{id}.db"
            shutil.copy(c["fresh"], files[id])
        address, stop = agno(c, files)
        ours, theirs = Side(c["address"], c["databases"]), Side(address, files)
        whole = matrix(c)
        share = whole if os.environ.get("MATRIX") == "all" else dice.sample(whole, min(SHARE, len(whole)))
        # With several databases, most oddities are refused for naming none of them.
        oddities = odd(c) if len(files) == 1 else []
        for asked in share + oddities + list(generated(c, -(-number // len(hosts)), dice)):
            comparison.compare(c, ours, theirs, asked)
        stop()
    return comparison


def main(differences):
    logging.disable(logging.CRITICAL)
    text = Path(differences).read_text()
    rows = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")}
    hosts, seed = json.load(sys.stdin), int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        comparison = run(hosts, random.Random(seed), Path(folder))

    print(f"{comparison.asked} requests to {len(hosts)} configurations, {comparison.same} answered alike; the rest differ in:")
    for name, count in comparison.explained.most_common():
        print(f"  {count:6} {name}")
    unlisted = [name for name in [*comparison.explained, *(name for name, _ in RULES)] if name not in rows]
    unseen = [name for name, _ in RULES if not comparison.explained[name]]
    shown = collections.Counter()
    for what, c, asked, mine, agnos in comparison.wrong:
        # A few of each kind are enough to understand it.
        kind = str((mine[:2], agnos[:2])) if isinstance(mine, Answer) else what
        shown[kind] += 1
        if shown[kind] > 2:
            continue
        configuration = {name: c[name] for name in ("mode", "enforce", "isolation", "admin_scope")}
        claims = (part(asked, 0), part(asked, 1))
        print(f"{what} differ: {configuration}, {len(c['databases'])} databases\n  {asked}\n  {claims}\n  here {mine}\n  Agno {agnos}")
    faults = []
    if comparison.wrong:
        faults.append(f"{len(comparison.wrong)} differences that nothing explains")
    if unlisted:
        faults.append(f"not in {differences}: {sorted(set(unlisted))}")
    if unseen:
        faults.append(f"no longer observed: {unseen}")
    sys.exit("; ".join(faults) or 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
