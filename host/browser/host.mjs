// The host of a situation: the request, the contract's `identity` and `storage`, the guards, and the time.
import { IdentityError, StorageError } from './build/package/browser.js';
import { storageForRequest } from './build/package/memory.js';
import { IDENTITY_ERRORS } from './situation.mjs';

const DATABASES = { main: ['main'], 'main-and-archive': ['main', 'archive'], 'no-database': [] };
const METADATA = {
  held: '{"legal_hold": true}',
  released: '{"legal_hold": false}',
  unreadable: '{"legal_hold": "yes"}',
};
/** The faults that are outcomes; all others are kinds of errors. */
const OUTCOMES = ['absent', 'unowned', 'owned-by-another', 'changed'];
/** The name in the contract of each function of `storage`. */
export const FUNCTIONS = {
  locate: 'locate',
  find: 'find',
  delete: 'delete',
  deleteIfOwnedBy: 'delete-if-owned-by',
  deleteIfUnchanged: 'delete-if-unchanged',
};

/** Returns the request of a situation, as the policy receives it. */
export function requestOf(situation) {
  const { 'learning-id': id, 'db-id': dbId, table, repeated } = situation;
  return {
    // A byte that is not UTF-8 is replaced.
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
      if (IDENTITY_ERRORS.includes(identity)) throw new IdentityError(identity, credential, 'selected on the page');
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

/** Returns `storage` for a situation: bound to the record that the request names, with the injected faults. */
export function storageOf(situation) {
  const request = requestOf(situation);
  const databases = new Map(DATABASES[situation.databases].map((id) => [id, new Map()]));
  if (situation.record !== 'absent') databases.get('main')?.set(request.learningId, recordOf(situation));
  const invalid =
    (situation.repeated && 'repeated-parameter') ||
    (situation['not-utf-8'] && 'invalid-learning-id') ||
    (databases.size === 0 && !request.dbId && 'unsupported') ||
    undefined;
  const storage = storageForRequest(databases, { ...request, invalid });

  const withFault = ([name, act]) => {
    const fault = situation[`fault-${FUNCTIONS[name]}`];
    // A request that names no valid record does not get as far as the fault.
    const isBound = !invalid && isLocated(storage);
    if (!fault || !isBound) return [name, act];
    if (OUTCOMES.includes(fault)) return [name, () => fault];
    const message = fault === 'denied' ? 'This database retains its records' : 'selected on the page';
    return [
      name,
      () => {
        throw new StorageError(fault, message);
      },
    ];
  };
  return Object.fromEntries(Object.entries(storage).map(withFault));
}

function isLocated(storage) {
  try {
    return Boolean(storage.locate());
  } catch {
    return false;
  }
}

function recordOf(situation) {
  return {
    learningType: situation['learning-type'],
    userId: situation.record === 'owned' ? situation.owner : undefined,
    sessionId: situation.session || undefined,
    metadata: METADATA[situation.metadata],
    createdAt: BigInt(Date.parse(situation.created) / 1000),
  };
}

/** Returns the guards of a situation, outermost first: name and settings. */
export function guardsOf(situation) {
  const guards = [];
  if (situation['legal-hold']) {
    const settings = {
      held_users: listOf(situation['held-users']),
      held_sessions: listOf(situation['held-sessions']),
    };
    guards.push({ name: 'legal-hold', settings });
  }
  if (situation.retention) {
    const settings = {};
    if (situation['minimum-age']) settings.default_minimum_age_days = situation['minimum-age'];
    const ofType = situation['minimum-age-of-type'];
    if (ofType) settings[`minimum_age_days.${situation['learning-type']}`] = ofType;
    guards.push({ name: 'retention', settings });
  }
  return guards;
}

/** Returns the current time of a situation, in nanoseconds since 1970. */
export function nowOf(situation) {
  return BigInt(Date.parse(`${situation.now}Z`)) * 1_000_000n;
}

function listOf(text) {
  return JSON.stringify(
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  );
}
