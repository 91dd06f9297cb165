// Runs conformance cases, in Node and in browsers.
import { ContractError } from './host.mjs';
import { storageForRecord } from './memory.mjs';

/** Runs one case. The keys of the result have a fixed order, so that results can be compared as JSON text. */
export function run(policy, { name, request, identity, storage }) {
  const calls = [];
  const records = new Map(Object.entries(storage.records));
  const record = storageForRecord(records, request['learning-id'], 'main');
  const functions = Object.keys(record).map((key) => [
    key,
    (...argument) => {
      const name = kebabCase(key);
      calls.push([`storage.${name}`, ...argument].join(' '));
      const { error, outcome } = storage.faults?.[name] ?? storage.faults?.['*'] ?? {};
      if (error) throw new ContractError(error);
      return outcome ?? record[key](...argument);
    },
  ]);
  const answer = policy.decide(
    camelCaseKeys(request),
    {
      current() {
        calls.push('identity.current');
        if (identity.error) throw new ContractError(identity.error);
        return camelCaseKeys(identity.caller);
      },
    },
    Object.fromEntries(functions),
  );
  return { case: name, calls, answer: orderKeys(answer), left: [...records.keys()].sort(compareUtf8) };
}

/** Whether the result of a case is the expected one. */
export function passes({ expect }, { calls, answer, left }) {
  const { calls: expectedCalls, answer: expectedAnswer, left: expectedLeft } = expect;
  const expected = [expectedCalls, orderKeys(expectedAnswer), expectedLeft];
  return JSON.stringify(expected) === JSON.stringify([calls, answer, left]);
}

function orderKeys(answer) {
  if (answer === 'deleted') return answer;
  const { status, code, detail, rule } = answer;
  return { status, code, detail, rule };
}

/** Converts a record of a case to jco's form: names in camel case, and undefined for null. */
function camelCaseKeys(record) {
  const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [camel(name), value ?? undefined]));
}

function kebabCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Compares by UTF-8 bytes, which is the order of code points. JavaScript's `<` compares UTF-16 code units. */
function compareUtf8(a, b) {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text));
  const at = x.findIndex((byte, index) => byte !== y[index]);
  return at < 0 ? x.length - y.length : x[at] - (y[at] ?? -1);
}
