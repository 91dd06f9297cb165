// Runs components in the calling thread. Nothing can stop one that does not return.
import { Chain } from './chain.js';
import type { Request } from './contract.js';
import type { HostCalls } from './host-calls.js';
import { hasJspi, type Mode, type Runner, type Running, type Settings } from './policy.js';

export class InThread implements Runner {
  private constructor(
    readonly mode: Mode,
    private readonly chain: Chain,
  ) {}

  /** Uses JSPI if the engine has it. Without JSPI, the host's functions must not return promises. */
  static async load({ components, limits }: Settings): Promise<InThread> {
    const jspi = hasJspi();
    return new InThread(jspi ? 'jspi' : 'sync', await Chain.load(components, limits, jspi ? 'async' : 'sync'));
  }

  start(request: Request, host: HostCalls): Running {
    // A component that waits for the host when it is aborted never runs again: the host refuses its calls.
    return { answer: this.chain.decide(request, host), abort: () => {} };
  }

  close(): void {}
}
