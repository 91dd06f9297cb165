// Learnings in memory, for tests and demonstrations.
import { StorageError, type Learning, type Outcome, type RecordStorage, type StorageErrorKind } from './contract.js';

/** The one table of each database. */
const TABLE = 'agno_learnings';

/** A record: its owner (null for none), or some of its columns. */
export type MemoryRecord = string | null | Partial<Learning>;

/** A record of a request, as `delete-learning/express` and `delete-learning/fastify` parse it. */
export interface MemoryTarget {
  learningId: string;
  dbId?: string | undefined;
  table?: string | undefined;
  /** The reason why the request names no valid record. */
  invalid?: StorageErrorKind | undefined;
}

/**
 * Returns the storage of the record that a request names. If it names none, every function throws the reason.
 * `databases` maps the id of each database to its records by id; each has one table, `agno_learnings`.
 */
export function storageForRequest(
  databases: ReadonlyMap<string, Map<string, MemoryRecord>>,
  { learningId, dbId, table, invalid }: MemoryTarget,
): RecordStorage {
  // An empty name has the same meaning as none.
  const database = dbId || (databases.size === 1 ? [...databases.keys()][0] : undefined);
  const records = database === undefined ? undefined : databases.get(database);
  const kind =
    invalid ??
    (database === undefined
      ? 'database-required'
      : records === undefined
        ? 'unknown-database'
        : table && table !== TABLE
          ? 'unknown-table'
          : undefined);
  return kind === undefined ? storageForRecord(records!, learningId, database!) : unresolvedStorage(kind);
}

/** A storage whose functions all throw an error of this kind, for a request that names no valid record. */
export function unresolvedStorage(kind: StorageErrorKind): RecordStorage {
  const fail = (): never => {
    throw new StorageError(kind, 'the request names no valid record');
  };
  return { locate: fail, find: fail, delete: fail, deleteIfOwnedBy: fail, deleteIfUnchanged: fail };
}

/**
 * Returns the storage of the record with this id.
 *
 * JavaScript runs each function to its end, so each delete is atomic. With a database, use one statement:
 * `DELETE … WHERE learning_id = ? AND user_id = ?`.
 */
export function storageForRecord(records: Map<string, MemoryRecord>, id: string, database: string): RecordStorage {
  const deleteUnless = (failed: (learning: Learning) => Outcome | undefined): Outcome => {
    const found = find();
    if (!found) return 'absent';
    const outcome = failed(found);
    if (outcome) return outcome;
    records.delete(id);
    return 'deleted';
  };
  const find = () => (records.has(id) ? learning(records.get(id)!) : undefined);
  return {
    locate: () => ({ database, table: TABLE }),
    find: () => {
      const found = find();
      return found ? { learning: found } : {};
    },
    delete: () => deleteUnless(() => undefined),
    deleteIfOwnedBy: (userId) =>
      deleteUnless(({ userId: owner }) => {
        if (owner === undefined) return 'unowned';
        return owner === userId ? undefined : 'owned-by-another';
      }),
    deleteIfUnchanged: (revision) => deleteUnless((found) => (found.revision === revision ? undefined : 'changed')),
  };
}

/** Records in memory never change, so each has one revision. */
function learning(record: MemoryRecord): Learning {
  const columns = typeof record === 'string' ? { userId: record } : (record ?? {});
  return { learningType: 'user_profile', content: '{}', createdAt: 0n, revision: '1', ...columns };
}
