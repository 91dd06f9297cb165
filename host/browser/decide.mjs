// Decides on situations with the policy and its guards. The only module that knows how components are run.
//
// `Policy` of the package fixes settings when it is loaded, has the clock of the machine, and reports no calls. So this
// module links the same components itself, with the package's own chain, checks and rules.
import { Policy, PolicyFailure } from './build/package/browser.js';
import { Chain } from './build/package/chain.js';
import { Component } from './build/package/component.js';
import { validate } from './build/package/decision.js';
import { HostCalls } from './build/package/host-calls.js';
import { FUNCTIONS, guardsOf, identityOf, nowOf, requestOf, storageOf } from './host.mjs';

/** The limits of each component, as the package has them by default. */
const LIMITS = { maxHostCalls: 64, maxHostCallBytes: 64 * 1024 };

const load = (directory) => Component.load(new URL(`build/${directory}/`, import.meta.url), 'sync');
const components = Object.fromEntries(
  await Promise.all(
    Object.entries({ policy: 'package/policy', 'legal-hold': 'guards/legal-hold', retention: 'guards/retention' }).map(
      async ([name, directory]) => [name, await load(directory)],
    ),
  ),
);

/** Loads the default policy, as the package exports it. */
export const loadPolicy = () => Policy.load();

/**
 * Decides on a situation, in fresh instances of the policy and of each guard. Returns
 * - `answer`: 'deleted' or the rejection,
 * - `calls`: the calls in order, each `{ by, name, argument, result, error, calls }`. `error` is an error of the
 *   contract, `result` the result otherwise. A call that a guard serves has the calls of the guard.
 * - `deleted`: whether the record was deleted; null if that is unknown,
 * - `failure`: the `PolicyFailure` if there is no valid decision.
 */
export async function decide(situation) {
  const trace = new Trace(nowOf(situation));
  const link = ({ name, settings }) => ({
    config: { name, settings },
    component: trace.component(name ?? 'policy', components[name ?? 'policy']),
  });
  const chain = new Chain([link({ settings: {} }), ...guardsOf(situation).map(link)], LIMITS);
  try {
    const host = new HostCalls(requestOf(situation), identityOf(situation), storageOf(situation), true);
    const { deleted, rejection } = validate(chain.decide(host.request, host), host);
    return { answer: rejection ?? 'deleted', calls: trace.calls, deleted: deleted || host.deleted };
  } catch (failure) {
    if (!(failure instanceof PolicyFailure)) throw failure;
    const answer = {
      status: 500,
      code: 'internal-server-error',
      detail: 'Internal server error',
      rule: 'policy-error',
    };
    return { answer, calls: trace.calls, deleted: failure.deleted, failure };
  }
}

/** Records calls. A call that is made while another one is served belongs to that one. */
class Trace {
  calls = [];
  #current = this.calls;

  constructor(now) {
    this.now = now;
  }

  /** Wraps a component so that its calls are recorded and its clock shows the time of the situation. */
  component(by, component) {
    const record = (name, argument, act) => this.#record({ by, name, argument, calls: [] }, act);
    const ok = (val) => ({ tag: 'ok', val });
    return {
      create: (imports) =>
        component.create({
          call: (name, argument) => {
            const contractName = name === 'current' ? 'identity.current' : `storage.${FUNCTIONS[name]}`;
            return record(contractName, argument, () => imports.call(name, argument));
          },
          setting: (key) => record('settings.get', key, () => ok(imports.setting(key))).val,
          settings: () => imports.settings(),
          wallClock: () => record('clock.now', undefined, () => ok(this.now)).val,
          monotonicClock: () => imports.monotonicClock(),
        }),
    };
  }

  #record(call, act) {
    const outer = this.#current;
    outer.push(call);
    this.#current = call.calls;
    try {
      const { tag, val } = act();
      call[tag === 'ok' ? 'result' : 'error'] = val;
      return { tag, val };
    } catch (thrown) {
      call.error = { kind: 'stopped', message: thrown.message };
      throw thrown;
    } finally {
      this.#current = outer;
    }
  }
}
