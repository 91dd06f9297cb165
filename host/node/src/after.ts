// Code that runs with and without promises. With synchronous host functions nothing waits for a microtask.
import type { MaybePromise } from './contract.js';

/** Whether a value is a promise. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** Calls `call`, and passes its result or what its promise resolves to to `next`, or what it throws to `failed`. */
export function settle<Value, Next>(
  call: () => MaybePromise<Value>,
  next: (value: Value) => Next,
  failed: (thrown: unknown) => Next,
): MaybePromise<Next> {
  let value;
  try {
    value = call();
  } catch (thrown) {
    return failed(thrown);
  }
  return isPromise(value) ? Promise.resolve(value).then(next, failed) : next(value);
}
