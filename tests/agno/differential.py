"""The real Agno beside this host: the same rows, the same requests, and the same answers but for the differences listed.

    python differential.py DIFFERENCES.md < hosts.json

`hosts.json` lists hosts that run, each with its address, its databases (id and file), and how it is configured. For each,
an AgentOS of the same configuration is started on a copy of the same rows; then both are sent the same requests over HTTP,
one by one: status, detail, and which rows are gone are compared, and the rows are put back.

The requests are the matrix of the model (callers, records, targets), a few that are odd, tokens of whoever wants in, and
some that are generated. SEED repeats a run; GENERATED says how many are generated; MATRIX=all asks the whole matrix
instead of a share of it.

Whatever differs must be one of the RULES of rules.py, and their names must be rows of DIFFERENCES.md; for a row that is
no rule, rules.py names the test that shows it.
"""

import collections
import contextlib
import http.client
import itertools
import json
import logging
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

import accounts
import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.base import Model
from agno.os import AgentOS
from agno.os.authz import Authorization
from agno.os.config import AuthorizationConfig
from agno.os.settings import AgnoAPISettings
from asked import Answer, Asked, is_of_an_account, part
from rules import ALWAYS, ELSEWHERE, RULES
from tokens import bearer, hostile, token

TABLE = "agno_learnings"
# Of what a configuration is not mainly about, and of the matrix where not all of it is asked.
SHARE = 150

# Every record, in every database: id and owner.
ROWS = {
    "alice's": "alice", "bob's": "bob", "shared": None, "empty": "", "Alice's": "Alice", "7's": "7",
    "a": "alice", "a/b": "alice", "a/": "alice", "a%2Fb": "alice", "with space": "alice", "plus+": "alice",
    "ü🦀": "alice", "x\ufffd": "alice", "users": "alice", "users/alice": "alice", "..": "alice", "nul\0": "alice",
    "L" * 5000: "alice", "?x=1&y": "alice", "'; DROP TABLE agno_learnings; --": "alice", "bot without sa": "bot",
} | {name: f"sa:{name}" for name in accounts.SCOPES}  # fmt: skip


def explanation(configuration, asked, ours, theirs):
    return next((name for name, explains in RULES if explains(configuration, asked, ours, theirs)), None)


# --- requests --------------------------------------------------------------------------------------------------------


SCOPES = [
    [], ["learnings:read"], ["learnings:delete"], ["learnings:*:delete"], ["agent_os:admin"], ["learnings:root"],
    ["learnings:read", "learnings:delete"], ["learnings:root", "agent_os:admin"], ["learnings:delete learnings:read"],
]  # fmt: skip


def callers(c):
    """The headers of each caller of the matrix."""
    all = [[]] + [bearer(accounts.token(name)) for name in (*accounts.SCOPES, "expired", "revoked", "unknown")]
    if c["mode"] == "jwt":
        another = "another secret, of more than 32 bytes"
        all += [bearer(token(c, {"sub": "alice", "scopes": ["agent_os:admin"]}, algorithm="HS256", key=another))]
        all += [bearer(token(c, {"sub": "alice", "exp": int(time.time()) - 60}))]
        for scopes in SCOPES:
            for sub in (None, "", "alice", "bob"):
                all += [bearer(token(c, {"scopes": scopes} | ({} if sub is None else {"sub": sub})))]
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
    records = ["absent", "shared", "alice's", "bob's", "bot", "empty", "bot without sa"]
    own = {accounts.token(name): [name] for name in accounts.SCOPES if name != "bot"}
    return [
        Asked("/learnings/" + quote(record), query, headers)
        for headers in callers(c)
        for query in targets()
        for record in records + own.get(headers[0][1].removeprefix("Bearer ") if headers else None, [])
    ]


ODD_IDS = ["a%2Fb", "a%2fb", "a%252Fb", "a%2F", "a/", "a//", "a/b", "users", "users%2Falice", "users%2Fbob", "with%20space",
    "with+space", "plus+", "plus%2B", "%C3%BC%F0%9F%A6%80", "x%FF", "x%EF%BF%BD", "%ED%A0%80", "..", "%2E%2E", ".", "%2e",
    "nul%00", "L" * 5000, "L" * 4096, "%3Fx=1&y", "%3fx%3D1%26y", "%27;%20DROP%20TABLE%20agno_learnings;%20--", "%", "%zz",
    "a;b", "a%0Ab", "a%23", "~", "a:b", "@", "%C3"]  # fmt: skip
ODD_QUERIES = ["db_id=main&table=agno_sessions", "table=agno_sessions", "DB_ID=nowhere", "db_id[]=nowhere", "db%5Fid=nowhere",
    "db_id", "db_id=main;table=nothing", "db_id=main&table=" + TABLE.upper(), "db_id=Main", "db_id=%20main", "db_id=main%20",
    "db_id=a%0Ab", "db_id=" + "n" * 500, "db_id=main&table=a%00b", "db_id=%FF", "db_id=n%2Bo+w", "&&db_id=main&", "=",
    "db_id=main&table=%22", "db_id=second", "user_id=bob", "db_id=%F0%9F%A6%80"]  # fmt: skip


def forms(key):
    """A token or key in the forms that a header may have."""
    return [
        [("authorization", key)], [("Authorization", f"bearer {key}")], [("Authorization", f"Bearer   {key}  ")],
        [("Authorization", f"BEARER {key}")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("Authorization", f"Basic {key}")], bearer(key) * 2, bearer(key) + bearer("another"), bearer("another") + bearer(key),
        bearer(key + "x"), [("Authorization", "")], bearer(f"{key} {key}"), bearer("é"), [("Authorization", f"Bearer\t{key}")],
    ]  # fmt: skip


def odd_headers(c):
    """Credentials that nobody should send."""
    of_accounts = [bearer(one) for one in accounts.odd_tokens()] + forms(accounts.token("bot"))
    if c["mode"] != "jwt":
        return of_accounts + forms(c["secret"] or "anything")
    now = int(time.time())
    # Not so soon that it could come while this runs.
    soon = now + 7200
    good = {"sub": "alice", "scopes": ["learnings:delete"]}
    of = lambda **claims: bearer(token(c, good | claims))
    # The right secret by another algorithm than the one that is configured; there is no such thing for a key pair.
    shared = c["secret"] if c["algorithm"].startswith("HS") else "s" * 64
    plain = token(c, good)
    head, claims, signature = plain.split(".")
    admin = token(c, {"scopes": ["agent_os:admin"]})
    return of_accounts + [
        [("Authorization", plain)], [("Authorization", f"bearer {plain}")], [("Authorization", f"BEARER  {plain} ")],
        [("Authorization", f"Basic {plain}")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("Authorization", "")], [("Authorization", f"Bearer\t{plain}")], bearer(plain) * 2, bearer(plain) + bearer("x"),
        bearer("x") + bearer(plain), bearer(plain) + bearer(admin), bearer(f"{plain} {plain}"), bearer("é"),
        bearer(head + "." + claims), bearer(plain + "."), bearer(f"{head}.{claims}."), bearer(plain + "="), bearer(".."),
        bearer(plain[:-1]), bearer(plain.replace(".", "..", 1)), bearer(admin),
        bearer(token(c, {"scopes": ["learnings:delete"]})),
        bearer(token(c, good, {"alg": "none"})), bearer(token(c, good, {"alg": "HS384"}, algorithm="HS384", key=shared)),
        bearer(token(c, good, {"alg": "hs256"})), bearer(token(c, good, {"typ": "other"})),
        bearer(token(c, good, {"typ": 7})), bearer(token(c, good, {"kid": "any"})),
        bearer(token(c, good, {"kid": 7})), bearer(token(c, good, {"crit": ["b64"], "b64": True})),
        bearer(token(c, good, {"crit": []})), bearer(token(c, good, {"crit": ["exp"]})),
        bearer(token(c, good, {"b64": False})), bearer(token(c, [good])), bearer(token(c, "text")),
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
        of(scopes=[None]), of(scopes=[7, "agent_os:admin"]), of(scopes=[["learnings:delete"]]), of(scopes=["learnings:*"]),
        of(scopes=["*"]), of(scopes=["*:delete"]),
        of(scopes=["*:*:delete"]), of(scopes=["*:*"]), of(scopes=["learnings:a:delete"]), of(scopes=["learnings:alice's:delete"]),
        of(scopes=["learnings:write"]), of(scopes=["Learnings:Delete"]), of(scopes=[" learnings:delete"]), of(scopes=[""]),
        of(scopes=["agent_os:*"]), of(scopes=["agent_os:admin:"]), of(scopes=["learnings:delete:"]), of(scopes=["agent_os"]),
        of(scopes=["learnings::delete"]), of(scopes=["learnings:*:*"]), of(scopes=["agent_os:*:admin"]),
    ]  # fmt: skip


def odd(c):
    """Each oddity by itself, on a request that is otherwise plain."""
    usual = callers(c)[-1] if c["mode"] != "jwt" else bearer(token(c, {"sub": "alice", "scopes": ["learnings:delete"]}))
    all = [Asked("/learnings/" + id, "", headers) for id in ODD_IDS for headers in ([], usual)]
    all += [Asked("/learnings/a", query, headers) for query in ODD_QUERIES for headers in ([], usual)]
    all += [Asked(f"/learnings/{id}", "", headers) for headers in odd_headers(c) for id in ("a", "shared", "absent")]
    all += [Asked("/learnings/a", "", usual + [("X-Padding", "p" * size)]) for size in (60_000, 66_000)]
    return all


def generated(c, number, dice):
    """Oddities together, at random."""
    ids = [quote(id, safe="") for id in ROWS] + ["absent"] + ODD_IDS
    plain, odd = callers(c), odd_headers(c)
    odd += hostile(c) if c["mode"] == "jwt" else []
    for _ in range(number):
        headers = dice.choice(odd if dice.random() < 0.5 else plain)
        query = ""
        if dice.random() < 0.5:
            query = "&".join(dice.choice(ODD_QUERIES + targets()) for _ in range(dice.choice((1, 1, 1, 2))))
        yield Asked("/learnings/" + dice.choice(ids), query, headers)


# --- the two sides ---------------------------------------------------------------------------------------------------

# A client for each request with the token of an account: of each, only so many that fail are told why.
CLIENTS = itertools.count()


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

    def answer(self, connection, asked):
        connection.putrequest("DELETE", asked.path + ("?" + asked.query if asked.query else ""))
        for name, value in asked.headers:
            connection.putheader(name, value.encode())
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()

    def send(self, asked, client):
        if client is not None:
            connection = http.client.HTTPConnection(self.address, timeout=30, source_address=(client, 0))
            with contextlib.closing(connection):
                return self.answer(connection, asked)
        for is_last in (False, True):
            try:
                self.connection = self.connection or http.client.HTTPConnection(self.address, timeout=30)
                return self.answer(self.connection, asked)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection = None
                if is_last:
                    raise

    def ask(self, asked, client):
        """Sends the request, sees which rows are gone, and puts them back. Its answer, and what else is in it."""
        response, body = self.send(asked, client)
        gone = []
        for id, database in self.databases.items():
            left = {row[0] for row in database.execute(f"SELECT learning_id FROM {TABLE}")}
            lost = sorted(set(ROWS) - left)
            gone += [(id, one) for one in lost]
            self.restore(database, lost)
        try:
            error = json.loads(body) if body else {}
        except ValueError:
            # What an exception makes of it.
            error = {"detail": body.decode(errors="replace")}
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
        config = {"algorithm": c["algorithm"], "admin_scope": c["admin_scope"]}
        config |= {"jwks_file": c["jwks"]} if c.get("jwks") else {"verification_keys": [c.get("public") or c["secret"]]}
        settings["user_isolation"] = c["isolation"]
        if "issuer" in c:
            config |= {"verify_audience": True, "audience": c["audience"], "issuer": c["issuer"], "trust_token_scopes": True}
            settings["authorization"] = Authorization(**config)
        else:
            settings["authorization"] = c["enforce"]
            settings["authorization_config"] = AuthorizationConfig(**config, user_isolation=c["isolation"])
    key = c["secret"] if c["mode"] == "security-key" else None
    settings["settings"] = AgnoAPISettings(os_security_key=key, service_account_cache_ttl_seconds=0)
    # Service accounts there are where the AgentOS has a database of its own.
    if c["accounts"] != "off":
        settings["db"] = databases[0]
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
        self.kinds = collections.Counter()
        self.explained = collections.Counter()
        self.wrong = []

    def compare(self, c, ours, theirs, asked, kind, client=None):
        self.asked += 1
        self.kinds[kind] += 1
        if client is None and is_of_an_account(asked):
            number = next(CLIENTS)
            client = f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
        (mine, error, headers), (agnos, agnos_error, agnos_headers) = ours.ask(asked, client), theirs.ask(asked, client)
        # The protocol's own refusals have no body.
        if mine.status not in (204, 431):
            # What every error differs in, whatever it is about.
            self.explained["body of an error"] += 1
            if set(error) != {"detail", "error_code"} or set(agnos_error) - {"detail"}:
                self.wrong.append(("the bodies' members", c, asked, error, agnos_error))
        if mine.status == 401:
            self.explained["401"] += 1
            if "WWW-Authenticate" not in headers:
                self.wrong.append(("the challenge of a 401", c, asked, dict(headers), dict(agnos_headers)))
        if mine.status in (429, 503):
            self.explained["429 and 503"] += 1
            if "Retry-After" not in headers:
                self.wrong.append(("when to try again", c, asked, dict(headers), dict(agnos_headers)))
        if mine == agnos:
            self.same += 1
        elif name := explanation(c, asked, mine, agnos):
            self.explained[name] += 1
        else:
            self.wrong.append(("the answers", c, asked, mine, agnos))


def flood(comparison, c, ours, theirs):
    """Twenty tokens of a client that fail are told so, the next are too many; whoever has a good one is served."""
    client, bot = "127.255.0.1", Asked("/learnings/shared", "db_id=main", bearer(accounts.token("bot")))
    for index in range(25):
        bad = Asked("/learnings/shared", "", bearer(accounts.token(f"unknown-{index}")))
        comparison.compare(c, ours, theirs, bad, "a flood", client)
        answer = ours.ask(bot, client)[0]
        if answer.status != 403:
            comparison.wrong.append(("a good token in a flood", c, bot, answer, None))
    comparison.compare(c, ours, theirs, bot, "a flood", client)


def run(hosts, dice, folder):
    comparison = Comparison()
    number, everything = int(os.environ.get("GENERATED", "3000")), os.environ.get("MATRIX") == "all"

    def some(of, most=SHARE):
        return of if everything else dice.sample(of, min(most, len(of)))

    for index, c in enumerate(hosts):
        files = {}
        for id, file in c["databases"].items():
            files[id] = folder / f"{index}-{id}.db"
            shutil.copy(c["fresh"], files[id])
        if c["accounts"] == "on":
            for first in (next(iter(files.values())), next(iter(c["databases"].values()))):
                accounts.store(first)
        address, stop = agno(c, files)
        ours, theirs = Side(c["address"], c["databases"]), Side(address, files)
        for kind, all in requests(c, some, -(-number // len(hosts)), dice).items():
            for asked in all:
                comparison.compare(c, ours, theirs, asked, kind)
        if c["mode"] != "none" and "oddities" in c["whole"]:
            flood(comparison, c, ours, theirs)
        stop()
    return comparison


def requests(c, some, number, dice):
    """Those of this configuration, by their kind."""
    all = {}
    if c["about"] == "weighing":
        all["the matrix"] = some(matrix(c))
    # With several databases, most oddities are refused for naming none of them.
    if len(c["databases"]) == 1:
        all["oddities"] = odd(c) if "oddities" in c["whole"] else some(odd(c), SHARE // 2)
    if c["mode"] == "jwt" and c["about"] == "verifying":
        tokens = [Asked("/learnings/a", "", headers) for headers in hostile(c)]
        all["hostile tokens"] = tokens if "tokens" in c["whole"] else some(tokens)
    all["generated"] = list(generated(c, number, dice))
    return all


def main(differences):
    logging.disable(logging.CRITICAL)
    lines = [line for line in Path(differences).read_text().splitlines() if line.startswith("| ")]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if not line.startswith("| what |")]
    hosts, seed = json.load(sys.stdin), int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        comparison = run(hosts, random.Random(seed), Path(folder))

    kinds = ", ".join(f"{count} {kind}" for kind, count in comparison.kinds.items())
    print(f"{comparison.asked} requests ({kinds}) to {len(hosts)} configurations")
    print(f"{comparison.same} answered alike; the rest differ in:")
    for name, count in comparison.explained.most_common():
        print(f"  {count:6} {name}")
    names = ALWAYS + [name for name, _ in RULES]
    unlisted = [name for name in (*names, *ELSEWHERE) if name not in rows]
    unruled = [name for name in rows if name not in names and name not in ELSEWHERE]
    unseen = [name for name in names if not comparison.explained[name]]
    top = Path(__file__).parent.parent.parent
    sources = [*top.glob("tests/**/*.rs"), *top.glob("host/*/src/**/*.rs")]
    tests = "".join(file.read_text() for file in sources)
    untested = [test for test in ELSEWHERE.values() if f"fn {test}(" not in tests]
    shown = collections.Counter()
    for what, c, asked, mine, agnos in comparison.wrong:
        # A few of each kind are enough to understand it.
        kind = str((mine[:2], agnos and agnos[:2])) if isinstance(mine, Answer) else what
        shown[kind] += 1
        if shown[kind] > 2:
            continue
        configuration = {name: c[name] for name in ("mode", "algorithm", "enforce", "isolation", "admin_scope", "accounts")}
        claims = (part(asked, 0), part(asked, 1))
        print(f"{what} differ: {configuration}, {len(c['databases'])} databases")
        print(f"  {str(asked)[:1500]}\n  {str(claims)[:600]}\n  here {mine}\n  Agno {agnos}")
    faults = []
    if comparison.wrong:
        faults.append(f"{len(comparison.wrong)} differences that nothing explains")
    if unlisted:
        faults.append(f"not in {differences}: {unlisted}")
    if unruled:
        faults.append(f"in {differences}, but neither a rule nor shown by another test: {unruled}")
    if untested:
        faults.append(f"no such test: {untested}")
    if unseen:
        faults.append(f"no longer observed: {unseen}")
    sys.exit("; ".join(faults) or 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
