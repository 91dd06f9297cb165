"""Serves databases with the real AgentOS."""

import threading
import time

import uvicorn
from agno.agent import Agent
from agno.models.base import Model
from agno.os import AgentOS
from agno.os.middleware import JWTMiddleware


def serve(databases, middleware=None, **settings):
    """Starts an AgentOS with these databases. Returns its address and a function that stops it.

    `middleware` is the configuration of a JWT middleware, whose claims an AgentOS itself cannot configure.
    """
    # An AgentOS uses the databases of its agents. The agents never run, so their model is a stub.
    stub = type("Stub", (Model,), {name: lambda *_, **__: None for name in Model.__abstractmethods__})
    agents = [
        Agent(id=f"agent-{index}", db=database, model=stub(id="stub"), telemetry=False)
        for index, database in enumerate(databases)
    ]
    app = AgentOS(id="os", agents=agents, telemetry=False, **settings).get_app()
    if middleware:
        app.add_middleware(JWTMiddleware, **middleware)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def stop():
        server.should_exit = True
        thread.join()

    return f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", stop
