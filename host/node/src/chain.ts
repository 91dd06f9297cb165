// A policy and its guards in one request: each component in a fresh instance, the export of each guard behind the
// import of the component before it, and the last one in front of the host.
import { settle } from './after.js';
import { isDelete, type HostFunction, type StorageFunction } from './checks.js';
import { Component, type Flavor, type Imports, type Instance } from './component.js';
import type { MaybePromise, Rejection, Request } from './contract.js';
import { PolicyFailure, type FailureKind } from './failure.js';
import { GuardRules, GuardViolation } from './guard-rules.js';
import type { Host, Result } from './host-calls.js';
import { importsToGrant, isGrantable } from './imports.js';

/** Limits of each instance in one request. */
export interface Limits {
  /** Maximum calls to `identity` and `storage`. */
  maxHostCalls: number;
  /** Maximum bytes that it can pass to the host: strings in calls, the rejection, and messages of errors. */
  maxHostCallBytes: number;
}

/** Calls to WASI that a component can make in one request. */
const MAX_WASI_CALLS = 1000;

/** Where a component is, and what it gets beyond the contract. It can be sent to a worker. */
export interface ComponentConfig {
  /** The name in errors; undefined for the policy. */
  name: string | undefined;
  /** The URL of the directory of the transpiled component. */
  directory: string;
  settings: Record<string, string>;
  /** The interfaces of WASI that it can import, by their full names. */
  grants: string[];
}

/** What a chain returns: the result of the policy, or why there is none. */
export type Answer =
  | { tag: 'ok' }
  | { tag: 'err'; val: Rejection }
  | { tag: 'failed'; kind: FailureKind; guard: string | undefined; message: string };

/** A failure of a component. */
class ComponentFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
  }
}

/** A policy with its guards, outermost first. */
export class Chain {
  private constructor(
    private readonly components: { config: ComponentConfig; component: Component }[],
    private readonly limits: Limits,
  ) {}

  /** Loads the policy and its guards, and checks that each can have what it imports. */
  static async load(configs: ComponentConfig[], limits: Limits, flavor: Flavor): Promise<Chain> {
    const loaded = configs.map(async (config, index) => {
      const component = await Component.load(new URL(config.directory), flavor);
      checkManifest(component, config, index === 0 ? 'policy' : 'guard');
      return { config, component };
    });
    return new Chain(await Promise.all(loaded), limits);
  }

  /** Decides on one request. Never throws. */
  decide(request: Request, host: Host): MaybePromise<Answer> {
    const run = new Run(host, this.limits);
    const [policy, ...guards] = this.components;
    let storage = host as StorageLink;
    for (const { component, config } of guards.reverse())
      storage = new GuardRun(component, config, storage, run).served;
    const policyRun = new ComponentRun(policy!.component, policy!.config, storage, run);
    return settle(
      () => policyRun.callExport('deleteLearning', request),
      (result) => run.end(result),
      (thrown) => run.end(undefined, thrown),
    );
  }
}

/** What serves the `storage` of an instance: the host, or a guard. */
interface StorageLink {
  call(name: StorageFunction, argument?: string): MaybePromise<Result>;
}

/** One request. */
class Run {
  instances: Instance[] = [];
  /** The first failure. A component can catch the exception of an import, so the failure is recorded. */
  #failure: Extract<Answer, { tag: 'failed' }> | undefined;

  constructor(
    readonly host: Host,
    readonly limits: Limits,
  ) {}

  /** Throws if the request has failed. */
  check(): void {
    if (this.#failure) throw new Error(this.#failure.message);
  }

  /** Records a failure, unless another one is the cause of it, and throws it. */
  fail(thrown: unknown, guard: string | undefined): never {
    this.#failure ??= { tag: 'failed', guard, ...classify(thrown) };
    throw thrown;
  }

  end(result: Result | undefined, thrown?: unknown): Answer {
    if (result === undefined) this.#failure ??= { tag: 'failed', guard: undefined, ...classify(thrown) };
    if (this.#failure) return this.#failure;
    for (const instance of this.instances) instance.release();
    return result!.tag === 'ok' ? { tag: 'ok' } : { tag: 'err', val: result!.val as Rejection };
  }
}

/** A component in one request. It is instantiated by the first call. */
class ComponentRun implements Imports {
  #instance: Instance | undefined;
  #calls = 0;
  #bytes = 0;
  #wasiCalls = 0;

  constructor(
    private readonly component: Component,
    protected readonly config: ComponentConfig,
    private readonly behind: StorageLink,
    protected readonly run: Run,
  ) {}

  /** Calls an export of the component. */
  callExport(name: string, argument: unknown): MaybePromise<Result> {
    return settle(
      () => {
        if (!this.#instance) this.run.instances.push((this.#instance = this.component.create(this)));
        return this.#instance.call(name, argument);
      },
      (result) => {
        this.#guarded(() => this.countBytes(...texts(result)));
        return result;
      },
      (thrown) => this.run.fail(thrown, this.config.name),
    );
  }

  call(name: HostFunction, argument?: string): MaybePromise<Result> {
    this.run.check();
    this.#guarded(() => {
      this.#calls += 1;
      if (this.#calls > this.run.limits.maxHostCalls) throw tooManyCalls();
      if (argument !== undefined) this.countBytes(argument);
    });
    if (name === 'current') return this.run.host.call(name);
    if (isDelete(name)) this.#guarded(() => this.beforeDelete(name, argument));
    return settle(
      () => this.behind.call(name, argument),
      (result) => {
        this.afterCall(name, argument, result);
        return result;
      },
      (thrown) => this.run.fail(thrown, this.config.name),
    );
  }

  setting(key: string): string | undefined {
    this.#countWasiCall(key);
    return Object.hasOwn(this.config.settings, key) ? this.config.settings[key] : undefined;
  }

  settings(): [string, string][] {
    this.#countWasiCall();
    return Object.entries(this.config.settings);
  }

  wallClock(): bigint {
    this.#countWasiCall();
    return BigInt(Date.now()) * 1_000_000n;
  }

  monotonicClock(): bigint {
    this.#countWasiCall();
    return BigInt(Math.round(performance.now() * 1e6));
  }

  protected beforeDelete(_name: StorageFunction, _argument: string | undefined): void {}
  protected afterCall(_name: StorageFunction, _argument: string | undefined, _result: Result): void {}

  protected countBytes(...texts: string[]): void {
    for (const text of texts) this.#bytes += utf8Length(text);
    if (this.#bytes > this.run.limits.maxHostCallBytes) {
      throw new ComponentFailure('limit', 'it passed too many bytes to the host');
    }
  }

  #countWasiCall(text = ''): void {
    this.run.check();
    this.#guarded(() => {
      this.#wasiCalls += 1;
      if (this.#wasiCalls > MAX_WASI_CALLS) throw tooManyCalls();
      this.countBytes(text);
    });
  }

  /** Runs a check of this component, whose failure ends the request. */
  #guarded(check: () => void): void {
    try {
      check();
    } catch (thrown) {
      this.run.fail(thrown, this.config.name);
    }
  }
}

/** A guard in one request. */
class GuardRun extends ComponentRun {
  #rules = new GuardRules();
  /** The `storage` that the guard exports. */
  readonly served: StorageLink = { call: (name, argument) => this.#serve(name, argument) };

  #serve(name: StorageFunction, argument: string | undefined): MaybePromise<Result> {
    this.#rules.begin(name, argument);
    return settle(
      () => this.callExport(name, argument),
      (result) => {
        try {
          this.#rules.check(result);
        } catch (thrown) {
          this.run.fail(thrown, this.config.name);
        }
        return result;
      },
      (thrown): Result => {
        throw thrown;
      },
    );
  }

  protected override beforeDelete(name: StorageFunction, argument: string | undefined): void {
    this.#rules.checkDelete(name, argument);
  }

  protected override afterCall(name: StorageFunction, argument: string | undefined, result: Result): void {
    this.#rules.record(name, argument, result);
  }
}

function tooManyCalls(): ComponentFailure {
  return new ComponentFailure('limit', 'it called the host too often');
}

/** The texts that a component passes to the host in a result. The record of `find` came from the host. */
function texts(result: Result): string[] {
  if (result.tag === 'ok') return [];
  const { message, detail, rule } = result.val as { message?: string; detail?: string; rule?: string };
  return [message, detail, rule].filter((text) => text !== undefined);
}

const encoder = new TextEncoder();

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

function classify(thrown: unknown): { kind: FailureKind; message: string } {
  if (thrown instanceof ComponentFailure) return { kind: thrown.kind, message: thrown.message };
  if (thrown instanceof GuardViolation) {
    return { kind: 'guard-violation', message: `it violated a rule of guards: ${thrown.message}` };
  }
  if (thrown instanceof PolicyFailure) return { kind: thrown.kind, message: thrown.message };
  const message = thrown instanceof Error ? thrown.message : 'unknown error';
  // An exhausted stack is a RangeError.
  const isTrap = thrown instanceof WebAssembly.RuntimeError || thrown instanceof RangeError;
  return isTrap
    ? { kind: 'trap', message: `it trapped: ${message}` }
    : { kind: 'sandbox', message: `it failed in the sandbox: ${message}` };
}

/** Checks the world of a component, and its imports against its grants. */
function checkManifest({ manifest }: Component, { directory, grants, name }: ComponentConfig, world: string): void {
  const what = name === undefined ? `the policy ${directory}` : `the guard '${name}' (${directory})`;
  if (manifest.world !== world) throw new Error(`${what} is a ${manifest.world}, not a ${world}`);
  const unknownGrant = grants.find((grant) => !isGrantable(grant));
  if (unknownGrant !== undefined) {
    throw new Error(
      `${what}: '${unknownGrant}' cannot be granted; only the clocks of WASI 0.2 can, by their full names`,
    );
  }
  const needed = importsToGrant(what, manifest.imports);
  const missing = needed.filter((name) => !grants.includes(name));
  if (missing.length === 0) return;
  const list = needed.map((name) => `'${name}'`).join(', ');
  throw new Error(`${what} imports ${missing.join(', ')}, which it is not granted; to grant it, set grants: [${list}]`);
}
