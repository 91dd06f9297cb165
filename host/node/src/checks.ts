// Checks what the host's own code passes to the policy, before jco converts it. jco would turn a missing field into
// false, drop an unknown one, and replace an unpaired surrogate.
import {
  Credential,
  IdentityError,
  IdentityErrorKind,
  StorageError,
  StorageErrorKind,
  type Outcome,
  type Request,
} from './contract.js';

/** A function of `storage` in this package. The contract has the same names in kebab case. */
export type StorageFunction = 'locate' | 'find' | 'delete' | 'deleteIfOwnedBy' | 'deleteIfUnchanged';
/** A function that the host implements. */
export type HostFunction = 'current' | StorageFunction;

/** The functions of each interface. */
export const FUNCTIONS = {
  identity: ['current'],
  storage: ['locate', 'find', 'delete', 'deleteIfOwnedBy', 'deleteIfUnchanged'],
} as const;

/** The outcomes that each delete can return. */
const OUTCOMES: Partial<Record<HostFunction, readonly Outcome[]>> = {
  delete: ['absent', 'deleted'],
  deleteIfOwnedBy: ['absent', 'unowned', 'owned-by-another', 'deleted'],
  deleteIfUnchanged: ['absent', 'changed', 'deleted'],
};

/** A value that the contract forbids. The message names the function, the value, and what is allowed. */
export class InvalidValue extends Error {}

/** Whether a function deletes. */
export function isDelete(name: HostFunction): boolean {
  return OUTCOMES[name] !== undefined;
}

/** The name of a function in messages. */
export function qualified(name: HostFunction): string {
  return name === 'current' ? 'identity.current' : `storage.${name}`;
}

/** A part of a value: where it is, what it is, and how to say that it is wrong. */
interface Place {
  /** For example `identity.current returned a caller`. */
  subject: string;
  /** For example `scopes[1]`; empty for the whole value. */
  path: string;
}

/** Returns a value that belongs to the contract, or throws an `InvalidValue`. Records are copied to plain objects. */
type Check = (value: unknown, place: Place) => unknown;

function fail({ subject, path }: Place, value: unknown, expected: string): never {
  const what = path ? `${subject} whose ${path} is ${describe(value)}` : `${subject} ${describe(value)}`;
  throw new InvalidValue(`${what}; expected ${expected}`);
}

/** A short text for a value. Strings are cut, and the contents of objects are left out: they can be personal data. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > 40 ? `${value.slice(0, 40)}…` : value;
    return `'${text.toWellFormed().replaceAll(/\p{C}/gu, '\ufffd')}'`;
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value !== 'object' || value === null) return String(value);
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
}

const quoted = (values: readonly string[]) => values.map((value) => `'${value}'`).join(', ');
const encoder = new TextEncoder();

const text: Check = (value, place) => {
  if (typeof value !== 'string') fail(place, value, 'a string');
  if (!value.isWellFormed()) {
    throw new InvalidValue(`${place.subject} whose ${place.path} has an unpaired surrogate; expected well-formed text`);
  }
  return value;
};
const flag: Check = (value, place) => {
  if (typeof value !== 'boolean') fail(place, value, 'true or false');
  return value;
};
const oneOf =
  (values: readonly string[]): Check =>
  (value, place) => {
    if (!values.includes(value as string)) fail(place, value, `one of ${quoted(values)}`);
    return value;
  };
const s64: Check = (value, place) => {
  if (typeof value !== 'bigint') fail(place, value, 'a bigint, in seconds since 1970');
  if (BigInt.asIntN(64, value) !== value) fail(place, value, 'a signed integer of 64 bits');
  return value;
};
const revision: Check = (value, place) => {
  text(value, place);
  const bytes = encoder.encode(value as string).length;
  if (bytes > 256) {
    throw new InvalidValue(`${place.subject} whose ${place.path} has ${bytes} bytes; expected at most 256`);
  }
  return value;
};
const optional =
  (check: Check): Check =>
  (value, place) =>
    value === undefined || value === null ? undefined : check(value, place);
const listOfText: Check = (value, { subject, path }) => {
  if (!Array.isArray(value)) fail({ subject, path }, value, 'an array of strings');
  return Array.from(value, (item, index) => text(item, { subject, path: `${path}[${index}]` }));
};

/** Checks an object with exactly these properties. `name` is its name in the contract. */
function record(name: string, fields: Record<string, Check>): Check {
  const known = Object.keys(fields).join(', ');
  return (value, { subject, path }) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fail({ subject, path }, value, `a ${name} with the properties ${known}`);
    }
    const within = path ? { subject, prefix: `${path}.` } : { subject: `${subject} a ${name}`, prefix: '' };
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key)) {
        const where = path ? `${within.subject} whose ${path} has` : `${within.subject} with`;
        throw new InvalidValue(`${where} the unknown property '${key}'; expected only ${known}`);
      }
    }
    const copy: Record<string, unknown> = {};
    for (const [key, check] of Object.entries(fields)) {
      const place = { subject: within.subject, path: `${within.prefix}${key}` };
      copy[key] = check((value as Record<string, unknown>)[key], place);
    }
    return copy;
  };
}

const credential = oneOf(Object.values(Credential));
const caller = record('caller', {
  credential,
  subject: optional(text),
  scopes: listOfText,
  scopesOptional: flag,
  allOwners: flag,
  adminScope: text,
});
const target = record('target', { database: text, table: text });
const learning = record('learning', {
  learningType: text,
  namespace: optional(text),
  userId: optional(text),
  agentId: optional(text),
  teamId: optional(text),
  workflowId: optional(text),
  sessionId: optional(text),
  entityId: optional(text),
  entityType: optional(text),
  content: text,
  metadata: optional(text),
  createdAt: s64,
  updatedAt: optional(s64),
  revision,
});
const VALUES: Record<HostFunction, Check> = {
  current: caller,
  locate: target,
  find: record('lookup', { learning: optional(learning) }),
  delete: oneOf(OUTCOMES.delete!),
  deleteIfOwnedBy: oneOf(OUTCOMES.deleteIfOwnedBy!),
  deleteIfUnchanged: oneOf(OUTCOMES.deleteIfUnchanged!),
};

/**
 * Marks a storage that injects faults, as conformance cases do: its functions can also return outcomes and errors of
 * other functions.
 */
export const INJECTS_FAULTS = Symbol('injects faults');

/** Checks and copies a value that a function of the host returned. Throws an `InvalidValue`. */
export function checkValue(name: HostFunction, value: unknown, injectsFaults: boolean): unknown {
  if (injectsFaults && isDelete(name)) return value;
  return VALUES[name](value, { subject: `${qualified(name)} returned`, path: '' });
}

/**
 * Returns the contract error that a function of the host threw, as the plain record that jco lowers; undefined if it
 * threw something else. Throws an `InvalidValue` if the error violates the contract.
 */
export function contractError(name: HostFunction, thrown: unknown, injectsFaults: boolean): object | undefined {
  if (name === 'current') {
    if (!(thrown instanceof IdentityError)) return undefined;
    const subject = 'identity.current threw an IdentityError';
    oneOf(Object.values(IdentityErrorKind))(thrown.kind, { subject, path: 'kind' });
    credential(thrown.credential, { subject, path: 'credential' });
    text(thrown.message, { subject, path: 'message' });
    return { kind: thrown.kind, credential: thrown.credential, message: thrown.message };
  }
  if (!(thrown instanceof StorageError)) return undefined;
  const subject = `${qualified(name)} threw a StorageError`;
  const all = Object.values(StorageErrorKind);
  const kinds =
    isDelete(name) || injectsFaults ? all : all.filter((kind) => kind !== 'denied' && kind !== 'outcome-unknown');
  oneOf(kinds)(thrown.kind, { subject, path: 'kind' });
  text(thrown.message, { subject, path: 'message' });
  return { kind: thrown.kind, message: thrown.message };
}

const request = record('request', { learningId: text, dbId: optional(text), table: optional(text) });

/** Checks the arguments of `decide`, and copies the request. Throws an `InvalidValue`. */
export function checkArguments(requested: unknown, identity: unknown, storage: unknown): Request {
  const copy = request(requested, { subject: 'decide got', path: '' }) as Request;
  for (const [name, value] of Object.entries({ identity, storage })) {
    for (const key of FUNCTIONS[name as keyof typeof FUNCTIONS]) {
      const member = (value as Record<string, unknown> | null | undefined)?.[key];
      if (typeof member === 'function') continue;
      throw new InvalidValue(`${name}.${key} is ${describe(member)}; expected a function`);
    }
  }
  return copy;
}
