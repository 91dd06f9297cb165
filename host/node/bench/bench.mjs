// Measures a decision of the package beside Cedar and Rego with the same rule: an owner deletes its own record with the
// scope `learnings:delete`, and an administrator any record. Cedar and Rego answer "allowed" or "denied"; the package
// also deletes the record through asynchronous functions, and validates what they return.
//
//   node bench.mjs [--json] [--rounds 7] [--decisions 2000]
//
// After `npm run build` in the directory of the package, `npm ci` here, and for Rego:
// `cd rego && cargo build --release --target-dir ../target`.
// The contestants take turns. Each runs in a process of its own, so that memory and processor time are its own.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Policy } from '../build/index.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '7' },
    decisions: { type: 'string', default: '2000' },
    one: { type: 'string' },
  },
});
const decisions = Number(values.decisions);
const SUBJECT = 'alice';
const SCOPES = ['learnings:delete'];
const text = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const REGO = new URL('target/wasm32-unknown-unknown/release/delete_learning_rego.wasm', import.meta.url);

/** Each prepares a function that makes one decision for an owner and throws if another one is refused wrongly. */
const CONTESTANTS = {
  async 'delete-learning'() {
    return policyDecision(await Policy.load());
  },
  async 'delete-learning, worker'() {
    return policyDecision(await Policy.load({ component: new URL('../build/policy/', import.meta.url) }));
  },
  async cedar() {
    const cedar = await import('@cedar-policy/cedar-wasm/nodejs');
    cedar.preparsePolicySet('learnings', { staticPolicies: text('learnings.cedar') });
    const principal = { type: 'User', id: SUBJECT };
    const action = { type: 'Action', id: 'delete' };
    const resource = { type: 'Learning', id: 'user_memory_7' };
    return (owner) => {
      const entities = [
        { uid: principal, attrs: { subject: SUBJECT, scopes: SCOPES }, parents: [] },
        { uid: resource, attrs: { owner }, parents: [] },
      ];
      const call = { principal, action, resource, context: {}, preparsedPolicySetId: 'learnings', entities };
      const answer = cedar.statefulIsAuthorized(call);
      if (answer.type !== 'success') throw new Error(JSON.stringify(answer));
      return answer.response.decision === 'allow';
    };
  },
  async 'rego (regorus)'() {
    const { instance } = await WebAssembly.instantiate(readFileSync(REGO));
    const { memory, input, allowed } = instance.exports;
    const encoder = new TextEncoder();
    return (owner) => {
      const bytes = encoder.encode(
        JSON.stringify({ caller: { subject: SUBJECT, scopes: SCOPES }, learning: { id: 'user_memory_7', owner } }),
      );
      const address = input(bytes.length);
      new Uint8Array(memory.buffer).set(bytes, address);
      return allowed() === 1;
    };
  },
};

function policyDecision(policy) {
  const caller = {
    credential: 'jwt',
    subject: SUBJECT,
    scopes: SCOPES,
    scopesOptional: false,
    allOwners: false,
    adminScope: 'agent_os:admin',
  };
  const identity = { current: async () => caller };
  return async (owner) => {
    const storage = {
      locate: async () => ({ database: 'main', table: 'agno_learnings' }),
      find: async () => ({}),
      delete: async () => 'deleted',
      deleteIfOwnedBy: async (user) => (user === owner ? 'deleted' : 'owned-by-another'),
      deleteIfUnchanged: async () => 'changed',
    };
    return (await policy.decide({ learningId: 'user_memory_7' }, identity, storage)).deleted;
  };
}

/** Measures one contestant in this process. */
async function measure(name) {
  const decide = await CONTESTANTS[name]();
  if (!(await decide(SUBJECT)) || (await decide('bob'))) throw new Error(`${name} has another rule`);
  for (let round = 0; round < decisions / 4; round += 1) await decide(SUBJECT);
  globalThis.gc?.();
  const [memory, cpu, begin] = [process.memoryUsage(), process.cpuUsage(), performance.now()];
  let most = memory.rss;
  for (let round = 0; round < decisions; round += 1) {
    if (!(await decide(SUBJECT))) throw new Error(`${name} denied`);
    if (round % 100 === 0) {
      most = Math.max(most, process.memoryUsage.rss());
      // As in a server, which also returns to the event loop.
      await new Promise(setImmediate);
    }
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (decisions / (performance.now() - begin)) * 1000,
    cpuMs: (user + system) / 1000 / decisions,
    memoryMb: memory.rss / 2 ** 20,
    growthKb: Math.max(0, most - memory.rss) / 1024 / decisions,
  };
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

function main() {
  const names = Object.keys(CONTESTANTS).filter((name) => name !== 'rego (regorus)' || existsSync(REGO));
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const name of names) {
      const command = ['--expose-gc', fileURLToPath(import.meta.url), '--one', name, '--decisions', values.decisions];
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
      results[name].push(JSON.parse(stdout));
    }
  }
  const rows = names.map((name) => {
    const keys = ['perSecond', 'cpuMs', 'memoryMb', 'growthKb'];
    return {
      name,
      ...Object.fromEntries(keys.map((key) => [key, median(results[name].map((result) => result[key]))])),
    };
  });
  if (values.json) return console.log(JSON.stringify({ node: process.version, rows }));
  console.log(
    `Node ${process.version}, medians of ${values.rounds} rounds of ${decisions} decisions, one after another\n`,
  );
  console.log('| | decisions per second | processor time | memory of the process | growth per decision |');
  console.log('|---|---|---|---|---|');
  for (const { name, perSecond, cpuMs, memoryMb, growthKb } of rows) {
    const cells = [
      name,
      Math.round(perSecond),
      `${cpuMs.toFixed(3)} ms`,
      `${Math.round(memoryMb)} MB`,
      `${growthKb.toFixed(1)} KB`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

if (values.one === undefined) main();
else {
  console.log(JSON.stringify(await measure(values.one)));
  // The process ends although workers wait.
}
