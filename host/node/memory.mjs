// The contract's `storage` on learnings in memory.
import { ContractError } from './host.mjs';

const TABLE = 'agno_learnings';

/** Records never change, so each has one revision. */
const REVISION = '1';

/**
 * Returns the storage of the record that a request names. If the request names no valid record, every function throws
 * the reason. `databases` maps the id of each database to a Map of learning id → owner (null for no owner). Each
 * database has one table, `agno_learnings`.
 */
export function storageForRequest(databases, { learningId, isValid, dbId, table, isRepeated }) {
  // An empty name has the same meaning as none.
  const database = dbId || (databases.size === 1 ? [...databases.keys()][0] : undefined);
  const kind =
    (isRepeated && 'repeated-parameter') ||
    (!isValid && 'invalid-learning-id') ||
    (!database && 'database-required') ||
    (!databases.has(database) && 'unknown-database') ||
    (table && table !== TABLE && 'unknown-table');
  if (!kind) return storageForRecord(databases.get(database), learningId, database);
  const fail = () => {
    throw new ContractError({ kind, message: 'the request names no valid record' });
  };
  return { locate: fail, find: fail, delete: fail, deleteIfOwnedBy: fail, deleteIfUnchanged: fail };
}

/**
 * Returns the storage of the record with this id.
 *
 * JavaScript runs each function to completion, so each delete is atomic, as the contract requires. With a database, use
 * one statement: `DELETE … WHERE learning_id = ? AND user_id = ?`.
 */
export function storageForRecord(records, id, database) {
  const deleteUnless = (failedCondition) => {
    if (!records.has(id)) return 'absent';
    if (failedCondition) return failedCondition;
    records.delete(id);
    return 'deleted';
  };
  return {
    locate: () => ({ database, table: TABLE }),
    find: () => ({ learning: records.has(id) ? learning(records.get(id)) : undefined }),
    delete: () => deleteUnless(),
    deleteIfOwnedBy(userId) {
      const owner = records.get(id);
      return deleteUnless(owner === null ? 'unowned' : owner !== userId && 'owned-by-another');
    },
    deleteIfUnchanged: (revision) => deleteUnless(revision !== REVISION && 'changed'),
  };
}

function learning(owner) {
  // jco uses a BigInt for s64, and undefined or an omitted field for none.
  return { learningType: 'user_profile', userId: owner ?? undefined, content: '{}', createdAt: 0n, revision: REVISION };
}
