"""Service accounts in Agno's table, in the databases of both servers."""

import json
import sqlite3
import time
from hashlib import sha256

from agno.db.sqlite import SqliteDb
from exchange import ACCOUNT_TOKEN_PREFIX

# The accounts of the request matrix and their scopes. Each account owns the record with its name.
SCOPES = {
    "bot": ["learnings:delete"],
    "every-bot": ["learnings:*:delete"],
    "no-bot": [],
    "read-bot": ["learnings:read"],
    "both-bot": ["learnings:read", "learnings:delete"],
    "admin-bot": ["agent_os:admin"],
    "root-bot": ["learnings:root"],
    "all-bot": ["learnings:root", "agent_os:admin"],
    "text-bot": ["learnings:delete learnings:read"],
}
# Expired and revoked accounts: expiry and revocation in seconds from now.
INVALID = {
    "expired": (-1, None), "long-expired": (-1_000_000, None), "revoked": (None, -1), "revoked-later": (None, 1_000_000),
    "both-ended": (-5, -5),
}  # fmt: skip
# A valid account that expires later.
LASTING = {"lasting": (1_000_000, None)}
# Accounts with unusual contents of the scopes column, as text.
ODD_SCOPES = {
    "null-bot": "null", "object-bot": '{"learnings:delete": true}', "lone-bot": '"learnings:delete"',
    "admin-text-bot": '"agent_os:admin"', "star-bot": '["*"]', "resource-bot": '["learnings:*"]',
    "one-bot": '["learnings:a:delete"]', "colon-bot": '["learnings::delete"]', "upper-bot": '["LEARNINGS:DELETE"]',
    "twice-bot": '["learnings:delete", "learnings:delete"]', "long-bot": json.dumps(["x"] * 1000 + ["learnings:delete"]),
    "number-bot": "7", "mixed-bot": '[7, "learnings:delete"]', "nested-bot": '[["learnings:delete"]]', "none-bot": "[null]",
    "broken-bot": "no JSON", "empty-text-bot": "",
}  # fmt: skip


def token(name):
    return f"{ACCOUNT_TOKEN_PREFIX}{name}-0123456789"


def store(file):
    """Creates the table with Agno's own code, and fills it."""
    db, now = SqliteDb(db_file=str(file)), int(time.time())

    def create(name, scopes, expires=None, revoked=None):
        times = {"expires_at": expires and now + expires, "revoked_at": revoked and now + revoked}
        token_hash = sha256(token(name).encode()).hexdigest()
        account = {"id": name, "name": name, "token_hash": token_hash, "token_prefix": ACCOUNT_TOKEN_PREFIX}
        db.create_service_account(account | times | {"scopes": scopes, "created_at": now})

    for name, scopes in SCOPES.items():
        create(name, scopes)
    for name, times in (INVALID | LASTING).items():
        create(name, ["learnings:delete", "agent_os:admin"], *times)
    for name in ODD_SCOPES:
        create(name, [])
    with sqlite3.connect(file) as database:
        for name, scopes in ODD_SCOPES.items():
            database.execute("UPDATE agno_service_accounts SET scopes = ? WHERE name = ?", (scopes, name))


def odd_tokens():
    """Returns tokens of unusual accounts, tokens of invalid accounts, and strings that resemble a token."""
    bot = token("bot")
    digest = sha256(bot.encode()).hexdigest()
    similar = [ACCOUNT_TOKEN_PREFIX, bot[:-1], bot + "0", bot.upper(), bot + ".", ACCOUNT_TOKEN_PREFIX + digest, digest]
    similar += ["agno_pat", "AGNO_PAT_x", ACCOUNT_TOKEN_PREFIX * 2, f"{ACCOUNT_TOKEN_PREFIX}' OR '1'='1"]
    similar += [ACCOUNT_TOKEN_PREFIX + "x" * 20_000]
    similar += [f"{ACCOUNT_TOKEN_PREFIX}a.b.c", f"x{bot}", f"{ACCOUNT_TOKEN_PREFIX}é", f"{bot} {bot}", f"{bot},"]
    return [token(name) for name in (*INVALID, *LASTING, *ODD_SCOPES)] + similar
