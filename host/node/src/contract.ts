// The contract of `wit/` in TypeScript. The build generates the types of its records and enums from `wit/`.
import type * as identity from './wit/interfaces/learnings-plugin-identity.js';
import type * as storage from './wit/interfaces/learnings-plugin-storage.js';

export type { Caller } from './wit/interfaces/learnings-plugin-identity.js';
export type { Learning, Lookup, Target } from './wit/interfaces/learnings-plugin-storage.js';
export type { Rejection, Request } from './wit/interfaces/learnings-plugin-types.js';
import type { ErrorCode as ErrorCodeName } from './wit/interfaces/learnings-plugin-types.js';

/** A value, or a promise of it. */
export type MaybePromise<T> = T | PromiseLike<T>;

/** The functions of an interface of the contract. Each can return a promise. */
type Functions<Interface, Name extends keyof Interface> = {
  [Key in Name]: Interface[Key] extends (...args: infer Arguments) => infer Value
    ? (...args: Arguments) => MaybePromise<Value>
    : never;
};

/**
 * The interface `identity` of the contract for one request.
 *
 * `current` returns the caller, or throws an {@link IdentityError}. It is called once for each request, whatever the
 * number of components that call it.
 */
export type Identity = Functions<typeof identity, 'current'>;

/**
 * The interface `storage` of the contract, bound to the record that one request names.
 *
 * The functions throw a {@link StorageError} for an error of the contract. `wit/EMBEDDING.md` lists what they must
 * guarantee, and `delete-learning/testkit` tests it.
 */
export type RecordStorage = Functions<
  typeof storage,
  'locate' | 'find' | 'delete' | 'deleteIfOwnedBy' | 'deleteIfUnchanged'
>;

/** Creates the closed set of an enum: its values under the names that TypeScript code uses. */
function closedSet<const Values extends Record<string, string>>(values: Values): Readonly<Values> {
  return Object.freeze(values);
}

/** The kinds of credential. */
export const Credential = closedSet({
  Jwt: 'jwt',
  ServiceAccount: 'service-account',
  SecurityKey: 'security-key',
  None: 'none',
});
export type Credential = identity.Credential;

/** The reasons why there is no caller. */
export const IdentityErrorKind = closedSet({
  Missing: 'missing',
  Malformed: 'malformed',
  Invalid: 'invalid',
  Expired: 'expired',
  WrongAudience: 'wrong-audience',
  ReservedSubject: 'reserved-subject',
  NotEnabled: 'not-enabled',
  RateLimited: 'rate-limited',
  Unavailable: 'unavailable',
  Internal: 'internal',
});
export type IdentityErrorKind = identity.IdentityErrorKind;

/** The outcomes of a delete. */
export const Outcome = closedSet({
  Absent: 'absent',
  Unowned: 'unowned',
  OwnedByAnother: 'owned-by-another',
  Changed: 'changed',
  Deleted: 'deleted',
});
export type Outcome = storage.Outcome;

/** The reasons why a function of `storage` has no result. */
export const StorageErrorKind = closedSet({
  InvalidLearningId: 'invalid-learning-id',
  RepeatedParameter: 'repeated-parameter',
  DatabaseRequired: 'database-required',
  UnknownDatabase: 'unknown-database',
  UnknownTable: 'unknown-table',
  Unsupported: 'unsupported',
  Denied: 'denied',
  Unavailable: 'unavailable',
  OutcomeUnknown: 'outcome-unknown',
  Internal: 'internal',
});
export type StorageErrorKind = storage.StorageErrorKind;

/** The categories of a rejection. */
export const ErrorCode = closedSet({
  BadRequest: 'bad-request',
  Unauthenticated: 'unauthenticated',
  Forbidden: 'forbidden',
  NotFound: 'not-found',
  Conflict: 'conflict',
  TooManyRequests: 'too-many-requests',
  InternalServerError: 'internal-server-error',
  NotImplemented: 'not-implemented',
  ServiceUnavailable: 'service-unavailable',
});
export type ErrorCode = ErrorCodeName;

/** The HTTP status of each error code. */
export const STATUS: Readonly<Record<ErrorCode, number>> = Object.freeze({
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-many-requests': 429,
  'internal-server-error': 500,
  'not-implemented': 501,
  'service-unavailable': 503,
});

/** Fails to compile if a closed set and the enum in `wit/` differ. */
type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : never) : never;
type ValuesOf<Set> = Set[keyof Set];
const sameAsInWit: [
  Same<ValuesOf<typeof Credential>, Credential>,
  Same<ValuesOf<typeof IdentityErrorKind>, IdentityErrorKind>,
  Same<ValuesOf<typeof Outcome>, Outcome>,
  Same<ValuesOf<typeof StorageErrorKind>, StorageErrorKind>,
  Same<ValuesOf<typeof ErrorCode>, ErrorCode>,
] = [true, true, true, true, true];
void sameAsInWit;

/** Thrown by `identity.current` in place of a caller: the record `identity-error` of the contract. */
export class IdentityError extends Error implements identity.IdentityError {
  override readonly name = 'IdentityError';

  /**
   * @param kind The reason, which determines the answer to the caller.
   * @param credential The kind of credential that the request has, or that is required if it has none.
   * @param message A description for the log. It must not contain a secret.
   */
  constructor(
    readonly kind: IdentityErrorKind,
    readonly credential: Credential,
    message = '',
  ) {
    super(message);
  }
}

/** Thrown by the functions of `storage` in place of a result: the record `storage-error` of the contract. */
export class StorageError extends Error implements storage.StorageError {
  override readonly name = 'StorageError';

  /**
   * @param kind The reason, which determines the answer to the caller. Only deletes can throw `denied` and
   * `outcome-unknown`.
   * @param message A description for the log. It must not contain a secret. The message of `denied` is for the
   * caller.
   */
  constructor(
    readonly kind: StorageErrorKind,
    message = '',
  ) {
    super(message);
  }
}
