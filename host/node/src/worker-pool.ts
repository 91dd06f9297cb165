// Runs components in worker threads, which can be terminated: one decision at a time in each. The host's own functions
// run in the main thread. A worker blocks while they run, because its components are called without JSPI.
import { Worker } from 'node:worker_threads';
import { settle } from './after.js';
import type { Answer } from './chain.js';
import type { HostFunction } from './checks.js';
import type { Request } from './contract.js';
import type { HostCalls, Result } from './host-calls.js';
import type { Runner, Running, Settings } from './policy.js';

/** What a worker is started with. */
export interface WorkerStart {
  settings: Pick<Settings, 'components' | 'limits'>;
  /** One integer. The main thread increments it after each answer to a call. */
  signal: SharedArrayBuffer;
}

/** A message to a worker: a request, or the answer to a call. */
export type ToWorker = { request: Request; current: Result } | { result: Result } | { failed: true };

/** A message of a worker. */
export type FromWorker =
  { ready: true } | { loadError: string } | { call: HostFunction; argument: string | undefined } | { answer: Answer };

export class WorkerPool implements Runner {
  readonly mode = 'worker';
  #idle: PolicyWorker[] = [];
  #all = new Set<PolicyWorker>();

  private constructor(private readonly settings: Settings) {}

  /** Starts the first worker, so that what is wrong with a component is reported at once. */
  static async load(settings: Settings): Promise<WorkerPool> {
    const pool = new WorkerPool(settings);
    const worker = pool.#newWorker();
    await worker.ready();
    pool.#idle.push(worker);
    return pool;
  }

  start(request: Request, host: HostCalls): Running {
    let worker: PolicyWorker | undefined;
    let isAborted = false;
    const decide = async (): Promise<Answer> => {
      // Every policy needs the caller, so it is passed with the request. That saves a call from thread to thread.
      const current = await host.call('current');
      if (isAborted) throw new Error('the decision has ended');
      worker = this.#idle.pop() ?? this.#newWorker();
      const answer = await worker.decide(request, current, host);
      if (worker.isUsable) this.#idle.push(worker);
      return answer;
    };
    const abort = () => {
      isAborted = true;
      void worker?.stop();
    };
    return { answer: decide(), abort };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((worker) => worker.stop()));
  }

  #newWorker(): PolicyWorker {
    const worker = new PolicyWorker(this.settings, () => this.#all.delete(worker));
    this.#all.add(worker);
    return worker;
  }
}

class PolicyWorker {
  #worker: Worker;
  #signal = new Int32Array(new SharedArrayBuffer(4));
  #decision: { host: HostCalls; resolve: (answer: Answer) => void } | undefined;
  #ready: { resolve: () => void; reject: (error: Error) => void } | undefined;
  isUsable = true;

  constructor({ components, limits }: Settings, ended: () => void) {
    const workerData: WorkerStart = {
      settings: { components, limits },
      signal: this.#signal.buffer as SharedArrayBuffer,
    };
    // The worker gets no environment variables and no command-line options of the process.
    const options = { workerData, env: {}, execArgv: [], name: 'delete-learning' };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), options);
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#failed(`its worker failed: ${error.message}`));
    this.#worker.on('exit', () => {
      ended();
      this.#failed('its worker ended');
    });
    // A process with a loaded policy ends when it has nothing else to do. The timeout of a decision keeps it
    // running. This is last because a listener for messages would keep the process running again.
    this.#worker.unref();
  }

  /** Waits until the components are loaded. */
  async ready(): Promise<void> {
    this.#worker.ref();
    await new Promise<void>((resolve, reject) => (this.#ready = { resolve, reject }));
    this.#worker.unref();
  }

  decide(request: Request, current: Result, host: HostCalls): Promise<Answer> {
    return new Promise((resolve) => {
      this.#decision = { host, resolve };
      // The event loop of the worker receives a request, so it needs no signal.
      this.#worker.postMessage({ request, current } satisfies ToWorker);
    });
  }

  async stop(): Promise<void> {
    this.isUsable = false;
    await this.#worker.terminate();
  }

  /** Answers a call of the worker, which waits for the signal. */
  #reply(message: ToWorker): void {
    this.#worker.postMessage(message);
    Atomics.add(this.#signal, 0, 1);
    Atomics.notify(this.#signal, 0);
  }

  #receive(message: FromWorker): void {
    if ('ready' in message) {
      this.#ready?.resolve();
    } else if ('loadError' in message) {
      this.#failed(message.loadError);
    } else if ('answer' in message) {
      this.#end(message.answer);
    } else {
      const { host } = this.#decision!;
      settle(
        () => host.call(message.call, message.argument),
        (result) => this.#reply({ result }),
        () => this.#reply({ failed: true }),
      );
    }
  }

  #failed(message: string): void {
    this.isUsable = false;
    this.#ready?.reject(new Error(message));
    this.#end({ tag: 'failed', kind: 'sandbox', guard: undefined, message });
  }

  #end(answer: Answer): void {
    const decision = this.#decision;
    this.#decision = undefined;
    decision?.resolve(answer);
  }
}
