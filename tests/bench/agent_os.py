"""The real AgentOS on a database file, as an operator starts it: python agent_os.py FILE PORT SECRET.

Tokens are HS256, scopes are enforced, users are isolated; the server is the one that AgentOS brings, as it starts it.
"""

import os
import sys

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.base import Model
from agno.os import AgentOS
from agno.os.config import AuthorizationConfig

file, port, secret = sys.argv[1:]
for name in ("OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"):
    os.environ.pop(name, None)

# The database of an AgentOS is that of its agents. This one never runs, so its model says nothing.
silent = type("Silent", (Model,), {name: lambda *_, **__: None for name in Model.__abstractmethods__})
agent = Agent(id="assistant", db=SqliteDb(id="main", db_file=file), model=silent(id="silent"), telemetry=False)
config = AuthorizationConfig(verification_keys=[secret], algorithm="HS256", user_isolation=True)
agent_os = AgentOS(
    id="os", agents=[agent], telemetry=False, authorization=True, user_isolation=True, authorization_config=config
)
agent_os.serve(app=agent_os.get_app(), host="127.0.0.1", port=int(port))
