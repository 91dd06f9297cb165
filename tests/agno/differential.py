"""Compares the responses of this server with those of the real Agno, for the same requests and the same records.

    python differential.py DIFFERENCES.md < servers.json

`servers.json` lists running servers, each with its address, its databases (id and file) and its configuration. For each
server, this script starts an AgentOS with the same configuration on a copy of the same records. It sends each request to
both, compares status, detail and deleted records, and restores the deleted records. It also compares the CORS headers of requests
and preflights.

The requests are the matrix of the reference model (callers, records, targets), odd requests, malicious tokens, and
generated requests. SEED repeats a run. GENERATED is the number of generated requests. MATRIX=all sends the whole matrix
instead of a sample.

A rule in rules.py must explain each difference. The names of the rules must be rows of DIFFERENCES.md. For a row without
a rule, rules.py names the test that shows the difference.
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
import time
from pathlib import Path
from urllib.parse import quote

import accounts
import agent_os
from agno.db.sqlite import SqliteDb
from agno.os.authz import Authorization
from agno.os.config import AuthorizationConfig
from agno.os.settings import AgnoAPISettings
from exchange import Request, Response, has_account_token, token_json
from rules import ALWAYS, CORS, OTHER_TESTS, RULES
from tokens import bearer, configured_claims, malicious, token

TABLE = "agno_learnings"
# The number of sampled requests of a kind, unless a configuration gets all of them.
SAMPLE_SIZE = 150

# The records of every database: id and owner.
RECORDS = {
    "alice's": "alice", "bob's": "bob", "shared": None, "empty": "", "Alice's": "Alice", "7's": "7",
    "a": "alice", "a/b": "alice", "a/": "alice", "a%2Fb": "alice", "with space": "alice", "plus+": "alice",
    "ü🦀": "alice", "x\ufffd": "alice", "users": "alice", "users/alice": "alice", "..": "alice", "nul\0": "alice",
    "L" * 5000: "alice", "?x=1&y": "alice", "'; DROP TABLE agno_learnings; --": "alice", "bot without sa": "bot",
} | {name: f"sa:{name}" for name in accounts.SCOPES}  # fmt: skip


def explaining_rule(configuration, request, ours, agnos):
    """Returns the name of the first rule that explains the difference, or None."""
    return next((name for name, explains in RULES if explains(configuration, request, ours, agnos)), None)


# --- requests --------------------------------------------------------------------------------------------------------


SCOPES = [
    [], ["learnings:read"], ["learnings:delete"], ["learnings:*:delete"], ["agent_os:admin"], ["learnings:root"],
    ["learnings:read", "learnings:delete"], ["learnings:root", "agent_os:admin"], ["learnings:delete learnings:read"],
]  # fmt: skip


def callers(c):
    """Returns the headers of each caller of the matrix."""
    all = [[]] + [bearer(accounts.token(name)) for name in (*accounts.SCOPES, "expired", "revoked", "unknown")]
    if c["mode"] == "jwt":
        wrong_secret = "another secret, of more than 32 bytes"
        all += [bearer(token(c, {"sub": "alice", "scopes": ["agent_os:admin"]}, algorithm="HS256", key=wrong_secret))]
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
        pairs = [("db_id", value) for value in db_ids] + [("table", value) for value in tables]
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)

    once = [[], [""], ["main"], ["nowhere"]], [[], [""], [TABLE], ["nothing"]]
    all = [query(db_ids, tables) for db_ids in once[0] for tables in once[1]]
    several = [
        (["main", "main"], []), (["main", "nowhere"], []), (["nowhere", "main"], [TABLE]), (["", "main"], []),
        (["", "main"], [TABLE]), (["main"], [TABLE, TABLE]), (["main"], ["", TABLE]), ([], [TABLE, TABLE]), ([], ["", ""]),
    ]  # fmt: skip
    return all + [query(*both) for both in several]


def matrix(c):
    ids = ["absent", "shared", "alice's", "bob's", "bot", "empty", "bot without sa"]
    own = {accounts.token(name): [name] for name in accounts.SCOPES if name != "bot"}
    return [
        Request("/learnings/" + quote(id), query, headers)
        for headers in callers(c)
        for query in targets()
        for id in ids + own.get(headers[0][1].removeprefix("Bearer ") if headers else None, [])
    ]


ODD_IDS = ["a%2Fb", "a%2fb", "a%252Fb", "a%2F", "a/", "a//", "a/b", "users", "users%2Falice", "users%2Fbob", "with%20space",
    "with+space", "plus+", "plus%2B", "%C3%BC%F0%9F%A6%80", "x%FF", "x%EF%BF%BD", "%ED%A0%80", "..", "%2E%2E", ".", "%2e",
    "nul%00", "L" * 5000, "L" * 4096, "%3Fx=1&y", "%3fx%3D1%26y", "%27;%20DROP%20TABLE%20agno_learnings;%20--", "%", "%zz",
    "a;b", "a%0Ab", "a%23", "~", "a:b", "@", "%C3"]  # fmt: skip
ODD_QUERIES = ["db_id=main&table=agno_sessions", "table=agno_sessions", "DB_ID=nowhere", "db_id[]=nowhere", "db%5Fid=nowhere",
    "db_id", "db_id=main;table=nothing", "db_id=main&table=" + TABLE.upper(), "db_id=Main", "db_id=%20main", "db_id=main%20",
    "db_id=a%0Ab", "db_id=" + "n" * 500, "db_id=main&table=a%00b", "db_id=%FF", "db_id=n%2Bo+w", "&&db_id=main&", "=",
    "db_id=main&table=%22", "db_id=second", "user_id=bob", "db_id=%F0%9F%A6%80"]  # fmt: skip


def header_variants(key):
    """Returns valid and invalid headers with a token or key."""
    return [
        [("authorization", key)], [("Authorization", f"bearer {key}")], [("Authorization", f"Bearer   {key}  ")],
        [("Authorization", f"BEARER {key}")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("Authorization", f"Basic {key}")], bearer(key) * 2, bearer(key) + bearer("another"), bearer("another") + bearer(key),
        bearer(key + "x"), [("Authorization", "")], bearer(f"{key} {key}"), bearer("é"), [("Authorization", f"Bearer\t{key}")],
    ]  # fmt: skip


def odd_headers(c):
    """Returns headers with unusual credentials."""
    account_headers = [bearer(value) for value in accounts.odd_tokens()] + header_variants(accounts.token("bot"))
    if c["mode"] != "jwt":
        return account_headers + header_variants(c["secret"] or "anything")
    now = int(time.time())
    # Later than the end of the run.
    later = now + 7200
    valid = {"sub": "alice", "scopes": ["learnings:delete"]}
    jwt = lambda **claims: bearer(token(c, valid | claims))
    # The configured secret, to sign with another algorithm. A key pair has none.
    shared = c["secret"] if c["algorithm"].startswith("HS") else "s" * 64
    plain = token(c, valid)
    head, claims, signature = plain.split(".")
    admin = token(c, {"scopes": ["agent_os:admin"]})
    return account_headers + [
        [("Authorization", plain)], [("Authorization", f"bearer {plain}")], [("Authorization", f"BEARER  {plain} ")],
        [("Authorization", f"Basic {plain}")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("Authorization", "")], [("Authorization", f"Bearer\t{plain}")], bearer(plain) * 2, bearer(plain) + bearer("x"),
        bearer("x") + bearer(plain), bearer(plain) + bearer(admin), bearer(f"{plain} {plain}"), bearer("é"),
        bearer(head + "." + claims), bearer(plain + "."), bearer(f"{head}.{claims}."), bearer(plain + "="), bearer(".."),
        bearer(plain[:-1]), bearer(plain.replace(".", "..", 1)), bearer(admin),
        bearer(token(c, {"scopes": ["learnings:delete"]})),
        bearer(token(c, valid, {"alg": "none"})), bearer(token(c, valid, {"alg": "HS384"}, algorithm="HS384", key=shared)),
        bearer(token(c, valid, {"alg": "hs256"})), bearer(token(c, valid, {"typ": "other"})),
        bearer(token(c, valid, {"typ": 7})), bearer(token(c, valid, {"kid": "any"})),
        bearer(token(c, valid, {"kid": 7})), bearer(token(c, valid, {"crit": ["b64"], "b64": True})),
        bearer(token(c, valid, {"crit": []})), bearer(token(c, valid, {"crit": ["exp"]})),
        bearer(token(c, valid, {"b64": False})), bearer(token(c, [valid])), bearer(token(c, "text")),
        jwt(exp=later), jwt(exp=later + 0.5), jwt(exp=now - 60), jwt(exp=str(later)), jwt(exp=str(now - 60)),
        jwt(exp="soon"), jwt(exp=None), jwt(exp=True), jwt(exp=0), jwt(exp=-1), jwt(exp=1e30), jwt(exp=[later]),
        jwt(exp={}), jwt(nbf=later), jwt(nbf=now - 60), jwt(nbf=now + 5), jwt(nbf=str(now - 60)), jwt(nbf=str(later)),
        jwt(nbf=None), jwt(iat=later), jwt(iat=now + 5), jwt(iat=now - 60), jwt(iat=str(now - 60)), jwt(iat="then"),
        jwt(iat=None), jwt(iat=1.5), jwt(iss="anybody"), jwt(iss=7), jwt(iss=None), jwt(aud="anybody"), jwt(aud=["x"]),
        jwt(aud=7), jwt(aud=None), jwt(jti="x"), jwt(jti=7), jwt(jti=None), jwt(sub=7), jwt(sub=None), jwt(sub=True),
        jwt(sub=["alice"]), jwt(sub={}), jwt(sub="sa:bot"), jwt(sub="sa:"), jwt(sub="SA:bot"), jwt(sub="__scheduler__"),
        jwt(sub="__scheduler__x"), jwt(sub="__oauth__:x"), jwt(sub="__oauth__"), jwt(sub="Alice"), jwt(sub=" alice"),
        jwt(sub="ü"), jwt(sub="7"), jwt(sub="a\0"), jwt(sub="L" * 3000), jwt(scopes="learnings:delete"),
        jwt(scopes="agent_os:admin"), jwt(scopes="learnings:delete learnings:read"), jwt(scopes=None), jwt(scopes=7),
        jwt(scopes={}), jwt(scopes={"learnings:delete": True}), jwt(scopes=[7, "learnings:delete"]), jwt(scopes=[None]),
        jwt(scopes=[7, "agent_os:admin"]), jwt(scopes=[["learnings:delete"]]), jwt(scopes=["learnings:*"]),
        jwt(scopes=["*"]), jwt(scopes=["*:delete"]), jwt(scopes=["*:*:delete"]), jwt(scopes=["*:*"]),
        jwt(scopes=["learnings:a:delete"]), jwt(scopes=["learnings:alice's:delete"]), jwt(scopes=["learnings:write"]),
        jwt(scopes=["Learnings:Delete"]), jwt(scopes=[" learnings:delete"]), jwt(scopes=[""]),
        jwt(scopes=["agent_os:*"]), jwt(scopes=["agent_os:admin:"]), jwt(scopes=["learnings:delete:"]),
        jwt(scopes=["agent_os"]), jwt(scopes=["learnings::delete"]), jwt(scopes=["learnings:*:*"]),
        jwt(scopes=["agent_os:*:admin"]),
    ]  # fmt: skip


def odd_requests(c):
    """Returns requests with one unusual id, query or header each."""
    valid = callers(c)[-1] if c["mode"] != "jwt" else bearer(token(c, {"sub": "alice", "scopes": ["learnings:delete"]}))
    requests = [Request("/learnings/" + id, "", headers) for id in ODD_IDS for headers in ([], valid)]
    requests += [Request("/learnings/a", query, headers) for query in ODD_QUERIES for headers in ([], valid)]
    requests += [Request(f"/learnings/{id}", "", headers) for headers in odd_headers(c) for id in ("a", "shared", "absent")]
    requests += [Request("/learnings/a", "", valid + [("X-Padding", "p" * size)]) for size in (60_000, 66_000)]
    return requests


def generated_requests(c, number, rng):
    """Generates random combinations of ids, queries and headers."""
    ids = [quote(id, safe="") for id in RECORDS] + ["absent"] + ODD_IDS
    usual, odd = callers(c), odd_headers(c)
    odd += malicious(c) if c["mode"] == "jwt" else []
    for _ in range(number):
        headers = rng.choice(odd if rng.random() < 0.5 else usual)
        query = ""
        if rng.random() < 0.5:
            query = "&".join(rng.choice(ODD_QUERIES + targets()) for _ in range(rng.choice((1, 1, 1, 2))))
        yield Request("/learnings/" + rng.choice(ids), query, headers)


# --- the two servers -------------------------------------------------------------------------------------------------

# Each request with an account token comes from its own client address, because failed tokens are limited per client.
CLIENT_NUMBERS = itertools.count()


class Server:
    """A server and its databases."""

    def __init__(self, address, files):
        self.address, self.connection = address, None
        self.databases = {id: sqlite3.connect(file, timeout=30, isolation_level=None) for id, file in files.items()}
        for database in self.databases.values():
            # Durability is not compared, and waiting for the disk is slow.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"DELETE FROM {TABLE}")
            database.execute("CREATE TABLE IF NOT EXISTS agno_sessions (session_id VARCHAR PRIMARY KEY)")
            self.restore(database, RECORDS)

    @staticmethod
    def restore(database, ids):
        sql = f"INSERT INTO {TABLE} (learning_id, learning_type, user_id, content, created_at) VALUES (?, 'test', ?, '{{}}', 1)"
        database.executemany(sql, [(id, RECORDS[id]) for id in ids])

    def exchange(self, connection, request):
        connection.putrequest("DELETE", request.path + ("?" + request.query if request.query else ""))
        for name, value in request.headers:
            connection.putheader(name, value.encode())
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()

    def send(self, request, client):
        if client is not None:
            connection = http.client.HTTPConnection(self.address, timeout=30, source_address=(client, 0))
            with contextlib.closing(connection):
                return self.exchange(connection, request)
        for is_last in (False, True):
            try:
                self.connection = self.connection or http.client.HTTPConnection(self.address, timeout=30)
                return self.exchange(self.connection, request)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection = None
                if is_last:
                    raise

    def send_and_restore(self, request, client):
        """Sends a request and restores the records that it deleted. Returns response, body and headers."""
        response, body = self.send(request, client)
        deleted = []
        for id, database in self.databases.items():
            remaining = {row[0] for row in database.execute(f"SELECT learning_id FROM {TABLE}")}
            missing = sorted(set(RECORDS) - remaining)
            deleted += [(id, record) for record in missing]
            self.restore(database, missing)
        try:
            error = json.loads(body) if body else {}
        except ValueError:
            # The plain text of an unhandled exception.
            error = {"detail": body.decode(errors="replace")}
        return Response(response.status, error.get("detail"), deleted), error, response.headers


def start_agno(c, files):
    """Starts an AgentOS with the configuration of our server. Returns its address and a function that stops it."""
    for name in ("OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE", "JWT_JWKS"):
        os.environ.pop(name, None)
    is_jwt = c["mode"] == "jwt"
    if is_jwt and not c["enforce"]:
        # An AgentOS with a key and without authorization verifies tokens and does not enforce scopes.
        os.environ["JWT_VERIFICATION_KEY"] = c["secret"]
    databases = [SqliteDb(id=id, db_file=str(file)) for id, file in files.items()]
    settings = {"authorization": False, "user_isolation": False}
    middleware = None
    if "claims" in c:
        middleware = c["claims"] | {"algorithm": c["algorithm"], "verification_keys": [c["secret"]], "authorization": True}
        middleware |= {"user_isolation": True, "verify_audience": "audience" in c["claims"]}
    elif is_jwt:
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
    # An AgentOS supports service accounts only with its own database.
    if c["accounts"] != "off":
        settings["db"] = databases[0]
    return agent_os.serve(databases, middleware, **settings)


class Comparison:
    def __init__(self):
        self.count = self.equal = 0
        self.kinds = collections.Counter()
        self.explained = collections.Counter()
        self.unexplained = []

    def compare(self, c, server, agno, request, kind, client=None):
        self.count += 1
        self.kinds[kind] += 1
        if client is None and has_account_token(request):
            number = next(CLIENT_NUMBERS)
            client = f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
        ours, error, headers = server.send_and_restore(request, client)
        agnos, agnos_error, agnos_headers = agno.send_and_restore(request, client)
        # A 431 of the HTTP parser has no body.
        if ours.status not in (204, 431):
            self.explained["body of an error"] += 1
            if set(error) != {"detail", "error_code"} or set(agnos_error) - {"detail"}:
                self.unexplained.append(("error members", c, request, error, agnos_error))
        if ours.status == 401:
            self.explained["401"] += 1
            if "WWW-Authenticate" not in headers:
                self.unexplained.append(("WWW-Authenticate", c, request, dict(headers), dict(agnos_headers)))
        if ours.status in (429, 503):
            self.explained["429 and 503"] += 1
            if "Retry-After" not in headers:
                self.unexplained.append(("Retry-After", c, request, dict(headers), dict(agnos_headers)))
        if ours == agnos:
            self.equal += 1
        elif name := explaining_rule(c, request, ours, agnos):
            self.explained[name] += 1
        else:
            self.unexplained.append(("responses", c, request, ours, agnos))


def send_failing_tokens(comparison, c, server, agno):
    """Compares 20 failed tokens of one client and those above the limit. A valid token must always be accepted."""
    client, valid = "127.255.0.1", Request("/learnings/shared", "db_id=main", bearer(accounts.token("bot")))
    for index in range(25):
        invalid = Request("/learnings/shared", "", bearer(accounts.token(f"unknown-{index}")))
        comparison.compare(c, server, agno, invalid, "failing tokens", client)
        response = server.send_and_restore(valid, client)[0]
        if response.status != 403:
            comparison.unexplained.append(("valid token after failed tokens", c, valid, response, None))
    comparison.compare(c, server, agno, valid, "failing tokens", client)


def cors_requests():
    """Returns method, path and headers of requests and preflights from pages of other origins."""
    allowed = ["http://localhost:3000", "https://agno.com", "https://www.agno.com", "https://app.agno.com",
        "https://os-stg.agno.com", "https://os.agno.com"]  # fmt: skip
    others = ["https://evil.example", "http://os.agno.com", "https://os.agno.com:443", "https://os.agno.com/", "HTTPS://os.agno.com",
        "https://OS.agno.com", "https://x.agno.com", "http://localhost", "null", "*", ""]  # fmt: skip
    origins = [[]] + [[("Origin", origin)] for origin in allowed + others]
    origins += [[("Origin", "https://os.agno.com"), ("Origin", other)] for other in ("https://agno.com", "https://evil.example")]
    origins += [[("Origin", "https://evil.example"), ("Origin", "https://os.agno.com")]]
    asked = [[]] + [[("Access-Control-Request-Method", method)] for method in ("DELETE", "GET", "PATCH", "QUERY", "PURGE", "delete")]
    asked += [asked[1] + [("Access-Control-Request-Headers", names)] for names in ("authorization", "Authorization, x-custom", "")]
    asked += [asked[1] + [("Access-Control-Request-Private-Network", "true")]]
    for origin in origins:
        yield from (("OPTIONS", path, origin + more) for path in ("/learnings/absent", "/health") for more in asked)
        yield from (("DELETE", "/learnings/absent", origin + more) for more in asked[:2])
        yield "GET", "/health", origin
    yield from (("OPTIONS", path, [("Origin", origin), *asked[1]]) for path in ("/", "/nowhere") for origin in allowed[:1] + others[:1])


def cors_headers(headers):
    """Returns the CORS headers, and what `Vary` lists."""
    cors = {name.lower(): value for name, value in headers if name.lower().startswith("access-control-")}
    return cors | {"vary": sorted(name for key, value in headers if key.lower() == "vary" for name in value.split(", "))}


def expected_cors(method, headers, status, agnos):
    """Returns the status and the CORS headers that follow from Agno's, and the rows of DIFFERENCES.md that were applied."""
    origins = [value for name, value in headers if name == "Origin"]
    names = {name for name, _ in headers}
    is_preflight = method == "OPTIONS" and origins and "Access-Control-Request-Method" in names
    cors, rows = dict(agnos), set()
    if not origins:
        return status, cors, rows
    if len(origins) > 1 or "access-control-allow-origin" not in cors:
        rows.add("two `Origin` headers" if len(origins) > 1 else "an origin that is not allowed")
        return 400 if is_preflight else status, {"vary": cors["vary"]}, rows
    if cors.get("access-control-expose-headers") == "*":
        rows.add("`Access-Control-Expose-Headers`")
    cors["access-control-expose-headers"] = "X-Request-Id, Retry-After, WWW-Authenticate"
    if is_preflight and "Access-Control-Request-Private-Network" in names:
        rows.add("a preflight with `Access-Control-Request-Private-Network`")
        status, cors["access-control-allow-private-network"] = 200, "true"
    of_preflight = {"access-control-" + name for name in ("allow-methods", "allow-headers", "max-age")} & set(cors)
    if not is_preflight or status == 400:
        if not is_preflight and of_preflight:
            rows.add("`Access-Control-Allow-Methods` and `-Headers` in a 401")
        cors = {name: value for name, value in cors.items() if name not in of_preflight}
    return status, cors, rows


def compare_cors(comparison, c, server, agno):
    """Compares status and CORS headers of pages of other origins."""
    for method, path, headers in cors_requests():
        comparison.count += 1
        comparison.kinds["CORS"] += 1
        answers = []
        for address in (server.address, agno.address):
            with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                connection.putrequest(method, path)
                for name, value in headers:
                    connection.putheader(name, value)
                connection.endheaders()
                response = connection.getresponse()
                answers.append((response.status, cors_headers(response.getheaders()), response.read().decode()))
        (status, cors, body), (agnos_status, agnos_cors, agnos_body) = answers
        expected_status, expected, rows = expected_cors(method, headers, agnos_status, agnos_cors)
        if "access-control-max-age" in agnos_cors and body != agnos_body:
            rows.add("the answer to a preflight")
        if (status, cors) == (expected_status, expected):
            comparison.equal += not rows
            comparison.explained.update(rows)
        else:
            comparison.unexplained.append(("CORS", c, Request(path, "", headers), (method, *answers[0]), (method, *answers[1])))


def run(configurations, rng, directory):
    comparison = Comparison()
    number, is_complete = int(os.environ.get("GENERATED", "3000")), os.environ.get("MATRIX") == "all"

    def sample(requests, max_size=SAMPLE_SIZE):
        return requests if is_complete else rng.sample(requests, min(max_size, len(requests)))

    for index, c in enumerate(configurations):
        files = {}
        for id, file in c["databases"].items():
            files[id] = directory / f"{index}-{id}.db"
            shutil.copy(c["template"], files[id])
        if c["accounts"] == "on":
            for first in (next(iter(files.values())), next(iter(c["databases"].values()))):
                accounts.store(first)
        address, stop = start_agno(c, files)
        server, agno = Server(c["address"], c["databases"]), Server(address, files)
        for kind, requests in requests_by_kind(c, sample, -(-number // len(configurations)), rng).items():
            for request in requests:
                comparison.compare(c, server, agno, request, kind)
        if "odd requests" in c["complete"]:
            compare_cors(comparison, c, server, agno)
        if c["mode"] != "none" and "odd requests" in c["complete"]:
            send_failing_tokens(comparison, c, server, agno)
        stop()
    return comparison


def requests_by_kind(c, sample, number, rng):
    """Returns the requests for a configuration."""
    requests = {}
    if c["group"] == "authorization":
        requests["matrix"] = sample(matrix(c))
    # With several databases, most odd requests are refused because they do not name a database.
    if len(c["databases"]) == 1:
        odd = odd_requests(c)
        requests["odd"] = odd if "odd requests" in c["complete"] else sample(odd, SAMPLE_SIZE // 2)
    if c["group"] == "claims":
        headers = configured_claims(c)
        requests["configured claims"] = [Request("/learnings/" + id, "", one) for one in headers for id in ("a", "shared")]
        return requests
    if c["mode"] == "jwt" and c["group"] == "authentication":
        tokens = [Request("/learnings/a", "", headers) for headers in malicious(c)]
        requests["malicious tokens"] = tokens if "malicious tokens" in c["complete"] else sample(tokens)
    requests["generated"] = list(generated_requests(c, number, rng))
    return requests


def main(differences):
    logging.disable(logging.CRITICAL)
    lines = [line for line in Path(differences).read_text().splitlines() if line.startswith("| ")]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if not line.startswith("| case |")]
    configurations, seed = json.load(sys.stdin), int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        comparison = run(configurations, random.Random(seed), Path(directory))

    kinds = ", ".join(f"{count} {kind}" for kind, count in comparison.kinds.items())
    print(f"{comparison.count} requests ({kinds}) to {len(configurations)} configurations")
    print(f"{comparison.equal} equal responses; differences:")
    for name, count in comparison.explained.most_common():
        print(f"  {count:6} {name}")
    names = ALWAYS + CORS + [name for name, _ in RULES]
    unlisted = [name for name in (*names, *OTHER_TESTS) if name not in rows]
    without_rule = [name for name in rows if name not in names and name not in OTHER_TESTS]
    unobserved = [name for name in names if not comparison.explained[name]]
    top = Path(__file__).parent.parent.parent
    sources = [*top.glob("tests/**/*.rs"), *top.glob("host/*/src/**/*.rs")]
    tests = "".join(file.read_text() for file in sources)
    missing_tests = [test for test in OTHER_TESTS.values() if f"fn {test}(" not in tests]
    shown = collections.Counter()
    for what, c, request, ours, agnos in comparison.unexplained:
        # Print at most two of each kind.
        kind = str((ours[:2], agnos and agnos[:2])) if isinstance(ours, Response) else what
        shown[kind] += 1
        if shown[kind] > 2:
            continue
        configuration = {name: c[name] for name in ("mode", "algorithm", "enforce", "isolation", "admin_scope", "accounts")}
        claims = (token_json(request, 0), token_json(request, 1))
        print(f"{what} differ: {configuration}, {len(c['databases'])} databases")
        print(f"  {str(request)[:1500]}\n  {str(claims)[:600]}\n  here {ours}\n  Agno {agnos}")
    errors = []
    if comparison.unexplained:
        errors.append(f"{len(comparison.unexplained)} unexplained differences")
    if unlisted:
        errors.append(f"not in {differences}: {unlisted}")
    if without_rule:
        errors.append(f"in {differences}, but without a rule or a test in rules.py: {without_rule}")
    if missing_tests:
        errors.append(f"unknown tests in rules.py: {missing_tests}")
    if unobserved:
        errors.append(f"not observed: {unobserved}")
    sys.exit("; ".join(errors) or 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
