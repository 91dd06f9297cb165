// A situation: everything that a decision depends on. It is what the form holds and what the address of the page holds
// after `#`. All values are texts; a checked box is 'yes', an unchecked one ''.

import { IdentityErrorKind, StorageErrorKind } from './build/package/contract.js';

/** The error kinds of `identity.current`. */
export const IDENTITY_ERRORS = Object.values(IdentityErrorKind);

const DELETE_ERRORS = Object.values(StorageErrorKind);
/** Only deletes can be denied, or have an unknown outcome. */
const READ_ERRORS = DELETE_ERRORS.filter((kind) => kind !== 'denied' && kind !== 'outcome-unknown');

/**
 * What each function of storage can return in place of its own result: an error, or, as after a race, an outcome that
 * differs from the record.
 */
export const FAULTS = {
  locate: { errors: READ_ERRORS, outcomes: [] },
  find: { errors: READ_ERRORS, outcomes: [] },
  delete: { errors: DELETE_ERRORS, outcomes: ['absent'] },
  'delete-if-owned-by': { errors: DELETE_ERRORS, outcomes: ['absent', 'unowned', 'owned-by-another'] },
  'delete-if-unchanged': { errors: DELETE_ERRORS, outcomes: ['absent', 'changed'] },
};

const MAX_TEXT = 512;

const text = (initial, { required = false } = {}) => ({
  initial,
  check(value) {
    if (required && value === '') return 'must not be empty';
    if (value.length > MAX_TEXT) return `has ${value.length} characters; at most ${MAX_TEXT} are possible`;
    if (!value.isWellFormed()) return 'contains half of a surrogate pair, which no text can represent';
  },
});
const choice = (initial, others) => ({
  initial,
  check(value) {
    const values = [initial, ...others];
    if (!values.includes(value)) return `is ${quote(value)}; expected one of ${values.map(quote).join(', ')}`;
  },
});
const flag = () => choice('', ['yes']);
const pattern = (initial, expression, expected) => ({
  initial,
  check: (value) => (expression.test(value) ? undefined : `is ${quote(value)}; expected ${expected}`),
});
const moment = (initial, expression, expected) => ({
  initial,
  check(value) {
    // `Date` accepts February 30 and makes it March 2.
    const date = expression.test(value) ? new Date(value.length > 10 ? `${value}Z` : value) : undefined;
    const isReal = date && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value);
    if (!isReal) return `is ${quote(value)}; expected ${expected}`;
  },
});

/** The fields by name: the initial value, and a check that returns what is wrong with a value, if anything is. */
export const FIELDS = {
  identity: choice('verified', IDENTITY_ERRORS),
  credential: choice('jwt', ['service-account', 'security-key', 'none']),
  subject: text('alice'),
  scopes: text('learnings:delete'),
  'scopes-optional': flag(),
  'all-owners': flag(),
  'admin-scope': text('agent_os:admin'),

  'learning-id': text('user_profile_alice', { required: true }),
  'not-utf-8': flag(),
  'db-id': text(''),
  table: text(''),
  repeated: flag(),
  databases: choice('main', ['main-and-archive', 'no-database']),

  record: choice('owned', ['shared', 'absent']),
  owner: text('alice', { required: true }),
  'learning-type': choice('user_profile', ['user_memory', 'decision_log']),
  session: text(''),
  metadata: choice('none', ['held', 'released', 'unreadable']),
  created: moment('2025-12-08', /^\d{4}-\d\d-\d\d$/, 'a date such as 2025-12-08'),

  'legal-hold': flag(),
  'held-users': text(''),
  'held-sessions': text(''),
  retention: flag(),
  'minimum-age': pattern('30', /^\d{0,5}$/, 'a whole number of days, at most 99999'),
  'minimum-age-of-type': pattern('', /^\d{0,5}$/, 'a whole number of days, at most 99999, or nothing'),
  now: moment('2026-01-07T12:00', /^\d{4}-\d\d-\d\dT\d\d:\d\d$/, 'a time such as 2026-01-07T12:00'),

  ...Object.fromEntries(
    Object.entries(FAULTS).map(([name, { errors, outcomes }]) => [
      `fault-${name}`,
      choice('', [...errors, ...outcomes]),
    ]),
  ),
};

/** The situation in which nothing has been changed. */
export const INITIAL = Object.fromEntries(Object.entries(FIELDS).map(([name, { initial }]) => [name, initial]));

/** Returns what is wrong with a situation: the message of each wrong field, by the name of the field. */
export function problems(situation) {
  const found = Object.entries(FIELDS).map(([name, { check }]) => [name, check(situation[name])]);
  return Object.fromEntries(found.filter(([, problem]) => problem !== undefined));
}

/** Whether two situations are the same. */
export function equal(a, b) {
  return Object.keys(FIELDS).every((name) => a[name] === b[name]);
}

/** Returns the part of the address after `#`: the fields that differ from the initial situation. */
export function toFragment(situation) {
  const changed = Object.keys(FIELDS).filter((name) => situation[name] !== INITIAL[name]);
  return changed.map((name) => `${name}=${encodeURIComponent(situation[name])}`).join('&');
}

/**
 * Returns the situation that `toFragment` wrote.
 *
 * Throws an error whose message names the first mistake. A link is opened as a whole or not at all: without a mistyped
 * field, the page would show the decision on another situation.
 */
export function fromFragment(fragment) {
  const situation = { ...INITIAL };
  const seen = new Set();
  for (const part of fragment === '' ? [] : fragment.split('&')) {
    const [encodedName, encoded] = part.split(/=(.*)/s);
    const name = decode(encodedName, 'a name');
    if (!Object.hasOwn(FIELDS, name)) throw new Error(`the link has an unknown field ${quote(name)}`);
    if (encoded === undefined) throw new Error(`the link has no value for ${quote(name)}`);
    if (seen.has(name)) throw new Error(`the link has ${quote(name)} twice`);
    seen.add(name);
    situation[name] = decode(encoded, quote(name));
    const problem = FIELDS[name].check(situation[name]);
    if (problem) throw new Error(`${quote(name)} ${problem}`);
  }
  return situation;
}

function decode(text, place) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`the link has ${place} that is not percent-encoded UTF-8: ${quote(text)}`);
  }
}

/** Quotes a value for a message, in part if it is long. */
function quote(value) {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40).toWellFormed()}…` : value);
}
