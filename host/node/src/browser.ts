// The package in a browser.
import { InThread } from './in-thread.js';
import { LoadedPolicy, readOptions, type PolicyOptions, type Runner, type Settings } from './policy.js';

export * from './exports.js';

const DEFAULT_POLICY = new URL('./policy/', import.meta.url);

/** A loaded policy, ready to decide. */
export class Policy extends LoadedPolicy {
  private constructor(runner: Runner, settings: Settings) {
    super(runner, settings, 256);
  }

  /**
   * Loads a policy and its guards from URLs. They run in the page, so a component that does not return blocks it:
   * `timeoutMs` limits only the time of your own functions. In an engine without JSPI (`mode` is `sync`), these must
   * not return promises.
   */
  static async load(options: PolicyOptions = {}): Promise<Policy> {
    const settings = readOptions(options, DEFAULT_POLICY, (directory) =>
      // A web worker has no document.
      directory instanceof URL
        ? directory
        : new URL(directory, globalThis.document?.baseURI ?? globalThis.location.href),
    );
    return new Policy(await InThread.load(settings), settings);
  }
}
