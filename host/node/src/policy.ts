// A loaded policy: what Node and browsers have in common.
import { isPromise } from './after.js';
import type { Answer, ComponentConfig, Limits } from './chain.js';
import type { Identity, MaybePromise, RecordStorage, Rejection, Request } from './contract.js';
import { validate, type Decision } from './decision.js';
import { PolicyFailure } from './failure.js';
import { HostCalls } from './host-calls.js';
import { Permits } from './queue.js';

/** A component, and what it gets beyond the contract. */
export interface ComponentOptions {
  /**
   * The directory that `npx delete-learning transpile FILE -o DIRECTORY` wrote: a path or a URL. It contains
   * JavaScript, so load only what you transpiled yourself.
   */
  component: string | URL;
  /** The settings that the component reads through `wasi:config/store`. */
  settings?: Record<string, string>;
  /** The clocks that it can import, by the full names of its imports, such as `wasi:clocks/wall-clock@0.2.12`. */
  grants?: string[];
}

/** A guard: a component between the policy and the storage that can only retain records. */
export interface GuardOptions extends ComponentOptions {
  /** The name of the guard in errors. */
  name: string;
}

/** The options of `Policy.load`. Without any, it loads the default policy. */
export interface PolicyOptions extends Partial<ComponentOptions> {
  /** The guards, outermost first. */
  guards?: GuardOptions[];
  /** Maximum milliseconds of a decision, your own functions included. Default: 10 000. */
  timeoutMs?: number;
  /** Maximum milliseconds that a decision waits for others to end. Default: 2 000. */
  queueTimeoutMs?: number;
  /** Maximum number of decisions at once. Default: 256, or 16 if they run in workers, of which each has its own. */
  maxConcurrent?: number;
  /** Maximum calls of a component to `identity` and `storage` in one decision. Default: 64. */
  maxHostCalls?: number;
  /** Maximum bytes that a component passes to the host in one decision. Default: 65 536. */
  maxHostCallBytes?: number;
}

/**
 * How decisions run: `jspi`, in the calling thread, waiting for promises with JavaScript Promise Integration; `worker`,
 * in worker threads; `sync`, in the calling thread and without promises.
 */
export type Mode = 'jspi' | 'worker' | 'sync';

/** Whether the engine can suspend WebAssembly while a promise is pending. */
export function hasJspi(): boolean {
  return 'Suspending' in WebAssembly && 'promising' in WebAssembly;
}

/** A decision that is being made. */
export interface Running {
  answer: MaybePromise<Answer>;
  /** Stops the components. */
  abort(): void;
}

/** Where the components run. */
export interface Runner {
  readonly mode: Mode;
  start(request: Request, host: HostCalls): Running;
  close(): MaybePromise<void>;
}

/** The options with their defaults. */
export interface Settings {
  components: ComponentConfig[];
  limits: Limits;
  timeoutMs: number;
  queueTimeoutMs: number;
  maxConcurrent: number | undefined;
}

const OPTIONS: Record<keyof PolicyOptions, true> = {
  component: true,
  settings: true,
  grants: true,
  guards: true,
  timeoutMs: true,
  queueTimeoutMs: true,
  maxConcurrent: true,
  maxHostCalls: true,
  maxHostCallBytes: true,
};
const MAX_GUARDS = 4;

/** Checks the options and adds the defaults. `resolve` makes the URL of a component's directory. */
export function readOptions(
  options: PolicyOptions,
  defaultPolicy: URL,
  resolve: (directory: string | URL) => URL,
  known: readonly string[] = Object.keys(OPTIONS),
): Settings {
  rejectUnknown('Policy.load', options, known);
  const number = (key: keyof PolicyOptions, preset: number | undefined, max = 2 ** 31 - 1) => {
    const value = options[key] ?? preset;
    if (value === undefined) return value;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new TypeError(`Policy.load: ${key} is ${String(value)}; expected an integer from 1 to ${max}`);
  };
  const { component = defaultPolicy, guards = [], settings, grants } = options;
  if (guards.length > MAX_GUARDS) {
    throw new TypeError(`Policy.load: there are ${guards.length} guards; expected at most ${MAX_GUARDS}`);
  }
  const config = (name: string | undefined, { component, settings = {}, grants = [] }: ComponentOptions) => {
    const wrong = Object.entries(settings).find(([, value]) => typeof value !== 'string');
    if (wrong) throw new TypeError(`Policy.load: the setting '${wrong[0]}' is not a string; write lists as JSON text`);
    return { name, directory: resolve(component).href, settings: { ...settings }, grants: [...grants] };
  };
  for (const guard of guards) {
    rejectUnknown('a guard of Policy.load', guard, ['name', 'component', 'settings', 'grants']);
    if (!guard.name || !guard.component) throw new TypeError('Policy.load: a guard needs `name` and `component`');
  }
  return {
    components: [
      config(undefined, { component, settings: settings ?? {}, grants: grants ?? [] }),
      ...guards.map((guard) => config(guard.name, guard)),
    ],
    limits: {
      maxHostCalls: number('maxHostCalls', 64)!,
      maxHostCallBytes: number('maxHostCallBytes', 64 * 1024)!,
    },
    timeoutMs: number('timeoutMs', 10_000)!,
    queueTimeoutMs: number('queueTimeoutMs', 2_000)!,
    maxConcurrent: number('maxConcurrent', undefined, 4096),
  };
}

function rejectUnknown(what: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown) throw new TypeError(`${what} got the unknown option '${unknown}'; expected only ${known.join(', ')}`);
}

/** The rejection if `maxConcurrent` decisions run for longer than `queueTimeoutMs`. The Rust library has the same. */
const OVERLOADED: Rejection = Object.freeze({
  status: 503,
  code: 'service-unavailable',
  detail: 'The service is busy; nothing was deleted',
  rule: 'sandbox-overloaded',
});

/** A loaded policy. It can make several decisions at once. */
export abstract class LoadedPolicy {
  #runner: Runner;
  #permits: Permits;
  #timeoutMs: number;
  #running = 0;
  #idle: (() => void) | undefined;
  #closed = false;

  protected constructor(runner: Runner, settings: Settings, maxConcurrent: number) {
    this.#runner = runner;
    this.#permits = new Permits(settings.maxConcurrent ?? maxConcurrent, settings.queueTimeoutMs);
    this.#timeoutMs = settings.timeoutMs;
  }

  /** How decisions run. */
  get mode(): Mode {
    return this.#runner.mode;
  }

  /**
   * Decides on one request, and deletes the record if the policy permits it. Every component runs in a fresh
   * instance.
   *
   * `identity` and `storage` belong to this request. Their functions run in the calling thread.
   *
   * The rejection has status 503 if `maxConcurrent` decisions are running and none ends within `queueTimeoutMs`. Throws a
   * {@link PolicyFailure} if there is no valid decision.
   */
  async decide(request: Request, identity: Identity, storage: RecordStorage): Promise<Decision> {
    const host = new HostCalls(request, identity, storage, this.mode === 'sync');
    const waiting = this.#permits.acquire();
    if (waiting && !(await waiting)) {
      return { deleted: false, rejection: { ...OVERLOADED } };
    }
    this.#running += 1;
    try {
      if (this.#closed) throw new PolicyFailure('closed', 'the policy was closed', { deleted: false });
      const running = this.#runner.start(host.request, host);
      const answer = isPromise(running.answer) ? await this.#withTimeout(running, host) : running.answer;
      return validate(answer, host);
    } finally {
      host.close();
      this.#permits.release();
      this.#running -= 1;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Refuses further decisions, waits for those that are being made, and ends the workers. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#runner.close();
  }

  #withTimeout(running: Running, host: HostCalls): Promise<Answer> {
    return new Promise((resolve) => {
      const failed = (kind: 'execution-timeout' | 'sandbox', message: string) => {
        resolve({ tag: 'failed', kind, guard: undefined, message });
      };
      const timer = setTimeout(() => {
        host.close();
        running.abort();
        failed('execution-timeout', `it took longer than ${this.#timeoutMs} ms`);
      }, this.#timeoutMs);
      Promise.resolve(running.answer)
        .then(resolve, (error: unknown) => failed('sandbox', error instanceof Error ? error.message : 'unknown error'))
        .finally(() => clearTimeout(timer));
    });
  }
}
