// A storage on PostgreSQL, and its adapter for the test kit. DATABASE_URL names the database.
import { StorageError } from 'delete-learning';
import { columnName } from 'delete-learning/testkit';
import pg from 'pg';
import { COLUMNS, learning } from './columns.mjs';

export async function open() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
  const columns = COLUMNS.map((name) => `${columnName(name)} ${name.endsWith('At') ? 'BIGINT' : 'TEXT'}`);
  await pool
    .query(`CREATE TABLE IF NOT EXISTS agno_learnings (learning_id TEXT PRIMARY KEY, ${columns.join(', ')})`)
    // Two connections can create the table at the same time.
    .catch((error) => {
      if (error.code !== '23505') throw error;
    });
  return pool;
}

/** The storage of one record. */
export class PostgresStorage {
  constructor(pool, id) {
    this.pool = pool;
    this.id = id;
  }

  locate() {
    return { database: 'main', table: 'agno_learnings' };
  }

  async find() {
    const { rows } = await this.pool.query('SELECT * FROM agno_learnings WHERE learning_id = $1', [this.id]);
    return rows.length > 0 ? { learning: learning(rows[0]) } : {};
  }

  async delete() {
    const { rowCount } = await this.pool.query('DELETE FROM agno_learnings WHERE learning_id = $1', [this.id]);
    return rowCount > 0 ? 'deleted' : 'absent';
  }

  deleteIfOwnedBy(userId) {
    return this.#transaction(async ({ user_id: owner }) => {
      if (owner === null) return 'unowned';
      return owner === userId ? 'deleted' : 'owned-by-another';
    });
  }

  deleteIfUnchanged(revision) {
    return this.#transaction(async (row) => (learning(row).revision === revision ? 'deleted' : 'changed'));
  }

  /** Locks the row, so that nothing changes it between the statements. */
  async #transaction(decide) {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('SELECT * FROM agno_learnings WHERE learning_id = $1 FOR UPDATE', [this.id]);
      const outcome = rows.length > 0 ? await decide(rows[0]) : 'absent';
      if (outcome === 'deleted') await client.query('DELETE FROM agno_learnings WHERE learning_id = $1', [this.id]);
      await client.query('COMMIT');
      return outcome;
    } catch (error) {
      await client.query('ROLLBACK');
      throw new StorageError('internal', error.message);
    } finally {
      client.release();
    }
  }
}

/** The adapter of a storage on PostgreSQL. */
export async function adapter(Storage) {
  const pool = await open();
  return {
    open: (id) => new Storage(pool, id),
    async insert(id, columns) {
      const names = ['learning_id', ...COLUMNS.map(columnName)];
      const values = [id, ...COLUMNS.map((name) => columns[name] ?? null)];
      await pool.query(`INSERT INTO agno_learnings (${names}) VALUES (${names.map((_, at) => `$${at + 1}`)})`, values);
    },
    async change(id, { column, value = null, expectedOwner = null }, beforeCommit) {
      const client = await pool.connect();
      await client.query('BEGIN');
      const isOwner = 'user_id IS NOT DISTINCT FROM $3';
      const statement = `UPDATE agno_learnings SET ${column} = $1 WHERE learning_id = $2 AND ${isOwner}`;
      const { rowCount } = await client.query(statement, [value, id, expectedOwner]);
      await beforeCommit();
      await client.query('COMMIT');
      client.release();
      return rowCount > 0;
    },
    async exists(id) {
      const { rows } = await pool.query('SELECT 1 FROM agno_learnings WHERE learning_id = $1', [id]);
      return rows.length > 0;
    },
    close: () => pool.end(),
  };
}

export default () => adapter(PostgresStorage);
