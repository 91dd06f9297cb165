// Calls the host's own `identity` and `storage` for one request, checks what they return, and records what became of
// the record.
import { isPromise, settle } from './after.js';
import {
  checkArguments,
  checkValue,
  contractError,
  INJECTS_FAULTS,
  InvalidValue,
  isDelete,
  qualified,
  type HostFunction,
} from './checks.js';
import type { Identity, MaybePromise, RecordStorage, Request } from './contract.js';
import { PolicyFailure } from './failure.js';

/** A result of the contract, in the form that jco takes and gives. */
export type Result = { tag: 'ok'; val: unknown } | { tag: 'err'; val: unknown };

/** What answers the calls of components. */
export interface Host {
  call(name: HostFunction, argument?: string): MaybePromise<Result>;
}

/** The host's own functions in one request. */
export class HostCalls implements Host {
  /** The first mistake of the host's own functions. */
  failure: PolicyFailure | undefined;
  #injectsFaults: boolean;
  #deleted = false;
  #unknown = false;
  #deletesInFlight = 0;
  #closed = false;
  #current: MaybePromise<Result> | undefined;

  /** The request, copied. */
  readonly request: Request;

  /** With `synchronous`, a function of the host must not return a promise, because nothing can wait for it. */
  constructor(
    request: Request,
    private readonly identity: Identity,
    private readonly storage: RecordStorage,
    private readonly synchronous: boolean,
  ) {
    try {
      this.request = checkArguments(request, identity, storage);
    } catch (error) {
      throw new PolicyFailure('invalid-argument', (error as Error).message, { deleted: false });
    }
    this.#injectsFaults = INJECTS_FAULTS in storage;
  }

  /** Whether this request deleted the record; null if that is unknown. */
  get deleted(): boolean | null {
    if (this.#deleted) return true;
    return this.#unknown || this.#deletesInFlight > 0 ? null : false;
  }

  /** Refuses further calls. What a call in flight returns is still recorded. */
  close(): void {
    this.#closed = true;
  }

  /** Calls a function of the host. Throws a `PolicyFailure` if the function fails. */
  call(name: HostFunction, argument?: string): MaybePromise<Result> {
    if (this.#closed || this.failure) throw this.failure ?? new Error('the decision has ended');
    // Every call during one request returns the same caller.
    if (name === 'current') return (this.#current ??= this.#call(name, () => this.identity.current()));
    return this.#call(name, () => {
      const { storage } = this;
      switch (name) {
        case 'deleteIfOwnedBy':
        case 'deleteIfUnchanged':
          return storage[name](argument!);
        default:
          return storage[name]();
      }
    });
  }

  #call(name: HostFunction, call: () => unknown): MaybePromise<Result> {
    const deletes = isDelete(name);
    if (deletes) this.#deletesInFlight += 1;
    const ended = () => {
      if (deletes) this.#deletesInFlight -= 1;
    };
    const checked = () => {
      const value = call();
      if (!this.synchronous || !isPromise(value)) return value;
      value.then(undefined, () => {});
      const reason = 'this engine has no JSPI (WebAssembly.Suspending), so expected a value';
      const message = `${qualified(name)} returned a promise; ${reason}`;
      throw this.#fail(name, new InvalidValue(message));
    };
    return settle(
      checked,
      (value): Result => {
        ended();
        let val;
        try {
          val = checkValue(name, value, this.#injectsFaults);
        } catch (error) {
          throw this.#fail(name, error as InvalidValue);
        }
        if (deletes && val === 'deleted') this.#deleted = true;
        return { tag: 'ok', val };
      },
      (thrown): Result => {
        ended();
        if (thrown === this.failure) throw thrown;
        let val: object | undefined;
        try {
          val = contractError(name, thrown, this.#injectsFaults);
        } catch (error) {
          throw this.#fail(name, error as InvalidValue, thrown);
        }
        if (!val) throw this.#fail(name, undefined, thrown);
        if ((val as { kind: string }).kind === 'outcome-unknown') this.#unknown = true;
        return { tag: 'err', val };
      },
    );
  }

  /** Records a mistake of the host's own function. After a mistake in a delete the outcome is unknown. */
  #fail(name: HostFunction, invalid?: InvalidValue, cause?: unknown): PolicyFailure {
    if (isDelete(name)) this.#unknown = true;
    const message = invalid ? invalid.message : `${qualified(name)} threw ${nameOf(cause)}`;
    const kind = name === 'current' ? 'identity' : 'storage';
    this.failure ??= new PolicyFailure(kind, message, { deleted: this.deleted, cause });
    return this.failure;
  }
}

/** The type of an exception. Its message is left out because it can contain a secret; the exception is the cause. */
function nameOf(thrown: unknown): string {
  if (thrown instanceof Error) return `an unexpected ${thrown.name}`;
  return 'something that is not an Error';
}
