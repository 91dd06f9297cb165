// Runs conformance cases (`tests/conformance`), in Node and in browsers.
import { INJECTS_FAULTS } from './checks.js';
import {
  IdentityError,
  StorageError,
  type Caller,
  type RecordStorage,
  type Rejection,
  type Request,
} from './contract.js';
import type { Decision } from './decision.js';
import { storageForRecord, type MemoryRecord } from './memory.js';
import type { LoadedPolicy } from './policy.js';

/** A case, as in the files of `tests/conformance/cases`. */
export interface ConformanceCase {
  name: string;
  request: Record<string, string | null>;
  identity: { caller?: Record<string, unknown>; error?: ContractErrorFields };
  storage: { records: Record<string, string | null | Record<string, unknown>>; faults?: Record<string, InjectedResult> };
  expect: { calls?: string[]; answer: 'deleted' | Rejection; left: string[] };
}

interface ContractErrorFields {
  kind: never;
  credential: never;
  message: string;
}

interface InjectedResult {
  error?: ContractErrorFields;
  outcome?: string;
}

/** What a policy did in a case. The keys have a fixed order, so that results can be compared as JSON text. */
export interface ConformanceResult {
  case: string;
  calls: string[];
  answer: 'deleted' | Rejection;
  left: string[];
}

/** Runs one case. Throws a `PolicyFailure` if the policy fails. */
export async function runCase(policy: Pick<LoadedPolicy, 'decide'>, test: ConformanceCase): Promise<ConformanceResult> {
  const { name, request, identity, storage } = test;
  const calls: string[] = [];
  const records = new Map(Object.entries(storage.records).map(([id, record]) => [id, memoryRecord(record)]));
  const record = storageForRecord(records, request['learning-id']!, 'main');
  const functions = Object.keys(record).map((key) => [
    key,
    (...values: string[]) => {
      const name = kebabCase(key);
      calls.push([`storage.${name}`, ...values].join(' '));
      const { error, outcome } = storage.faults?.[name] ?? storage.faults?.['*'] ?? {};
      if (error) throw new StorageError(error.kind, error.message);
      return outcome ?? (record as unknown as Record<string, (...values: string[]) => unknown>)[key]!(...values);
    },
  ]);
  const decision = await policy.decide(
    camelCaseKeys(request) as unknown as Request,
    {
      current() {
        calls.push('identity.current');
        const { error, caller } = identity;
        if (error) throw new IdentityError(error.kind, error.credential, error.message);
        return camelCaseKeys(caller!) as unknown as Caller;
      },
    },
    { ...Object.fromEntries(functions), [INJECTS_FAULTS]: true } as unknown as RecordStorage,
  );
  return { case: name, calls, answer: answerOf(decision), left: [...records.keys()].sort(compareUtf8) };
}

/** Whether the result of a case is the expected one. Without `calls` in the case, the calls do not matter. */
export function passes({ expect }: ConformanceCase, { calls, answer, left }: ConformanceResult): boolean {
  const expected = [expect.calls ?? calls, orderKeys(expect.answer), expect.left];
  return JSON.stringify(expected) === JSON.stringify([calls, answer, left]);
}

function answerOf(decision: Decision): 'deleted' | Rejection {
  return decision.deleted ? 'deleted' : orderKeys(decision.rejection);
}

function orderKeys(answer: 'deleted' | Rejection): 'deleted' | Rejection {
  if (answer === 'deleted') return answer;
  const { status, code, detail, rule } = answer;
  return { status, code, detail, rule };
}

function memoryRecord(record: string | null | Record<string, unknown>): MemoryRecord {
  if (typeof record !== 'object' || record === null) return record;
  const { owner, ...columns } = record;
  const learning = camelCaseKeys({ ...columns, 'user-id': owner });
  for (const key of ['createdAt', 'updatedAt']) {
    if (typeof learning[key] === 'number') learning[key] = BigInt(learning[key]);
  }
  // A column without a value keeps the value of the README.
  return Object.fromEntries(Object.entries(learning).filter(([, value]) => value !== undefined));
}

/** Converts a record of a case to the names of this package, and null to undefined. */
function camelCaseKeys(record: Record<string, unknown>): Record<string, unknown> {
  const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [camel(name), value ?? undefined]));
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Compares by UTF-8 bytes, which is the order of code points. JavaScript's `<` compares UTF-16 code units. */
function compareUtf8(left: string, right: string): number {
  const [a, b] = [left, right].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}
