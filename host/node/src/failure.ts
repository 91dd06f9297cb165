// The error of a decision that could not be made.

/** Why there is no valid decision. */
export const FailureKind = Object.freeze({
  /** An argument of `decide` is invalid: the request, or a function that `identity` or `storage` does not have. */
  InvalidArgument: 'invalid-argument',
  /** Your `identity` returned an invalid value, or threw something else than an `IdentityError`, which is the cause. */
  Identity: 'identity',
  /** Your `storage` returned an invalid value, or threw something else than a `StorageError`, which is the cause. */
  Storage: 'storage',
  /** A component trapped. */
  Trap: 'trap',
  /** The sandbox stopped a component for another reason, such as a value that the contract does not have. */
  Sandbox: 'sandbox',
  /** The decision took longer than `timeoutMs`. */
  ExecutionTimeout: 'execution-timeout',
  /** A component exceeded `maxHostCalls` or `maxHostCallBytes`. */
  Limit: 'limit',
  /** The policy reported something else than what happened to the record, or its rejection is invalid. */
  Misreport: 'misreport',
  /** A guard violated a rule of guards (`wit/world.wit`). */
  GuardViolation: 'guard-violation',
  /** The policy was closed. Nothing was deleted. */
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
 * Answer 500 to the caller. The message and the cause are for the log only.
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
