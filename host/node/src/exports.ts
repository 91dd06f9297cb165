// What the package exports on every platform.
export {
  Credential,
  ErrorCode,
  IdentityError,
  IdentityErrorKind,
  Outcome,
  StorageError,
  StorageErrorKind,
} from './contract.js';
export type { Caller, Identity, Learning, Lookup, RecordStorage, Rejection, Request, Target } from './contract.js';
export type { Decision } from './decision.js';
export { FailureKind, PolicyFailure } from './failure.js';
export type { ComponentOptions, GuardOptions, Mode, PolicyOptions } from './policy.js';
