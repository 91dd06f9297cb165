// A worker thread: loads the components, and decides on one request after the other.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Chain, type Answer } from './chain.js';
import type { HostFunction } from './checks.js';
import type { Host, Result } from './host-calls.js';
import type { FromWorker, ToWorker, WorkerStart } from './worker-pool.js';

const { settings, signal } = workerData as WorkerStart;
const sent = new Int32Array(signal);
const main = parentPort!;
const send = (message: FromWorker) => main.postMessage(message);

/** The caller of the current request, or the error in place of it. */
let current: Result;

/** The host, whose functions run in the main thread while this thread waits. */
const host: Host = {
  call(name: HostFunction, argument?: string): Result {
    if (name === 'current') return current;
    const before = Atomics.load(sent, 0);
    send({ call: name, argument });
    // The notification of an earlier answer can arrive late.
    while (Atomics.load(sent, 0) === before) Atomics.wait(sent, 0, before);
    const { message } = receiveMessageOnPort(main) as { message: ToWorker };
    if ('result' in message) return message.result;
    throw new Error(`the host's own ${name} failed`);
  },
};

try {
  const chain = await Chain.load(settings.components, settings.limits, 'sync');
  main.on('message', (message: ToWorker) => {
    // Without JSPI the components, and therefore the chain, return at once.
    if (!('request' in message)) return;
    current = message.current;
    send({ answer: chain.decide(message.request, host) as Answer });
  });
  send({ ready: true });
} catch (error) {
  send({ loadError: error instanceof Error ? error.message : String(error) });
}
