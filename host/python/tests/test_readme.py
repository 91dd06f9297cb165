"""Runs the Python examples of `README.md`."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from agno.db.sqlite import SqliteDb
from agno.os import AgentOS
from fastapi import FastAPI
from fastapi.testclient import TestClient

from delete_learning import Policy
from support import LEGAL_HOLD, Identity, Record

EXAMPLES = re.findall(r"```python\n(.*?)```", Path(__file__).parents[1].joinpath("README.md").read_text(), re.DOTALL)


def test_examples_of_guards_and_the_router_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guards, router = EXAMPLES[:2]
    shutil.copy(LEGAL_HOLD, tmp_path)
    monkeypatch.chdir(tmp_path)
    record = Record()
    names: dict[str, Any] = {"identity": lambda request: Identity(), "storage": lambda delete, request: record}
    exec(guards, names)
    exec(router, names)
    response = TestClient(names["app"]).delete("/learnings/user_memory_7")
    # The guard of the example holds the records of alice.
    assert response.status_code == 403, response.text
    assert "hold" in response.text


def test_example_of_an_agentos_runs(tmp_path: Path) -> None:
    example = EXAMPLES[2]
    database = SqliteDb(id="main", db_file=str(tmp_path / "agno.db"))
    database.upsert_learning(id="user_memory_7", learning_type="user_memory", content={}, user_id="alice")
    names: dict[str, Any] = {"AgentOS": AgentOS, "FastAPI": FastAPI, "Policy": Policy, "database": database}
    assert "AgentOS(..., " in example
    exec(example.replace("AgentOS(..., ", "AgentOS(db=database, telemetry=False, "), names)
    client = TestClient(names["app"])
    statuses = [client.delete("/learnings/user_memory_7").status_code for _ in range(2)]
    assert statuses == [204, 404]
    assert len(EXAMPLES) == 3
