// The package in Node.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InThread } from './in-thread.js';
import { hasJspi, LoadedPolicy, readOptions, type PolicyOptions, type Runner, type Settings } from './policy.js';
import { WorkerPool } from './worker-pool.js';

export * from './exports.js';

const DEFAULT_POLICY = new URL('./policy/', import.meta.url);

/** A loaded policy, ready to decide. */
export class Policy extends LoadedPolicy {
  private constructor(runner: Runner, settings: Settings) {
    super(runner, settings, runner.mode === 'worker' ? 16 : 256);
  }

  /**
   * Loads a policy and its guards. Throws if one of them cannot be read, imports what it is not granted, or is no
   * component of this contract.
   *
   * The default policy runs in the calling thread if the engine has JSPI: its running time is bounded, so no timeout
   * has to stop it. Everything else runs in worker threads, which can be terminated.
   */
  static async load(options: PolicyOptions = {}): Promise<Policy> {
    if (typeof ''.isWellFormed !== 'function') throw new Error('delete-learning requires Node 20.19 or later');
    const settings = readOptions(options, DEFAULT_POLICY, (directory) =>
      directory instanceof URL ? directory : pathToFileURL(resolve(directory)),
    );
    const isBuiltIn = options.component === undefined && settings.components.length === 1;
    const runner = isBuiltIn && hasJspi() ? await InThread.load(settings) : await WorkerPool.load(settings);
    return new Policy(runner, settings);
  }
}
