// The export for browsers, which runs everything in the thread. It needs nothing that Node lacks.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { PolicyFailure } from 'delete-learning';
import { Policy } from 'delete-learning/browser';
import { transpileFile, workspace, writeGuard } from './components.mjs';
import { caller, decide, failureOf, later, storage } from './support.mjs';

const { directory, remove } = await workspace();
after(remove);
const hasJspi = 'Suspending' in WebAssembly;
const held = { held_users: '["bob"]', held_sessions: '[]' };
const guards = [
  {
    name: 'retention',
    component: await transpileFile('guest/examples/retention/component/retention.wasm', directory),
    settings: { default_minimum_age_days: '30' },
    grants: ['wasi:clocks/wall-clock@0.2.12'],
  },
  {
    name: 'legal-hold',
    component: await transpileFile('guest/examples/legal-hold/component/legal-hold.wasm', directory),
    settings: held,
  },
];

test('the mode depends on the engine', async () => {
  const policy = await Policy.load();
  assert.equal(policy.mode, hasJspi ? 'jspi' : 'sync');
  assert.deepEqual(await decide(policy), { deleted: true });
  assert.equal((await decide(policy, {}, { owner: 'bob' })).rejection.rule, 'learning-owned-by-another');
});

test('guards run in the thread', async () => {
  const policy = await Policy.load({ guards });
  const as = (subject) => ({ identity: { current: () => ({ ...caller, subject }) }, owner: subject });
  for (let round = 0; round < 3; round += 1) {
    assert.deepEqual(await decide(policy, {}, as('alice')), { deleted: true });
    assert.equal((await decide(policy, {}, as('bob'))).rejection.rule, 'deletion-denied');
  }
  const createdAt = BigInt(Math.floor(Date.now() / 1000));
  const find = () => ({ learning: { ...storage().find().learning, createdAt } });
  assert.equal((await decide(policy, { find })).rejection.rule, 'deletion-denied');
});

test('asynchronous functions need JSPI', async () => {
  const policy = await Policy.load({ guards });
  const functions = { find: async () => later(storage().find()), deleteIfUnchanged: async () => later('deleted') };
  if (hasJspi) {
    const all = Array.from({ length: 20 }, () => decide(policy, functions));
    for (const decision of await Promise.all(all)) assert.deepEqual(decision, { deleted: true });
    return;
  }
  const failure = await failureOf(decide(policy, functions));
  assert.ok(failure instanceof PolicyFailure);
  assert.deepEqual([failure.kind, failure.deleted], ['storage', false]);
  assert.match(failure.message, /^storage.find returned a promise; this engine has no JSPI/);
  const deleting = await failureOf(decide(policy, { deleteIfUnchanged: functions.deleteIfUnchanged }));
  assert.deepEqual([deleting.kind, deleting.deleted], ['storage', null]);
});

test('the rules of guards hold in the thread', async () => {
  const component = await writeGuard('deleteIfOwnedBy: () => "deleted"', directory);
  const policy = await Policy.load({ guards: [{ name: 'guard', component }] });
  const failure = await failureOf(decide(policy));
  assert.deepEqual([failure.kind, failure.guard, failure.deleted], ['guard-violation', 'guard', false]);
});
