// Learnings in memory, as the contract's `storage`.
import { Failure } from './host.mjs';

const TABLE = 'agno_learnings';

/** Nothing here changes a record, so each has one state. */
const REVISION = '1';

/**
 * The record that a request names; where it names none, one whose every function fails with the reason. `databases`
 * are Maps of id → owner (null where there is none) by the database's id, each with the one table `agno_learnings`.
 */
export function storageOf(databases, { learningId, isValid, dbId, table, isRepeated }) {
  // An empty name is none.
  const database = dbId || (databases.size === 1 ? [...databases.keys()][0] : undefined);
  const kind =
    (isRepeated && 'repeated-parameter') ||
    (!isValid && 'invalid-learning-id') ||
    (!database && 'database-required') ||
    (!databases.has(database) && 'unknown-database') ||
    (table && table !== TABLE && 'unknown-table');
  if (!kind) return recordOf(databases.get(database), learningId, database);
  const fail = () => {
    throw new Failure({ kind, message: 'the request names no record' });
  };
  return { locate: fail, find: fail, delete: fail, deleteIfOwnedBy: fail, deleteIfUnchanged: fail };
}

/**
 * The record of this id.
 *
 * JavaScript runs each function to its end before anything else, so each delete is the one step that the contract asks
 * for. With a database, make it one statement: `DELETE … WHERE learning_id = ? AND user_id = ?`.
 */
export function recordOf(records, id, database) {
  const deleteIf = (refused) => {
    if (!records.has(id)) return 'absent';
    if (refused) return refused;
    records.delete(id);
    return 'deleted';
  };
  return {
    locate: () => ({ database, table: TABLE }),
    find: () => ({ learning: records.has(id) ? learning(records.get(id)) : undefined }),
    delete: () => deleteIf(),
    deleteIfOwnedBy(userId) {
      const owner = records.get(id);
      return deleteIf(owner === null ? 'unowned' : owner !== userId && 'owned-by-another');
    },
    deleteIfUnchanged: (revision) => deleteIf(revision !== REVISION && 'changed'),
  };
}

function learning(owner) {
  // The contract's s64 is a BigInt; its none is undefined, as where a field is left out.
  return { learningType: 'user_profile', userId: owner ?? undefined, content: '{}', createdAt: 0n, revision: REVISION };
}
