// The rules of the default policy (guest/policy/src/policy.rs) in JavaScript. Host functions throw an error whose
// `payload` is the error of the contract.
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

/** Creates a rejection, which the policy throws. */
function rejection(code, detail, rule) {
  return { status: STATUS[code], code, detail, rule };
}

/** Calls the host. Returns its result or its error as a value. */
function callHost(call) {
  try {
    return { result: call() };
  } catch (error) {
    const cause = error?.payload ?? error;
    if (typeof cause?.kind !== 'string') throw error;
    return { error: cause };
  }
}

export function deleteLearning({ dbId, table }) {
  const { result: caller, error } = callHost(current);
  if (error) throw rejectIdentity(error);
  const isToken = caller.credential === 'jwt' || caller.credential === 'service-account';
  const hasScope = (scope) => caller.scopes.includes(scope);
  const isAdmin = caller.adminScope !== '' && hasScope(caller.adminScope);
  const needsScope = caller.credential === 'service-account' || (isToken && !caller.scopesOptional);
  if (needsScope && !isAdmin && !hasScope('learnings:delete') && !hasScope('learnings:*:delete')) {
    throw rejection('forbidden', 'Insufficient permissions. Required scope(s): learnings:delete', 'missing-scope');
  }
  if (table && !dbId) {
    const detail = 'The db_id query parameter is required when passing a table';
    throw rejection('bad-request', detail, 'table-without-database');
  }
  const isConfined = isToken && !isAdmin && (caller.credential === 'service-account' || !caller.allOwners);
  if (isConfined && !caller.subject) {
    const { error } = callHost(storage.locate);
    if (error) throw rejectStorage(error, dbId, table);
    throw rejection('forbidden', 'Authenticated request is missing a user identity', 'missing-subject');
  }
  const { result: outcome, error: storageError } = callHost(() =>
    isConfined ? storage.deleteIfOwnedBy(caller.subject) : storage.delete(),
  );
  if (storageError) throw rejectStorage(storageError, dbId, table);
  switch (outcome) {
    case 'deleted':
      return;
    case 'absent':
      throw rejection('not-found', 'Learning not found', 'learning-absent');
    case 'owned-by-another':
      // The same answer as for an absent record, so that no caller learns which ids exist.
      if (isConfined) throw rejection('not-found', 'Learning not found', 'learning-owned-by-another');
      break;
    case 'unowned': {
      const detail = 'Only admins can modify learnings that have no owner (user_id is null)';
      if (isConfined) throw rejection('forbidden', detail, 'learning-unowned');
    }
  }
  throw rejection('internal-server-error', 'Failed to delete learning', 'unexpected-outcome');
}

function rejectIdentity({ kind, credential }) {
  const isJwt = credential === 'jwt';
  const isAccount = credential === 'service-account';
  const unauthenticated = (detail) => rejection('unauthenticated', detail, `identity-${kind}`);
  switch (kind) {
    case 'missing':
      return unauthenticated(isJwt ? 'Authorization header missing' : 'Authorization header required');
    case 'malformed':
      return unauthenticated("Authorization header must be one 'Bearer <token>'");
    case 'invalid':
      if (isAccount) return unauthenticated('Invalid or expired service account token');
      return unauthenticated(isJwt ? 'Invalid token' : 'Invalid authentication token');
    case 'expired':
      // An expired service account token has the same answer and rule as an invalid one.
      return isAccount
        ? rejection('unauthenticated', 'Invalid or expired service account token', 'identity-invalid')
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
      return rejection('too-many-requests', 'Too many failed authentication attempts', 'identity-rate-limited');
    case 'unavailable':
      return rejection('service-unavailable', 'Authentication is temporarily unavailable', 'identity-unavailable');
    default:
      return rejection('internal-server-error', 'Internal server error', 'identity-failed');
  }
}

/** Whether a rejection can contain the text. */
function isDetail(text) {
  let bytes = 0;
  for (const character of text) bytes += utf8Length(character);
  return bytes >= 1 && bytes <= 1024 && !/\p{Cc}/u.test(text);
}

/** The length of a character in UTF-8. */
function utf8Length(character) {
  const code = character.codePointAt(0);
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

function rejectStorage({ kind, message }, dbId, table) {
  switch (kind) {
    case 'invalid-learning-id':
      return rejection('bad-request', 'The learning_id must be UTF-8, percent-encoded, and not overlong', kind);
    case 'repeated-parameter':
      return rejection('bad-request', 'The db_id and table query parameters may be given once each', kind);
    case 'database-required':
      return rejection('bad-request', 'The db_id query parameter is required when using multiple databases', kind);
    case 'unknown-database':
      return rejection('not-found', `No database found with id '${sanitize(dbId)}'`, kind);
    case 'unknown-table':
      return rejection('not-found', `No database with id '${sanitize(dbId)}' has table '${sanitize(table)}'`, kind);
    case 'unsupported':
      return rejection('not-implemented', 'Learnings not supported by the configured database', 'unsupported-database');
    case 'denied':
      return rejection('forbidden', isDetail(message) ? message : 'This learning cannot be deleted', 'deletion-denied');
    case 'unavailable': {
      const detail = 'The database is temporarily unavailable; nothing was deleted';
      return rejection('service-unavailable', detail, 'storage-unavailable');
    }
    case 'outcome-unknown':
      return rejection('internal-server-error', 'Failed to delete learning', 'outcome-unknown');
    default:
      return rejection('internal-server-error', 'Failed to delete learning', 'storage-failed');
  }
}

/**
 * Makes text from a request safe to repeat in a rejection: replaces control characters by U+FFFD, and truncates the
 * text to 400 bytes.
 */
function sanitize(text) {
  let sanitized = '';
  let bytes = 0;
  for (const character of text ?? '') {
    const replaced = /\p{Cc}/u.test(character) ? '\ufffd' : character;
    bytes += utf8Length(replaced);
    if (bytes > 400) return `${sanitized}…`;
    sanitized += replaced;
  }
  return sanitized;
}
