// Runs conformance cases, in Node and in browsers alike.
import { Failure } from './host.mjs';
import { recordOf } from './memory.mjs';

/** Runs one case. What comes back has its keys in a fixed order, so that hosts compare as JSON texts. */
export function run(policy, { name, request, identity, storage }) {
  const calls = [];
  const records = new Map(Object.entries(storage.records));
  const record = recordOf(records, request['learning-id'], 'main');
  const functions = Object.keys(record).map((key) => [
    key,
    (...argument) => {
      const called = kebab(key);
      calls.push([`storage.${called}`, ...argument].join(' '));
      const { error, outcome } = storage.faults?.[called] ?? {};
      if (error) throw new Failure(error);
      return outcome ?? record[key](...argument);
    },
  ]);
  const answer = policy.decide(
    camelled(request),
    {
      current() {
        calls.push('identity.current');
        if (identity.error) throw new Failure(identity.error);
        return camelled(identity.caller);
      },
    },
    Object.fromEntries(functions),
  );
  return { case: name, calls, answer: ordered(answer), left: [...records.keys()].sort(byBytes) };
}

/** Whether a case came out as it expects. */
export function passes({ expect }, { calls, answer, left }) {
  const { calls: expectedCalls, answer: expectedAnswer, left: expectedLeft } = expect;
  const expected = [expectedCalls, ordered(expectedAnswer), expectedLeft];
  return JSON.stringify(expected) === JSON.stringify([calls, answer, left]);
}

function ordered(answer) {
  if (answer === 'deleted') return answer;
  const { status, code, detail, rule } = answer;
  return { status, code, detail, rule };
}

/** The names of the contract, as jco spells them; null, as it spells none. */
function camelled(record) {
  const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [camel(name), value ?? undefined]));
}

function kebab(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The order of their UTF-8, which is that of their code points and not that of JavaScript's `<`. */
function byBytes(a, b) {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text));
  const at = x.findIndex((byte, index) => byte !== y[index]);
  return at < 0 ? x.length - y.length : x[at] - (y[at] ?? -1);
}
