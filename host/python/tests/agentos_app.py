"""The AgentOS of `test_agentos.py`: `uvicorn --factory agentos_app:build`."""

import os

from agno.db.sqlite import AsyncSqliteDb, SqliteDb
from agno.os import AgentOS
from agno.os.authz import Authorization
from fastapi import FastAPI

from delete_learning import Policy
from delete_learning.agentos import use_policy


def build() -> FastAPI:
    """Builds the app from environment variables."""
    database = SqliteDb if os.environ["DATABASE"] == "SqliteDb" else AsyncSqliteDb
    agent_os = AgentOS(
        db=database(id="main", db_file=os.environ["LEARNINGS_DB"]),
        authorization=Authorization(verification_keys=[os.environ["JWT_VERIFICATION_KEY"]], algorithm="HS256"),
        user_isolation=True,
        base_app=FastAPI(),
        on_route_conflict="preserve_base_app",
        telemetry=False,
    )
    return use_policy(agent_os, Policy())
