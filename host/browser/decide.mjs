// Decides on situations with the policy and its guards. The only module that knows how components are run.
import { Policy } from './host/host.mjs';
import { guardsOf, identityOf, kebabCase, nowOf, requestOf, storageOf } from './storage.mjs';

/** Loads the default policy. */
export const policy = await Policy.load(new URL('host/policy/', import.meta.url));
const guards = new Map(
  await Promise.all(['legal-hold', 'retention'].map(async (name) => [name, await loadGuard(name)])),
);

/**
 * Decides on a situation, in fresh instances of the policy and of each guard. Returns
 * - `answer`: 'deleted' or the rejection,
 * - `calls`: the calls in order, each `{ by, name, argument, result, error, calls }`; a call that a guard serves has the
 *   calls of the guard. `error` is an error of the contract, `result` the result otherwise.
 * - `deleted`: whether the record was deleted; null if that is unknown,
 * - `failure`: why there is no valid decision, if there is none.
 */
export async function decide(situation) {
  const trace = new Trace();
  const outcomes = new Set();
  const identity = identityOf(situation);
  let storage = noteOutcomes(storageOf(situation), outcomes);
  // The innermost guard is created first. Each one's export is the storage of the one before it.
  for (const { name, settings } of guardsOf(situation).reverse()) {
    storage = guards.get(name)({
      'learnings:plugin/identity': trace.wrap(name, 'identity', identity),
      'learnings:plugin/storage': trace.wrap(name, 'storage', storage),
      'wasi:config/store': trace.wrap(name, 'settings', { get: (key) => settings[key] }),
      'wasi:clocks/wall-clock': trace.wrap(name, 'clock', {
        now: () => ({ seconds: BigInt(nowOf(situation)), nanoseconds: 0 }),
      }),
    });
  }
  const answer = policy.decide(
    requestOf(situation),
    trace.wrap('policy', 'identity', identity),
    trace.wrap('policy', 'storage', storage),
  );
  const deleted = outcomes.has('deleted') || (outcomes.has('outcome-unknown') ? null : false);
  return { answer, calls: trace.calls, deleted, failure: answer.cause };
}

/** Loads a guard. Returns a function that creates an instance with these imports and returns its storage. */
async function loadGuard(name) {
  const directory = new URL(`host/guards/${name}/`, import.meta.url);
  const load = async (file) => {
    const response = await fetch(new URL(file, directory));
    if (!response.ok) throw new Error(`cannot load ${response.url}: ${response.status}`);
    return response;
  };
  const { instantiate } = await import(new URL('policy.js', directory));
  const names = await (await load('modules.json')).json();
  const compile = async (file) => [file, await WebAssembly.compile(await (await load(file)).arrayBuffer())];
  const modules = new Map(await Promise.all(names.map(compile)));
  return (imports) => instantiate((file) => modules.get(file), imports).storage;
}

/** Adds the outcomes of the deletes of `storage` to a set, and the kinds of its errors. */
function noteOutcomes(storage, outcomes) {
  const noting = (act) => (argument) => {
    try {
      const result = act(argument);
      outcomes.add(result);
      return result;
    } catch (error) {
      outcomes.add(error.payload?.kind);
      throw error;
    }
  };
  return Object.fromEntries(Object.entries(storage).map(([name, act]) => [name, noting(act)]));
}

/** Records calls. A call that is made while another one is served belongs to that one. */
class Trace {
  calls = [];
  #current = this.calls;

  /** Wraps the functions that a component imports. */
  wrap(by, prefix, functions) {
    const wrapped = ([name, act]) => [
      name,
      (...parameters) => {
        const call = { by, name: `${prefix}.${kebabCase(name)}`, argument: parameters[0], calls: [] };
        const outer = this.#current;
        outer.push(call);
        this.#current = call.calls;
        try {
          call.result = act(...parameters);
          return call.result;
        } catch (error) {
          call.error = error.payload ?? { kind: 'failed', message: error.message };
          throw error;
        } finally {
          this.#current = outer;
        }
      },
    ];
    return Object.fromEntries(Object.entries(functions).map(wrapped));
  }
}
