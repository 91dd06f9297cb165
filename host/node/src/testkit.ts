// Tests a storage: whether it guarantees what a policy relies on (`wit/EMBEDDING.md`).
//
// The kit calls the storage in this thread, and changes the records in a worker thread through another connection. So
// it can hold a change open while a delete runs, also if both use a synchronous driver.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { checkValue, contractError, describe, InvalidValue, type StorageFunction } from './checks.js';
import type { Learning, MaybePromise, Outcome, RecordStorage } from './contract.js';
import type { Result } from './host-calls.js';

/** A learning without its revision, which belongs to the storage. */
export type Columns = Omit<Learning, 'revision'>;

/** A change of one column. An undefined value is NULL. */
export interface Change {
  /** The name of the column in Agno's table, such as `user_id`. */
  column: string;
  value: string | bigint | undefined;
  /** The change takes place only if this user owns the record; undefined for a record without an owner. */
  expectedOwner: string | undefined;
}

/** Your database, as the kit uses it. */
export interface Adapter {
  /** Returns your storage for a record. Called in the main thread; the other functions are called in a worker thread. */
  open(learningId: string): MaybePromise<RecordStorage>;
  /** Inserts a record and commits. {@link columnName} gives the names of the columns. */
  insert(learningId: string, columns: Columns): MaybePromise<void>;
  /**
   * Executes `UPDATE … SET column = value WHERE learning_id = … AND user_id = expectedOwner` in a transaction, awaits
   * `beforeCommit()`, and commits. Returns whether it changed a record.
   */
  change(learningId: string, change: Change, beforeCommit: () => Promise<void>): MaybePromise<boolean>;
  /** Whether a committed record with this id exists. */
  exists(learningId: string): MaybePromise<boolean>;
  /** Closes the connections. */
  close(): MaybePromise<void>;
}

/** Opens connections to the database. The default export of the module that the kit loads, in two threads. */
export type Connect = () => MaybePromise<Adapter>;

/** A guarantee that the storage does not give. */
export interface Problem {
  /** The guarantee, as `wit/EMBEDDING.md` has it. */
  guarantee: string;
  /** What happened. */
  message: string;
  /** How often it happened. */
  times: number;
}

/** The result of {@link checkStorage}. */
export interface Report {
  /** The number of comparisons. */
  checks: number;
  problems: Problem[];
}

const GUARANTEE = {
  atomic: 'A delete checks its condition and deletes in one atomic step.',
  durable: '`deleted` is returned only after the deletion is durable, which means after the commit.',
  reason: '`absent`, `unowned` and `owned-by-another` are determined in the same transaction.',
  bytes: 'Owners and ids are compared byte by byte.',
  revision: 'A change to any column changes the revision.',
  record: '`find` returns the record as it is stored.',
  locate: '`locate` returns the database and the table, and reads no record.',
  answers: 'Every function returns a value of its type, or throws a StorageError.',
} as const;

/** Rounds of a delete that begins while a change is not committed yet. */
const HELD_ROUNDS = 5;
/** Milliseconds for which a change is not committed. */
const HOLD_MS = 60;
/** Rounds of a delete and a change that begin at about the same time. */
const FREE_ROUNDS = 100;
/** Milliseconds after which a function counts as one that does not return. */
const CALL_TIMEOUT_MS = 30_000;

/** Each column with the values that it gets, one after another. */
const COLUMNS: Record<keyof Columns, (string | bigint | undefined)[]> = {
  learningType: ['user_profile', 'user_memory'],
  namespace: [undefined, 'global', 'team'],
  userId: ['alice', 'bob', undefined],
  agentId: [undefined, 'agent-1', 'agent-2'],
  teamId: [undefined, 'team-1', 'team-2'],
  workflowId: [undefined, 'workflow-1', 'workflow-2'],
  sessionId: [undefined, 'session-1', 'session-2'],
  entityId: [undefined, 'entity-1', 'entity-2'],
  entityType: [undefined, 'person', 'place'],
  content: ['{"a":1}', '{"a":2}', '{"a":"é"}'],
  metadata: [undefined, '{"b":1}', '{"b":2}'],
  createdAt: [1_700_000_000n, 1_700_000_001n],
  updatedAt: [undefined, 1_700_000_000n, 1_700_000_001n],
};

/** Texts that differ in their bytes, and that a collation or a pattern can confuse. */
const SIMILAR: [string, string][] = [
  ['alice', 'Alice'],
  ['alice', 'alice '],
  ['alice', ' alice'],
  ['alice', 'alice\t'],
  ['alice', '\ufeffalice'],
  ['alice', 'alice\u200b'],
  ['alice', 'al_ce'],
  ['alice', 'a%'],
  ['alice', 'alic\u0435'],
  ['straße', 'strasse'],
  ['\u00e9', 'e\u0301'],
  ['\uff41', 'a'],
  ['1', '01'],
  ['1', '1.0'],
];

/** Ids that a storage confuses if it puts them into the text of a statement. */
const UNUSUAL = ["it's", 'a"b', 'a\\b', 'a;--', '?', '$1', ':a', '%s', 'a/b', '..', '\u{1f9e0}', '\u0001', 'null'];

/** The name of a column in Agno's table: `userId` → `user_id`. */
export function columnName(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Runs every check on a storage. `adapter` is the URL of a module whose default export is a {@link Connect}. Takes
 * seconds on a database on this machine. The records have ids of their own, and are deleted, so the table can contain
 * others.
 */
export async function checkStorage(adapter: URL): Promise<Report> {
  const kit = await Kit.start(adapter);
  const checks = [
    checkReads,
    checkDeletes,
    checkRevisions,
    checkBytes,
    (kit: Kit) => checkHeldChange(kit, 'userId', 'bob', 'deleteIfOwnedBy', 'owned-by-another'),
    (kit: Kit) => checkHeldChange(kit, 'content', '{"a":2}', 'deleteIfUnchanged', 'changed'),
    checkRace,
    checkTwoDeletes,
  ];
  try {
    for (const check of checks) {
      try {
        await check(kit);
      } catch (error) {
        if (!(error instanceof WrongAnswer)) throw error;
        kit.problem('answers', error.message);
      }
    }
  } finally {
    await kit.stop();
  }
  return kit.report;
}

/** Throws an error with all problems of a report, if there are any. */
export function assertCorrect({ problems }: Report): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ message, times, guarantee }) => {
    return `- ${message}${times > 1 ? ` (${times} times)` : ''}\n    Violated: ${guarantee}`;
  });
  throw new Error(`the storage has ${problems.length} problems:\n${lines.join('\n')}`);
}

/** A function returned something that the contract does not have. */
class WrongAnswer extends Error {}

type RemoteFunction = 'insert' | 'change' | 'exists' | 'close';

interface RemoteCall {
  id: number;
  name: RemoteFunction;
  values: unknown[];
  /** Milliseconds that a change is held open. */
  holdMs?: number;
}

type RemoteMessage =
  { ready: true } | { id: number; value: unknown } | { id: number; error: string } | { held: number };

/** The storage under test, the other connection, and the report. */
class Kit {
  readonly report: Report = { checks: 0, problems: [] };
  #ids: string[] = [];
  #nextCall = 0;
  #calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void; held?: () => void }>();

  private constructor(
    private readonly adapter: Adapter,
    private readonly worker: Worker,
  ) {
    worker.on('message', (message: RemoteMessage) => {
      if ('ready' in message) return;
      if ('held' in message) return this.#calls.get(message.held)?.held?.();
      const call = this.#calls.get(message.id);
      this.#calls.delete(message.id);
      if ('error' in message) call?.reject(new Error(`the adapter failed: ${message.error}`));
      else call?.resolve(message.value as never);
    });
    worker.on('error', (error) => {
      for (const { reject } of this.#calls.values()) reject(error as Error);
    });
  }

  static async start(url: URL): Promise<Kit> {
    const { default: connect } = (await import(url.href)) as { default: Connect };
    const worker = new Worker(new URL(import.meta.url), { workerData: { storageAdapter: url.href } });
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    return new Kit(await connect(), worker);
  }

  async stop(): Promise<void> {
    for (const id of this.#ids) {
      // Best effort: what is wrong with the storage is in the report.
      if (await this.exists(id)) await this.#invoke(id, 'delete').catch(() => {});
    }
    await this.#remote('close', []);
    await this.adapter.close();
    await this.worker.terminate();
  }

  problem(guarantee: keyof typeof GUARANTEE, message: string): void {
    const known = this.report.problems.find((problem) => problem.message === message);
    if (known) known.times += 1;
    else this.report.problems.push({ guarantee: GUARANTEE[guarantee], message, times: 1 });
  }

  expect(condition: boolean, guarantee: keyof typeof GUARANTEE, message: string): boolean {
    this.report.checks += 1;
    if (!condition) this.problem(guarantee, message);
    return condition;
  }

  newId(suffix = ''): string {
    return `testkit-${crypto.randomUUID()}${suffix}`;
  }

  async insert(columns: Partial<Columns> = {}, id = this.newId()): Promise<string> {
    this.#ids.push(id);
    await this.#remote('insert', [id, { ...defaults(), ...columns }]);
    return id;
  }

  change(id: string, change: Change, holdMs?: number, held?: () => void): Promise<boolean> {
    return this.#remote('change', [id, change], holdMs, held);
  }

  exists(id: string): Promise<boolean> {
    return this.#remote('exists', [id]);
  }

  #remote<Value>(name: RemoteFunction, values: unknown[], holdMs?: number, held?: () => void): Promise<Value> {
    const id = (this.#nextCall += 1);
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, ...(held ? { held } : {}) });
      this.worker.postMessage({
        id,
        name,
        values,
        ...(holdMs === undefined ? {} : { holdMs }),
      } satisfies RemoteCall);
    });
  }

  async #invoke(id: string, name: StorageFunction, argument?: string): Promise<unknown> {
    const storage = (await this.adapter.open(id)) as unknown as Record<string, (argument?: string) => unknown>;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new InvalidValue('it did not return')), CALL_TIMEOUT_MS);
    });
    try {
      return await Promise.race([storage[name]!(...(argument === undefined ? [] : [argument])), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls a function of the storage. Returns its result, checked. */
  async call(id: string, name: StorageFunction, argument?: string): Promise<Result> {
    try {
      const value = await this.#invoke(id, name, argument);
      return { tag: 'ok', val: checkValue(name, value, false) };
    } catch (thrown) {
      if (thrown instanceof InvalidValue) throw new WrongAnswer(thrown.message);
      let error;
      try {
        error = contractError(name, thrown, false);
      } catch (invalid) {
        throw new WrongAnswer((invalid as Error).message);
      }
      if (error) return { tag: 'err', val: error };
      const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : describe(thrown);
      throw new WrongAnswer(`storage.${name} threw ${what}`);
    }
  }

  /** Expects an outcome, and that the record exists afterwards exactly if it was not deleted. */
  async expectOutcome(
    guarantee: keyof typeof GUARANTEE,
    what: string,
    id: string,
    [name, argument]: [StorageFunction, string?],
    expected: Outcome,
  ): Promise<void> {
    const existed = await this.exists(id);
    const result = await this.call(id, name, argument);
    const message = `${name} of ${what} returned ${shown(result)}; expected '${expected}'`;
    if (!this.expect(result.tag === 'ok' && result.val === expected, guarantee, message)) return;
    const exists = await this.exists(id);
    if (expected === 'deleted') {
      const visible = `${name} of ${what} returned 'deleted', and another connection still sees the record`;
      this.expect(!exists, 'durable', visible);
    } else if (existed) {
      this.expect(exists, 'atomic', `${name} of ${what} returned '${expected}', and the record is gone`);
    }
  }

  async find(id: string): Promise<Learning | undefined> {
    const result = await this.call(id, 'find');
    return result.tag === 'ok' ? (result.val as { learning?: Learning }).learning : undefined;
  }
}

function defaults(): Columns {
  return Object.fromEntries(Object.entries(COLUMNS).map(([name, values]) => [name, values[0]])) as unknown as Columns;
}

function shown(result: Result): string {
  if (result.tag === 'ok') return describe(result.val);
  const { kind, message } = result.val as { kind: string; message: string };
  return `the error '${kind}' (${message})`;
}

async function checkReads(kit: Kit): Promise<void> {
  const full = Object.fromEntries(
    Object.entries(COLUMNS).map(([name, values]) => [name, values[1]]),
  ) as Partial<Columns>;
  for (const columns of [full, {}]) {
    const id = await kit.insert(columns);
    const stored = { ...defaults(), ...columns };
    const found = await kit.find(id);
    if (!kit.expect(found !== undefined, 'record', 'find returned no learning for a record that exists')) continue;
    for (const name of Object.keys(COLUMNS) as (keyof Columns)[]) {
      const message = `find returned the ${name} ${describe(found![name])}; the record has ${describe(stored[name])}`;
      kit.expect(isSame(name, found![name], stored[name]), 'record', message);
    }
    const again = await kit.find(id);
    kit.expect(
      again?.revision === found!.revision,
      'revision',
      'find returned two revisions of a record that did not change',
    );
    const [located, absent] = [await kit.call(id, 'locate'), await kit.call(kit.newId(), 'locate')];
    kit.expect(located.tag === 'ok', 'locate', `locate of a record that exists returned ${shown(located)}`);
    const message = 'locate returned different targets for a record that exists and for one that does not';
    kit.expect(JSON.stringify(located) === JSON.stringify(absent), 'locate', message);
  }
  const found = await kit.find(kit.newId());
  kit.expect(found === undefined, 'record', 'find returned a learning for a record that does not exist');
}

/** Databases can format JSON in their own way. */
function isSame(name: string, found: unknown, stored: unknown): boolean {
  if ((name !== 'content' && name !== 'metadata') || typeof found !== 'string' || typeof stored !== 'string') {
    return found === stored;
  }
  try {
    return JSON.stringify(JSON.parse(found)) === JSON.stringify(JSON.parse(stored));
  } catch {
    return false;
  }
}

async function checkDeletes(kit: Kit): Promise<void> {
  const deletes: [StorageFunction, string?][] = [['delete'], ['deleteIfOwnedBy', 'alice'], ['deleteIfUnchanged', '1']];
  for (const call of deletes) {
    await kit.expectOutcome('reason', 'a record that does not exist', kit.newId(), call, 'absent');
  }
  for (const userId of ['alice', undefined]) {
    const id = await kit.insert({ userId } as Partial<Columns>);
    await kit.expectOutcome('reason', `a record with the owner ${describe(userId)}`, id, ['delete'], 'deleted');
    await kit.expectOutcome('reason', 'a record that was deleted before', id, ['delete'], 'absent');
  }
  const owners: [string | undefined, string, Outcome][] = [
    [undefined, 'alice', 'unowned'],
    [undefined, '', 'unowned'],
    [undefined, 'null', 'unowned'],
    ['bob', 'alice', 'owned-by-another'],
    ['alice', 'alice', 'deleted'],
  ];
  for (const [userId, user, expected] of owners) {
    const id = await kit.insert({ userId } as Partial<Columns>);
    const what = `a record with the owner ${describe(userId)}, for ${describe(user)},`;
    await kit.expectOutcome('reason', what, id, ['deleteIfOwnedBy', user], expected);
    if (expected !== 'deleted') continue;
    await kit.expectOutcome('reason', 'a record that was deleted before', id, ['deleteIfOwnedBy', user], 'absent');
  }
  const id = await kit.insert();
  for (const revision of ['', 'x'.repeat(64), "'"]) {
    const what = `a record whose revision is not ${describe(revision)}`;
    await kit.expectOutcome('reason', what, id, ['deleteIfUnchanged', revision], 'changed');
  }
  const found = await kit.find(id);
  if (!found) return;
  const call: [StorageFunction, string] = ['deleteIfUnchanged', found.revision];
  await kit.expectOutcome('reason', 'a record that did not change since find', id, call, 'deleted');
  await kit.expectOutcome('reason', 'a record that was deleted before', id, call, 'absent');
}

async function checkRevisions(kit: Kit): Promise<void> {
  for (const [name, values] of Object.entries(COLUMNS)) {
    const id = await kit.insert();
    let owner: string | undefined = 'alice';
    for (const value of values.slice(1)) {
      const before = await kit.find(id);
      const changed = await kit.change(id, { column: columnName(name), value, expectedOwner: owner });
      if (!changed) throw new Error(`the adapter did not change ${columnName(name)} of a record that ${owner} owns`);
      if (name === 'userId') owner = value as string | undefined;
      const after = await kit.find(id);
      if (!before || !after) break;
      const got = after[name as keyof Columns];
      const message = `find returned the ${name} ${describe(got)} after it was changed to ${describe(value)}`;
      kit.expect(isSame(name, got, value), 'record', message);
      const unchanged = `the revision did not change when ${name} was changed to ${describe(value)}`;
      kit.expect(before.revision !== after.revision, 'revision', unchanged);
      const what = `a record whose ${name} was changed to ${describe(value)}`;
      await kit.expectOutcome('revision', what, id, ['deleteIfUnchanged', before.revision], 'changed');
      if (!(await kit.exists(id))) break;
    }
  }
}

async function checkBytes(kit: Kit): Promise<void> {
  for (const pair of SIMILAR) {
    for (const [owner, other] of [pair, [...pair].reverse() as [string, string]]) {
      const id = await kit.insert({ userId: owner });
      const what = (user: string) => `a record of ${JSON.stringify(owner)}, for ${JSON.stringify(user)},`;
      await kit.expectOutcome('bytes', what(other), id, ['deleteIfOwnedBy', other], 'owned-by-another');
      if (!(await kit.exists(id))) continue;
      await kit.expectOutcome('bytes', what(owner), id, ['deleteIfOwnedBy', owner], 'deleted');
    }
  }
  for (const [suffix, other] of [...SIMILAR, ...UNUSUAL.map((text) => [text, `${text}x`] as const)]) {
    const prefix = kit.newId();
    const id = await kit.insert({}, `${prefix}${suffix}`);
    const existing = `while a record exists whose id ends in ${JSON.stringify(suffix)}`;
    const what = `an id that ends in ${JSON.stringify(other)}, ${existing},`;
    await kit.expectOutcome('bytes', what, `${prefix}${other}`, ['delete'], 'absent');
    await kit.expectOutcome('bytes', what, `${prefix}${other}`, ['deleteIfOwnedBy', 'alice'], 'absent');
    const found = await kit.find(`${prefix}${other}`);
    kit.expect(found === undefined, 'bytes', `find of ${what} returned a record`);
    if (!(await kit.exists(id))) continue;
    await kit.expectOutcome('bytes', `a record whose id ends in ${JSON.stringify(suffix)}`, id, ['delete'], 'deleted');
  }
}

/**
 * A delete begins while a change of the record is executed and not committed yet. A storage that reads the record and
 * then deletes it by id reads the old state, waits for the change in its delete, and deletes the new state.
 */
async function checkHeldChange(
  kit: Kit,
  property: 'userId' | 'content',
  value: string,
  name: StorageFunction,
  expected: Outcome,
): Promise<void> {
  for (let round = 0; round < HELD_ROUNDS; round += 1) {
    const id = await kit.insert();
    const found = await kit.find(id);
    if (!found) return;
    const argument = name === 'deleteIfOwnedBy' ? 'alice' : found.revision;
    let result: Result | undefined;
    let calling: Promise<void> | undefined;
    const held = () => {
      calling = kit.call(id, name, argument).then((ended) => void (result = ended));
      calling.catch(() => {});
    };
    const change = { column: columnName(property), value, expectedOwner: 'alice' };
    const changed = await kit.change(id, change, HOLD_MS, held);
    await calling;
    if (!result) throw new Error('the adapter did not await beforeCommit() of a change');
    await judge(kit, id, name, property, changed, result, expected);
  }
}

/** A delete and a change of the owner begin at about the same time. */
async function checkRace(kit: Kit): Promise<void> {
  for (let round = 0; round < FREE_ROUNDS; round += 1) {
    const id = await kit.insert();
    const change = kit.change(id, { column: 'user_id', value: 'bob', expectedOwner: 'alice' });
    // The delay differs from round to round, so that each order of the steps of both occurs.
    const begin = performance.now();
    while (performance.now() - begin < (round % 20) / 20) await new Promise(setImmediate);
    const result = await kit.call(id, 'deleteIfOwnedBy', 'alice');
    await judge(kit, id, 'deleteIfOwnedBy', 'userId', await change, result, 'owned-by-another');
  }
}

/** Exactly one of a change and a delete must take effect. */
async function judge(
  kit: Kit,
  id: string,
  name: StorageFunction,
  property: string,
  changed: boolean,
  result: Result,
  expected: Outcome,
): Promise<void> {
  const during = `${name}, while ${property} was changed, returned ${shown(result)}`;
  const exists = await kit.exists(id);
  // A storage can refuse to wait for a change, and ask for a retry.
  if (result.tag === 'err' && (result.val as { kind: string }).kind === 'unavailable') {
    kit.expect(exists, 'atomic', `${during}, and the record is gone`);
  } else if (changed) {
    kit.expect(exists, 'atomic', `${during}, and the changed record is gone`);
    kit.expect(result.tag === 'ok' && result.val === expected, 'reason', `${during}; expected '${expected}'`);
  } else {
    kit.expect(!exists, 'atomic', `${during}, the change found no record, and the record exists`);
    kit.expect(result.tag === 'ok' && result.val === 'deleted', 'reason', `${during}; expected 'deleted'`);
  }
}

async function checkTwoDeletes(kit: Kit): Promise<void> {
  for (let round = 0; round < FREE_ROUNDS / 5; round += 1) {
    const id = await kit.insert();
    const results = await Promise.all([
      kit.call(id, 'deleteIfOwnedBy', 'alice'),
      kit.call(id, 'deleteIfOwnedBy', 'alice'),
    ]);
    const deleted = results.filter(({ tag, val }) => tag === 'ok' && val === 'deleted').length;
    const message = `of two deletes of one record at the same time, ${deleted} returned 'deleted'; expected one`;
    kit.expect(deleted === 1, 'atomic', message);
  }
}

/** The worker thread: serves the other functions of the adapter. */
async function serve(url: string): Promise<void> {
  const { default: connect } = (await import(url)) as { default: Connect };
  const adapter = await connect();
  const main = parentPort!;
  const send = (message: RemoteMessage) => main.postMessage(message);
  const run = ({ id, name, values, holdMs }: RemoteCall): unknown => {
    if (name !== 'change') return (adapter[name] as (...values: unknown[]) => unknown)(...values);
    const [learningId, change] = values as [string, Change];
    return adapter.change(learningId, change, async () => {
      if (holdMs === undefined) return;
      send({ held: id });
      await new Promise((resolve) => setTimeout(resolve, holdMs));
    });
  };
  main.on('message', async (call: RemoteCall) => {
    try {
      send({ id: call.id, value: await run(call) });
    } catch (error) {
      send({ id: call.id, error: error instanceof Error ? error.message : String(error) });
    }
  });
  send({ ready: true });
}

const adapterUrl = isMainThread ? undefined : (workerData as { storageAdapter?: string } | null)?.storageAdapter;
if (adapterUrl !== undefined) void serve(adapterUrl);
