"""Compares this server with the real Agno on the same database, for the URLs, tables and triggers of deployments.

    python deployments.py < deployments.json

`deployments.json` lists running servers, each with its address, the URL of its database, its learnings tables, and the URL
of a direct connection. For each, this script starts an AgentOS with the same URL and tables. It sends each request to both,
compares status, detail and deleted records, and restores the deleted records. No difference is allowed.
"""

import http.client
import json
import logging
import os
import sys
from urllib.parse import quote

import agent_os
import sqlalchemy
from agno.db.postgres import AsyncPostgresDb, PostgresDb
from agno.db.sqlite import AsyncSqliteDb, SqliteDb

ASYNC_DRIVERS = ("+asyncpg", "+psycopg_async", "+aiosqlite")


def open_database(url, table):
    """Opens the database as an AgentOS does, with Agno's default id."""
    is_async = any(driver in url for driver in ASYNC_DRIVERS)
    if url.startswith("sqlite"):
        return (AsyncSqliteDb if is_async else SqliteDb)(db_url=url, learnings_table=table)
    return (AsyncPostgresDb if is_async else PostgresDb)(db_url=url, learnings_table=table)


def records(tables):
    """Returns table and id of every record. The trigger of the deployment, if it has one, retains `vetoed`."""
    return {(table, id) for table in tables for id in ("both", f"only in {table}", "vetoed")}


def requests(tables, db_id):
    """Returns paths and queries."""
    ids = ["both", "vetoed", "absent"] + [f"only in {table}" for table in tables]
    queries = [[], ["db_id"], ["db_id", "table=nothing"], ["db_id=nowhere"], ["table=" + tables[0]]]
    queries += [["db_id", f"table={table}"] for table in tables] + [["db_id=", "table="], ["db_id", "table="]]
    queries = ["&".join(f"db_id={quote(db_id)}" if part == "db_id" else part for part in query) for query in queries]
    return [(f"/learnings/{quote(id)}", query) for id in ids for query in queries]


class Database:
    """A direct connection."""

    def __init__(self, url, tables):
        self.engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        self.schema = "" if url.startswith("sqlite") else "ai."
        self.tables = tables
        self.restore(records(tables))

    def restore(self, missing):
        with self.engine.connect() as connection:
            for table, id in missing:
                sql = f"""INSERT INTO {self.schema}"{table}" (learning_id, learning_type, user_id, content, created_at)
                          VALUES (:id, 'test', 'alice', '{{}}', 1)"""
                connection.execute(sqlalchemy.text(sql), {"id": id})

    def restore_deleted(self):
        """Restores the deleted records and returns them."""
        with self.engine.connect() as connection:
            remaining = {
                (table, id)
                for table in self.tables
                for (id,) in connection.execute(sqlalchemy.text(f'SELECT learning_id FROM {self.schema}"{table}"'))
            }
        missing = records(self.tables) - remaining
        self.restore(missing)
        return sorted(missing)


def send(address, path, query):
    """Returns status and detail."""
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("DELETE", path + ("?" + query if query else ""))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, json.loads(body)["detail"] if body else None


def compare(deployment):
    """Returns the number of requests, the number of records that the server deleted, and the differences."""
    os.environ.update(deployment["environment"])
    tables = deployment["tables"]
    databases = [open_database(deployment["url"], table) for table in tables]
    ids = {database.id for database in databases}
    if len(ids) != 1:
        sys.exit(f"Agno gives the tables of one database several ids: {ids}")
    address, stop = agent_os.serve(databases, authorization=False)
    database = Database(deployment["direct"], tables)
    count, deletions, differences = 0, 0, []
    for path, query in requests(tables, deployment["db_id"]):
        ours = (*send(deployment["address"], path, query), database.restore_deleted())
        agnos_query = query.replace(quote(deployment["db_id"]), quote(ids.copy().pop()))
        status, detail = send(address, path, agnos_query)
        # The ids of the database differ, and a detail contains the one of the request.
        detail = detail and detail.replace(databases[0].id, deployment["db_id"])
        agnos = (status, detail, database.restore_deleted())
        count, deletions = count + 1, deletions + len(ours[2])
        if ours != agnos:
            differences.append((path, query, ours, agnos))
    stop()
    for name in deployment["environment"]:
        del os.environ[name]
    return count, deletions, differences


def main():
    logging.disable(logging.CRITICAL)
    is_equal = True
    for deployment in json.load(sys.stdin):
        count, deletions, differences = compare(deployment)
        print(f"{deployment['name']}: {count} requests, {deletions} deletions, {len(differences)} differences")
        for path, query, ours, agnos in differences:
            print(f"  {path}?{query}\n    here {ours}\n    Agno {agnos}")
        is_equal &= not differences and deletions > 0
    sys.exit(not is_equal)


if __name__ == "__main__":
    main()
