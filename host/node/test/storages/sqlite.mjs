// A storage on SQLite, and its adapter for the test kit. DATABASE is the path of the database.
import { DatabaseSync } from 'node:sqlite';
import { StorageError } from 'delete-learning';
import { columnName } from 'delete-learning/testkit';
import { COLUMNS, learning } from './columns.mjs';

export function open() {
  const database = new DatabaseSync(process.env.DATABASE, { timeout: 5000 });
  const columns = COLUMNS.map((name) => `${columnName(name)} ${name.endsWith('At') ? 'INTEGER' : 'TEXT'}`);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec(`CREATE TABLE IF NOT EXISTS agno_learnings (learning_id TEXT PRIMARY KEY, ${columns.join(', ')})`);
  return database;
}

/** The storage of one record. */
export class SqliteStorage {
  constructor(database, id) {
    this.database = database;
    this.id = id;
  }

  locate() {
    return { database: 'main', table: 'agno_learnings' };
  }

  find() {
    const statement = this.#prepare('SELECT * FROM agno_learnings WHERE learning_id = ?');
    statement.setReadBigInts(true);
    const row = statement.get(this.id);
    return row ? { learning: learning(row) } : {};
  }

  delete() {
    return this.#run('DELETE FROM agno_learnings WHERE learning_id = ?') ? 'deleted' : 'absent';
  }

  deleteIfOwnedBy(userId) {
    return this.#transaction(() => {
      if (this.#run('DELETE FROM agno_learnings WHERE learning_id = ? AND user_id = ?', userId)) return 'deleted';
      const row = this.#prepare('SELECT user_id FROM agno_learnings WHERE learning_id = ?').get(this.id);
      return row ? (row.user_id === null ? 'unowned' : 'owned-by-another') : 'absent';
    });
  }

  deleteIfUnchanged(revision) {
    return this.#transaction(() => {
      const { learning } = this.find();
      if (!learning) return 'absent';
      return learning.revision === revision ? this.delete() : 'changed';
    });
  }

  /** The write lock is held from the beginning, so nothing changes between the statements. */
  #transaction(run) {
    try {
      this.database.exec('BEGIN IMMEDIATE');
    } catch (error) {
      throw new StorageError('unavailable', error.message);
    }
    try {
      const outcome = run();
      this.database.exec('COMMIT');
      return outcome;
    } catch (error) {
      this.database.exec('ROLLBACK');
      throw new StorageError('internal', error.message);
    }
  }

  #prepare(sql) {
    return this.database.prepare(sql);
  }

  #run(sql, ...values) {
    return this.#prepare(sql).run(this.id, ...values).changes > 0;
  }
}

/** The adapter of a storage on SQLite. */
export function adapter(Storage) {
  const database = open();
  return {
    open: (id) => new Storage(database, id),
    insert(id, columns) {
      const names = ['learning_id', ...COLUMNS.map(columnName)];
      const statement = `INSERT INTO agno_learnings (${names}) VALUES (${names.map(() => '?')})`;
      database.prepare(statement).run(id, ...COLUMNS.map((name) => columns[name] ?? null));
    },
    async change(id, { column, value = null, expectedOwner = null }, beforeCommit) {
      database.exec('BEGIN IMMEDIATE');
      const statement = `UPDATE agno_learnings SET ${column} = ? WHERE learning_id = ? AND user_id IS ?`;
      const { changes } = database.prepare(statement).run(value, id, expectedOwner);
      await beforeCommit();
      database.exec('COMMIT');
      return changes > 0;
    },
    exists: (id) => database.prepare('SELECT 1 FROM agno_learnings WHERE learning_id = ?').get(id) !== undefined,
    close: () => database.close(),
  };
}

export default () => adapter(SqliteStorage);
