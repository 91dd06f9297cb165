"""Service accounts, in Agno's own table of both sides."""

import json
import sqlite3
import time
from hashlib import sha256

from agno.db.sqlite import SqliteDb
from asked import TOKEN_OF_AN_ACCOUNT

# The accounts of the matrix, by their scopes. Each owns the record of its name.
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
# Accounts that have no say any more, and one that has for some time: when they expire and when they were revoked, in
# seconds from now.
ENDED = {
    "expired": (-1, None), "long-expired": (-1_000_000, None), "revoked": (None, -1), "revoked-later": (None, 1_000_000),
    "both-ended": (-5, -5),
}  # fmt: skip
LASTING = {"lasting": (1_000_000, None)}
# What a row's column of scopes may hold otherwise, as text.
ODD_SCOPES = {
    "null-bot": "null", "object-bot": '{"learnings:delete": true}', "lone-bot": '"learnings:delete"',
    "admin-text-bot": '"agent_os:admin"', "star-bot": '["*"]', "resource-bot": '["learnings:*"]',
    "one-bot": '["learnings:a:delete"]', "colon-bot": '["learnings::delete"]', "upper-bot": '["LEARNINGS:DELETE"]',
    "twice-bot": '["learnings:delete", "learnings:delete"]', "long-bot": json.dumps(["x"] * 1000 + ["learnings:delete"]),
    "number-bot": "7", "mixed-bot": '[7, "learnings:delete"]', "nested-bot": '[["learnings:delete"]]', "none-bot": "[null]",
    "broken-bot": "no JSON", "empty-text-bot": "",
}  # fmt: skip


def token(name):
    return f"{TOKEN_OF_AN_ACCOUNT}{name}-0123456789"


def store(file):
    """Makes the table as Agno does, and fills it."""
    db, now = SqliteDb(db_file=str(file)), int(time.time())

    def create(name, scopes, expires=None, revoked=None):
        times = {"expires_at": expires and now + expires, "revoked_at": revoked and now + revoked}
        made = {"id": name, "name": name, "token_hash": sha256(token(name).encode()).hexdigest(), "token_prefix": "agno_pat_"}
        db.create_service_account(made | times | {"scopes": scopes, "created_at": now})

    for name, scopes in SCOPES.items():
        create(name, scopes)
    for name, times in (ENDED | LASTING).items():
        create(name, ["learnings:delete", "agent_os:admin"], *times)
    for name in ODD_SCOPES:
        create(name, [])
    with sqlite3.connect(file) as database:
        for name, scopes in ODD_SCOPES.items():
            database.execute("UPDATE agno_service_accounts SET scopes = ? WHERE name = ?", (scopes, name))


def odd_tokens():
    """Tokens that are an account's, were one, or look like one."""
    bot = token("bot")
    digest = sha256(bot.encode()).hexdigest()
    looks = [TOKEN_OF_AN_ACCOUNT, bot[:-1], bot + "0", bot.upper(), bot + ".", TOKEN_OF_AN_ACCOUNT + digest, digest]
    looks += ["agno_pat", "AGNO_PAT_x", TOKEN_OF_AN_ACCOUNT * 2, f"{TOKEN_OF_AN_ACCOUNT}' OR '1'='1"]
    looks += [TOKEN_OF_AN_ACCOUNT + "x" * 20_000]
    looks += [f"{TOKEN_OF_AN_ACCOUNT}a.b.c", f"x{bot}", f"{TOKEN_OF_AN_ACCOUNT}é", f"{bot} {bot}", f"{bot},"]
    return [token(name) for name in (*ENDED, *LASTING, *ODD_SCOPES)] + looks
