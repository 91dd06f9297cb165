// The shipped policy's rules (guest/policy/src/policy.rs) in JavaScript, as an example of a policy in a language that needs
// WASI. The host's functions throw their errors: `payload` is the contract's.
import { current } from 'learnings:plugin/identity@0.1.0';
import * as storage from 'learnings:plugin/storage@0.1.0';

const STATUS = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'too-many-requests': 429,
  'internal-server-error': 500,
  'not-implemented': 501,
  'service-unavailable': 503,
};

/** What is thrown to refuse. */
function refusal(code, detail, rule) {
  return { status: STATUS[code], code, detail, rule };
}

/** Calls the host: what it answers, and its error as a value. */
function ask(call) {
  try {
    return { answer: call() };
  } catch (error) {
    const cause = error?.payload ?? error;
    if (typeof cause?.kind !== 'string') throw error;
    return { error: cause };
  }
}

export function deleteLearning({ dbId, table }) {
  const { answer: caller, error } = ask(current);
  if (error) throw notIdentified(error);
  const isToken = caller.credential === 'jwt' || caller.credential === 'service-account';
  const holds = (scope) => caller.scopes.includes(scope);
  const isAdmin = caller.adminScope !== '' && holds(caller.adminScope);
  const needsScope = caller.credential === 'service-account' || (isToken && caller.enforceScopes);
  if (needsScope && !isAdmin && !holds('learnings:delete') && !holds('learnings:*:delete')) {
    throw refusal('forbidden', 'Insufficient permissions. Required scope(s): learnings:delete', 'missing-scope');
  }
  if (table && !dbId) {
    const detail = 'The db_id query parameter is required when passing a table';
    throw refusal('bad-request', detail, 'table-without-database');
  }
  const isConfined = isToken && !isAdmin && (caller.credential === 'service-account' || caller.userIsolation);
  if (isConfined && !caller.subject) {
    const { error } = ask(storage.locate);
    if (error) throw notStored(error, dbId, table);
    throw refusal('forbidden', 'Authenticated request is missing a user identity', 'missing-subject');
  }
  const { answer: outcome, error: failure } = ask(() =>
    isConfined ? storage.deleteIfOwnedBy(caller.subject) : storage.delete(),
  );
  if (failure) throw notStored(failure, dbId, table);
  switch (outcome) {
    case 'deleted':
      return;
    case 'absent':
      throw refusal('not-found', 'Learning not found', 'learning-absent');
    case 'owned-by-another':
      // Worded like an absent one, so that nobody learns which ids exist.
      if (isConfined) throw refusal('not-found', 'Learning not found', 'learning-owned-by-another');
      break;
    case 'unowned': {
      const detail = 'Only admins can modify learnings that have no owner (user_id is null)';
      if (isConfined) throw refusal('forbidden', detail, 'learning-unowned');
    }
  }
  throw refusal('internal-server-error', 'Failed to delete learning', 'unexpected-outcome');
}

function notIdentified({ kind, credential }) {
  const isJwt = credential === 'jwt';
  const isAccount = credential === 'service-account';
  const unauthenticated = (detail) => refusal('unauthenticated', detail, `identity-${kind}`);
  switch (kind) {
    case 'missing':
      return unauthenticated(isJwt ? 'Authorization header missing' : 'Authorization header required');
    case 'malformed':
      return unauthenticated("Authorization header must be one 'Bearer <token>'");
    case 'invalid':
      if (isAccount) return unauthenticated('Invalid or expired service account token');
      return unauthenticated(isJwt ? 'Invalid token' : 'Invalid authentication token');
    case 'expired':
      // The same words and the same rule as an invalid one, where it is a service account's.
      return isAccount
        ? refusal('unauthenticated', 'Invalid or expired service account token', 'identity-invalid')
        : unauthenticated('Token has expired');
    case 'wrong-audience':
      return unauthenticated('Invalid token audience - token not valid for this AgentOS instance');
    case 'reserved-subject':
      return unauthenticated('Invalid token subject');
    case 'not-enabled':
      return unauthenticated(
        isAccount
          ? 'Service accounts are not enabled on this AgentOS instance'
          : 'This kind of credential is not enabled on this AgentOS instance',
      );
    case 'rate-limited':
      return refusal('too-many-requests', 'Too many failed authentication attempts', 'identity-rate-limited');
    case 'unavailable':
      return refusal('service-unavailable', 'Authentication is temporarily unavailable', 'identity-unavailable');
    default:
      return refusal('internal-server-error', 'Internal server error', 'identity-failed');
  }
}

function notStored({ kind }, dbId, table) {
  switch (kind) {
    case 'invalid-learning-id':
      return refusal('bad-request', 'The learning_id must be UTF-8, percent-encoded, and not overlong', kind);
    case 'repeated-parameter':
      return refusal('bad-request', 'The db_id and table query parameters may be given once each', kind);
    case 'database-required':
      return refusal('bad-request', 'The db_id query parameter is required when using multiple databases', kind);
    case 'unknown-database':
      return refusal('not-found', `No database found with id '${quotable(dbId)}'`, kind);
    case 'unknown-table':
      return refusal('not-found', `No database with id '${quotable(dbId)}' has table '${quotable(table)}'`, kind);
    case 'unsupported':
      return refusal('not-implemented', 'Learnings not supported by the configured database', 'unsupported-database');
    case 'unavailable': {
      const detail = 'The database is temporarily unavailable; nothing was deleted';
      return refusal('service-unavailable', detail, 'storage-unavailable');
    }
    case 'outcome-unknown':
      return refusal('internal-server-error', 'Failed to delete learning', 'outcome-unknown');
    default:
      return refusal('internal-server-error', 'Failed to delete learning', 'storage-failed');
  }
}

/** What a caller sent, as it may be repeated to it: without control characters, and 400 bytes of it at most. */
function quotable(text) {
  let quoted = '';
  let bytes = 0;
  for (const character of text ?? '') {
    const shown = /\p{Cc}/u.test(character) ? '\ufffd' : character;
    const code = shown.codePointAt(0);
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > 400) return `${quoted}…`;
    quoted += shown;
  }
  return quoted;
}
