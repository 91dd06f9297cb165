"""Creates, fills and reads a database of learnings with the real Agno.

    python learnings.py fill FILE     creates FILE with a few records of each learning type
    python learnings.py ids FILE      prints the ids that Agno finds in FILE, as a JSON list

The script uses Agno's database class, so tables, columns and indexes are those of a real AgentOS.
"""

import json
import sys
from pathlib import Path

from agno.db.sqlite import SqliteDb

# Id, learning type and columns. A record without `user_id` is shared by agents and teams.
RECORDS = [
    ("user_profile_alice@example.com", "user_profile", {"user_id": "alice"}),
    ("user_profile_bob@example.com", "user_profile", {"user_id": "bob"}),
    ("user_memory_alice", "user_memory", {"user_id": "alice", "agent_id": "assistant"}),
    ("memory of alice / Zürich 🦀", "user_memory", {"user_id": "alice"}),
    ("100% 'quoted' \"twice\"", "user_memory", {"user_id": "alice"}),
    ("session_context_s1", "session_context", {"user_id": "bob", "session_id": "s1"}),
    ("session_context_shared", "session_context", {"session_id": "s2", "team_id": "research"}),
    (
        "entity_global_person_ada",
        "entity_memory",
        {"namespace": "global", "entity_id": "ada", "entity_type": "person"},
    ),
    (
        "entity_alice_company_acme",
        "entity_memory",
        {"namespace": "user", "user_id": "alice", "entity_id": "acme", "entity_type": "company"},
    ),
    ("learned_knowledge_1", "learned_knowledge", {"namespace": "global", "agent_id": "assistant"}),
    ("decision_1", "decision_log", {"user_id": "alice", "agent_id": "assistant", "session_id": "s1"}),
]


def fill(file: Path) -> None:
    db = SqliteDb(db_file=str(file))
    for id, learning_type, columns in RECORDS:
        content = {"about": id, "learned": ["one", "two"]}
        db.upsert_learning(id=id, learning_type=learning_type, content=content, metadata={"source": "test"}, **columns)
    found = [id for id, _, _ in RECORDS if db.get_learning_by_id(id) is not None]
    if len(found) != len(RECORDS):
        sys.exit(f"Agno stored {len(found)} of {len(RECORDS)} records")


def ids(file: Path) -> None:
    db = SqliteDb(db_file=str(file))
    print(json.dumps(sorted(id for id, _, _ in RECORDS if db.get_learning_by_id(id) is not None)))


if __name__ == "__main__":
    commands = {"fill": fill, "ids": ids}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](Path(sys.argv[2]))
