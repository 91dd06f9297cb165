// The error of a decision that could not be made.

/** Why there is no valid decision. */
export const FailureKind = Object.freeze({
  /** An argument of `decide` is invalid: the request, or a function that `identity` or `storage` does not have. */
  InvalidArgument: 'invalid-argument',
  /** A function of `identity` or `storage` returned a value, or threw a contract error, that the contract forbids. */
  InvalidAnswer: 'invalid-answer',
  /** A function of `identity` or `storage` threw something else than an error of the contract. It is the `cause`. */
  HostException: 'host-exception',
  /** The component trapped, or passed a value that the contract does not have. */
  Trapped: 'trapped',
  /** The decision took longer than `timeoutMs`. */
  Timeout: 'timeout',
  /** The component called its host more than `maxHostCalls` times. */
  TooManyCalls: 'too-many-calls',
  /** The component passed more than `maxHostCallBytes` to its host. */
  TooManyBytes: 'too-many-bytes',
  /** The policy reported a deletion that did not happen, or rejected the request after the record was deleted. */
  Misreported: 'misreported',
  /** The policy returned a rejection that violates the contract. */
  InvalidRejection: 'invalid-rejection',
  /** A guard violated a rule of guards (`wit/world.wit`). */
  GuardViolation: 'guard-violation',
  /** `maxConcurrent` decisions were running for longer than `queueTimeoutMs`. Nothing was deleted; answer 503. */
  Overloaded: 'overloaded',
  /** The policy was closed. */
  Closed: 'closed',
} as const);
export type FailureKind = (typeof FailureKind)[keyof typeof FailureKind];

/** What is known about a failure. */
export interface FailureDetails {
  /** What became of the record. */
  deleted: boolean | null;
  /** The name of the guard that failed, if it was a guard. */
  guard?: string | undefined;
  /** The exception of the host's own function. */
  cause?: unknown;
}

/**
 * There is no valid decision: the policy, a guard, or the host's own `identity` or `storage` failed.
 *
 * Answer 500 to the caller (503 if `kind` is `overloaded`). The message and the cause are for the log only.
 */
export class PolicyFailure extends Error {
  override readonly name = 'PolicyFailure';
  /** Whether this request deleted the record; null if that is unknown. */
  readonly deleted: boolean | null;
  /** The name of the guard that failed; undefined if none did. */
  readonly guard: string | undefined;

  constructor(
    readonly kind: FailureKind,
    message: string,
    { deleted, guard, cause }: FailureDetails,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.deleted = deleted;
    this.guard = guard;
  }
}
