// The contract's `identity` and `storage` for a situation. The one record of the situation is in memory.
import { ContractError } from './host/host.mjs';
import { IDENTITY_ERRORS } from './situation.mjs';

const TABLE = 'agno_learnings';
const DATABASES = { main: ['main'], 'main-and-archive': ['main', 'archive'], 'no-database': [] };
const METADATA = {
  none: undefined,
  held: '{"legal_hold": true}',
  released: '{"legal_hold": false}',
  unreadable: '{"legal_hold": "yes"}',
};
/** The record never changes, so it has one revision. */
const REVISION = '1';

const listed = (text) => text.split(',').map((part) => part.trim()).filter(Boolean);

/** Returns the request of a situation, as the policy receives it. */
export function requestOf(situation) {
  const { 'learning-id': id, 'db-id': dbId, table, repeated } = situation;
  // The id of a request that is not UTF-8 has U+FFFD in place of the invalid byte.
  return {
    learningId: situation['not-utf-8'] ? `${id}\ufffd` : id,
    dbId: dbId || (repeated ? 'main' : undefined),
    table: table || undefined,
  };
}

/** Returns `identity` for a situation. */
export function identityOf(situation) {
  const { identity, credential, subject, scopes } = situation;
  return {
    current() {
      if (IDENTITY_ERRORS.includes(identity)) {
        throw new ContractError({ kind: identity, credential, message: 'selected on the page' });
      }
      return {
        credential,
        subject: subject || undefined,
        scopes: scopes.split(/\s+/).filter(Boolean),
        scopesOptional: situation['scopes-optional'] === 'yes',
        allOwners: situation['all-owners'] === 'yes',
        adminScope: situation['admin-scope'],
      };
    },
  };
}

/** Returns `storage` for a situation: bound to the record that its request names, with the injected faults. */
export function storageOf(situation) {
  const { learningId, dbId, table } = requestOf(situation);
  const databases = DATABASES[situation.databases];
  const database = dbId ?? (databases.length === 1 ? databases[0] : undefined);
  // The order is that of the server.
  const invalid =
    (situation.repeated && 'repeated-parameter') ||
    (situation['not-utf-8'] && 'invalid-learning-id') ||
    (databases.length === 0 && !dbId && 'unsupported') ||
    (!database && 'database-required') ||
    (!databases.includes(database) && 'unknown-database') ||
    (table !== undefined && table !== TABLE && 'unknown-table');

  let record = situation.record !== 'absent' && database === 'main' ? recordOf(situation) : undefined;
  const remove = (failedCondition) => {
    if (!record) return 'absent';
    if (failedCondition) return failedCondition(record);
    record = undefined;
    return 'deleted';
  };
  const unless = (condition, outcome) => (condition ? undefined : () => outcome);
  const functions = {
    locate: () => ({ database, table: TABLE }),
    find: () => ({ learning: record }),
    delete: () => remove(),
    deleteIfOwnedBy: (userId) =>
      remove(unless(record?.userId === userId, record?.userId === undefined ? 'unowned' : 'owned-by-another')),
    deleteIfUnchanged: (revision) => remove(unless(record?.revision === revision, 'changed')),
  };
  const fail = (kind, message) => {
    throw new ContractError({ kind, message });
  };
  return Object.fromEntries(
    Object.entries(functions).map(([name, act]) => [
      name,
      (argument) => {
        if (invalid) fail(invalid, 'the request names no valid record');
        const fault = situation[`fault-${kebabCase(name)}`];
        if (OUTCOMES.has(fault)) return fault;
        if (fault) fail(fault, fault === 'denied' ? 'This database retains its records' : 'selected on the page');
        return act(argument);
      },
    ]),
  );
}

const OUTCOMES = new Set(['absent', 'unowned', 'owned-by-another', 'changed']);

function recordOf(situation) {
  return {
    learningType: situation['learning-type'],
    userId: situation.record === 'owned' ? situation.owner : undefined,
    sessionId: situation.session || undefined,
    content: '{}',
    metadata: METADATA[situation.metadata],
    createdAt: BigInt(Date.parse(situation.created) / 1000),
    revision: REVISION,
  };
}

/** Returns the guards of a situation, outermost first: name and settings. */
export function guardsOf(situation) {
  const guards = [];
  if (situation['legal-hold']) {
    guards.push({
      name: 'legal-hold',
      settings: {
        held_users: JSON.stringify(listed(situation['held-users'])),
        held_sessions: JSON.stringify(listed(situation['held-sessions'])),
      },
    });
  }
  if (situation.retention) {
    const settings = {};
    if (situation['minimum-age']) settings.default_minimum_age_days = situation['minimum-age'];
    if (situation['minimum-age-of-type']) {
      settings[`minimum_age_days.${situation['learning-type']}`] = situation['minimum-age-of-type'];
    }
    guards.push({ name: 'retention', settings });
  }
  return guards;
}

/** Returns the current time of a situation, in seconds since 1970. */
export function nowOf(situation) {
  return Date.parse(`${situation.now}Z`) / 1000;
}

/** Returns the name in the contract of a function. */
export function kebabCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
