// Decisions of the default policy and of others, what stops them, and what becomes of the record.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { Policy } from 'delete-learning';
import { assemble, transpileFile, workspace, writeGuard } from './components.mjs';
import { caller, decide, failureOf, later, storage } from './support.mjs';

const { directory, remove } = await workspace();
after(remove);
const hasJspi = 'Suspending' in WebAssembly;

/** Loads a malicious policy, and ends its workers after the test. */
async function load(context, path, options = {}) {
  const { directory: component } = await assemble(`${path}.wat`, directory);
  const policy = await Policy.load({ component, ...options });
  context.after(() => policy.close());
  return policy;
}

test('the default policy runs in the thread if the engine has JSPI', async (context) => {
  const policy = await Policy.load();
  context.after(() => policy.close());
  assert.equal(policy.mode, hasJspi ? 'jspi' : 'worker');
});

test('the functions of the host can be synchronous or asynchronous', async (context) => {
  const policy = await Policy.load();
  context.after(() => policy.close());
  const current = async () => later(caller);
  for (const outcome of ['deleted', 'owned-by-another']) {
    const expected = outcome === 'deleted';
    assert.equal((await decide(policy, { deleteIfOwnedBy: () => outcome })).deleted, expected);
    const functions = { deleteIfOwnedBy: async () => later(outcome) };
    assert.equal((await decide(policy, functions, { identity: { current } })).deleted, expected);
  }
});

test('every character of a subject is significant', async (context) => {
  const policy = await Policy.load();
  context.after(() => policy.close());
  for (const subject of ['\ufeffalice', 'alice\ufeff', 'Alice', 'alice\0', 'alice ', 'é']) {
    const current = () => ({ ...caller, subject });
    const { rejection } = await decide(policy, {}, { identity: { current } });
    assert.equal(rejection.rule, 'learning-owned-by-another', JSON.stringify(subject));
    let user;
    await decide(policy, { deleteIfOwnedBy: (id) => ((user = id), 'deleted') }, { identity: { current } });
    assert.equal(user, subject);
  }
});

test('many decisions at once do not mix', async (context) => {
  const policy = await Policy.load({ maxConcurrent: 8, queueTimeoutMs: 60_000 });
  context.after(() => policy.close());
  const decisions = Array.from({ length: 100 }, async (_, index) => {
    const subject = `user-${index}`;
    const current = async () => later({ ...caller, subject });
    const deleteIfOwnedBy = async (user) => {
      await later();
      assert.equal(user, subject);
      return index % 2 ? 'deleted' : 'owned-by-another';
    };
    const decision = await decide(policy, { deleteIfOwnedBy }, { identity: { current } });
    assert.equal(decision.deleted, index % 2 === 1);
  });
  await Promise.all(decisions);
});

// A component, the kind of its failure, what becomes of the record, the message.
const FAILURES = [
  ['traps', 'trap', false, /the policy failed: it trapped/],
  ['divides_by_zero', 'trap', false, /it trapped/],
  ['traps_after_deleting', 'trap', true, /it trapped/],
  ['traps_in_post_return', 'trap', true, /it trapped/],
  ['recurses_endlessly', 'trap', false, /it trapped/],
  ['spins_before_calls', 'execution-timeout', false, /it took longer than 300 ms/],
  ['spins_after_deleting', 'execution-timeout', true, /it took longer than 300 ms/],
  ['deletes_endlessly', 'limit', true, /it called the host too often/],
  ['passes_oversized_string', 'limit', false, /it passed too many bytes to the host/],
  ['passes_invalid_utf8', 'sandbox', false, /./],
  ['passes_string_out_of_bounds', null, false, /./],
  ['returns_invalid_discriminant', 'sandbox', null, /./],
  ['reports_success_without_delete', 'misreport', false, /it reported a deletion that did not happen/],
  ['rejects_after_deleting', 'misreport', true, /it rejected the request after deleting the record, by the rule/],
  ['rejects_with_mismatched_status', 'misreport', false, /its status does not belong to its code/],
  ['rejects_with_control_characters', 'misreport', false, /its detail contains control characters/],
  ['rejects_with_malformed_rule', 'misreport', false, /its rule is not a name/],
  ['rejects_with_empty_detail', 'misreport', false, /its detail is empty or too long/],
];

for (const [path, kind, deleted, message] of FAILURES) {
  test(`${path} is stopped`, async (context) => {
    const policy = await load(context, path, { timeoutMs: 300 });
    const failure = await failureOf(decide(policy));
    assert.match(failure.message, message);
    assert.equal(failure.name, 'PolicyFailure');
    if (kind !== null) assert.equal(failure.kind, kind);
    if (deleted !== null) assert.equal(failure.deleted, deleted);
    // The next decision gets another instance, and another worker after a timeout.
    const again = await failureOf(decide(policy));
    assert.equal(again.message, failure.message);
  });
}

const GUARD_FAILURES = [
  // What the guard does, in JavaScript, the kind of its failure, what becomes of the record, the message.
  [
    'deleteIfOwnedBy: () => { throw new WebAssembly.RuntimeError("unreachable"); }',
    'trap',
    false,
    /it trapped: unreachable/,
  ],
  [
    'deleteIfOwnedBy(user) { forward.deleteIfOwnedBy(user); throw new WebAssembly.RuntimeError("unreachable"); }',
    'trap',
    true,
    /it trapped/,
  ],
  ['deleteIfOwnedBy: () => { for (;;); }', 'execution-timeout', false, /it took longer than 300 ms/],
  [
    'deleteIfOwnedBy(user) { forward.deleteIfOwnedBy(user); for (;;); }',
    'execution-timeout',
    true,
    /it took longer than 300 ms/,
  ],
  ['deleteIfOwnedBy(user) { for (;;) forward.deleteIfOwnedBy(user); }', 'limit', true, /it called the host too often/],
  ['deleteIfOwnedBy: () => fail("denied", "x".repeat(70000))', 'limit', false, /it passed too many bytes to the host/],
  [
    'deleteIfOwnedBy(user) { forward.deleteIfOwnedBy(user); return "absent"; }',
    'guard-violation',
    true,
    /it deleted the record and returned something else/,
  ],
  [
    'deleteIfOwnedBy(user) { forward.deleteIfOwnedBy(user); fail("denied"); }',
    'guard-violation',
    true,
    /it deleted the record and returned something else/,
  ],
  [
    'deleteIfOwnedBy: () => forward.deleteIfOwnedBy("mallory")',
    'guard-violation',
    false,
    /its delete has a weaker condition than the delete that was called/,
  ],
  ['deleteIfOwnedBy: () => forward.delete()', 'guard-violation', false, /its delete has a weaker condition/],
  [
    'deleteIfOwnedBy: () => forward.deleteIfUnchanged("1")',
    'guard-violation',
    false,
    /its delete has a weaker condition/,
  ],
  [
    'deleteIfOwnedBy() { forward.find(); return forward.deleteIfUnchanged("2"); }',
    'guard-violation',
    false,
    /its delete has a weaker condition/,
  ],
  // A component can catch the exception of a call that is refused.
  [
    'deleteIfOwnedBy(user) { try { forward.delete(); } catch {} return forward.deleteIfOwnedBy(user); }',
    'guard-violation',
    false,
    /its delete has a weaker condition/,
  ],
  [
    'deleteIfOwnedBy: () => fail("denied")',
    'guard-violation',
    false,
    /it denied a delete that it did not find would otherwise happen/,
  ],
  [
    'deleteIfOwnedBy() { forward.find(); return "unowned"; }',
    'guard-violation',
    false,
    /its outcome does not follow from what the storage returned/,
  ],
  ['deleteIfOwnedBy: () => "absent"', 'guard-violation', false, /its outcome does not follow/],
  ['deleteIfOwnedBy: () => "deleted"', 'guard-violation', false, /it returned deleted although nothing was deleted/],
  [
    'deleteIfOwnedBy: () => fail("outcome-unknown")',
    'guard-violation',
    false,
    /it returned outcome-unknown although no outcome is unknown/,
  ],
  [
    'deleteIfOwnedBy: () => fail("unknown-database")',
    'guard-violation',
    false,
    /it returned an error that the storage did not return/,
  ],
];
// For a caller without a subject, for which the default policy calls `locate`.
const LOCATE_FAILURES = [
  ['locate() { forward.delete(); return forward.locate(); }', /it deleted although no delete was called/],
  ['locate: () => fail("denied")', /it denied a call that deletes nothing/],
  ['locate: () => ({ ...forward.locate(), table: "other" })', /its locate returned another target than the storage/],
  [
    'locate: () => ({ database: "main", table: "agno_learnings" })',
    /its locate returned another target than the storage/,
  ],
  ['locate: () => fail("unknown-database")', /it returned an error that the storage did not return/],
];
// Behind the guard legal-hold, which calls `find`.
const FIND_FAILURES = [
  [
    'find: () => ({ learning: { ...forward.find().learning, userId: "mallory" } })',
    /its find returned another record than the storage/,
  ],
  [
    'find: () => ({ learning: { ...forward.find().learning, content: "[]" } })',
    /its find returned another record than the storage/,
  ],
  ['find: () => ({})', /its find returned another record than the storage/],
  ['find: () => fail("denied")', /it denied a call that deletes nothing/],
  ['find() { forward.delete(); return forward.find(); }', /it deleted although no delete was called/],
];

/** Loads a guard whose functions are JavaScript, as those of a transpiled component are. */
async function loadGuard(context, functions, { outer = [], ...options } = {}) {
  const guard = { name: 'guard', component: await writeGuard(functions, directory) };
  const policy = await Policy.load({ guards: [...outer, guard], timeoutMs: 300, ...options });
  context.after(() => policy.close());
  return policy;
}

for (const [functions, kind, deleted, message] of GUARD_FAILURES) {
  test(`a guard is stopped: ${functions}`, async (context) => {
    const policy = await loadGuard(context, functions);
    const failure = await failureOf(decide(policy));
    assert.match(failure.message, message);
    assert.deepEqual([failure.kind, failure.deleted], [kind, deleted]);
    assert.equal(failure.guard, kind === 'execution-timeout' ? undefined : 'guard');
  });
}

for (const [functions, message] of LOCATE_FAILURES) {
  test(`a guard is stopped: ${functions}`, async (context) => {
    const current = () => ({ ...caller, subject: undefined });
    const failure = await failureOf(decide(await loadGuard(context, functions), {}, { identity: { current } }));
    assert.match(failure.message, message);
    assert.deepEqual([failure.kind, failure.guard, failure.deleted], ['guard-violation', 'guard', false]);
  });
}

for (const [functions, message] of FIND_FAILURES) {
  test(`a guard is stopped: ${functions}`, async (context) => {
    const outer = [{ name: 'legal-hold', ...(await legalHold()) }];
    const failure = await failureOf(decide(await loadGuard(context, functions, { outer, timeoutMs: 10_000 })));
    assert.match(failure.message, message);
    assert.deepEqual([failure.kind, failure.guard, failure.deleted], ['guard-violation', 'guard', false]);
  });
}

test('a guard that follows the rules decides', async (context) => {
  const cases = [
    ['', 'alice', true],
    ['', 'bob', 'learning-owned-by-another'],
    ['deleteIfOwnedBy: () => forward.deleteIfUnchanged(forward.find().learning.revision)', 'alice', true],
    ['deleteIfOwnedBy() { forward.find(); fail("denied", "On hold"); }', 'alice', 'deletion-denied'],
    ['deleteIfOwnedBy: () => (forward.find(), "owned-by-another")', 'bob', 'learning-owned-by-another'],
    ['deleteIfOwnedBy: () => (forward.find(), "unowned")', null, 'learning-unowned'],
    ['deleteIfOwnedBy: () => fail("unavailable")', 'alice', 'storage-unavailable'],
  ];
  for (const [functions, owner, expected] of cases) {
    const policy = await loadGuard(context, functions, { timeoutMs: 10_000 });
    const decision = await decide(policy, {}, { owner });
    assert.equal(decision.deleted || decision.rejection.rule, expected, functions);
  }
});

test('no state of one request reaches another', async (context) => {
  const policy = await load(context, 'stores_state_between_requests');
  const first = await decide(policy).catch((error) => error.message);
  for (let round = 0; round < 3; round += 1) {
    assert.deepEqual(await decide(policy).catch((error) => error.message), first);
  }
});

test('the memory of an instance is limited', async (context) => {
  const policy = await load(context, 'grows_memory', { timeoutMs: 5000 });
  const before = process.memoryUsage().rss;
  await decide(policy).catch(() => {});
  assert.ok(process.memoryUsage().rss - before < 128 * 1024 * 1024);
});

test('a storage that does not return is reported as unknown, and its answer is ignored', async (context) => {
  const policy = await Policy.load({ timeoutMs: 50 });
  context.after(() => policy.close());
  let calls = 0;
  const functions = {
    deleteIfOwnedBy: () => ((calls += 1), new Promise((resolve) => setTimeout(resolve, 150, 'absent'))),
  };
  const failure = await failureOf(decide(policy, functions));
  assert.deepEqual([failure.kind, failure.deleted], ['execution-timeout', null]);
  const current = () => new Promise((resolve) => setTimeout(resolve, 150, caller));
  const slow = await failureOf(decide(policy, functions, { identity: { current } }));
  assert.deepEqual([slow.kind, slow.deleted], ['execution-timeout', false]);
  // The caller arrives after the timeout. The policy must not delete anymore.
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.equal(calls, 1);
});

test('decisions beyond maxConcurrent wait for queueTimeoutMs', async (context) => {
  const policy = await Policy.load({ maxConcurrent: 1, queueTimeoutMs: 20 });
  context.after(() => policy.close());
  const running = decide(policy, {
    deleteIfOwnedBy: () => new Promise((resolve) => setTimeout(resolve, 200, 'deleted')),
  });
  const { deleted, rejection } = await decide(policy);
  assert.deepEqual([deleted, rejection.status, rejection.rule], [false, 503, 'sandbox-overloaded']);
  assert.deepEqual(await running, { deleted: true });
  assert.deepEqual(await decide(policy), { deleted: true });
});

test('a closed policy decides nothing', async () => {
  const policy = await Policy.load();
  const running = decide(policy, { deleteIfOwnedBy: async () => later('deleted') });
  const closed = policy.close();
  assert.equal((await failureOf(decide(policy))).kind, 'closed');
  await closed;
  assert.deepEqual(await running, { deleted: true });
});

test('a process with a loaded policy ends by itself', () => {
  const code = `
    import { Policy } from 'delete-learning';
    import { decide } from ${JSON.stringify(new URL('support.mjs', import.meta.url).href)};
    const policy = await Policy.load({ component: new URL(${JSON.stringify(new URL('default/', directory).href)}) });
    const all = await Promise.all(Array.from({ length: 20 }, () => decide(policy)));
    console.log(policy.mode, all.every(({ deleted }) => deleted));`;
  return transpileFile('guest/policy/component/delete-learning.wasm', directory).then((component) => {
    const source = code.replace(new URL('default/', directory).href, component.href);
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      cwd: new URL('.', import.meta.url),
      timeout: 60_000,
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout.trim()], [0, 'worker true'], stderr);
  });
});

async function legalHold(settings = {}) {
  const component = await transpileFile('guest/examples/legal-hold/component/legal-hold.wasm', directory);
  return { component, settings: { held_users: '[]', held_sessions: '[]', ...settings } };
}

test('a guard reads its settings, and its denial is for the caller', async (context) => {
  const policy = await Policy.load({
    guards: [{ name: 'legal-hold', ...(await legalHold({ held_users: '["alice"]' })) }],
  });
  context.after(() => policy.close());
  const { deleted, rejection } = await decide(policy);
  assert.deepEqual([deleted, rejection.status, rejection.rule], [false, 403, 'deletion-denied']);
  // Nobody learns that a record of another owner is held.
  const current = () => ({ ...caller, subject: 'mallory' });
  assert.equal((await decide(policy, {}, { identity: { current } })).rejection.rule, 'learning-owned-by-another');
});

test('a guard gets a clock only if it is granted', async (context) => {
  const component = await transpileFile('guest/examples/retention/component/retention.wasm', directory);
  const guard = { name: 'retention', component, settings: { default_minimum_age_days: '30' } };
  await assert.rejects(
    Policy.load({ guards: [guard] }),
    /the guard 'retention' .* imports wasi:clocks\/wall-clock@0\.2\.12, which it is not granted; to grant it, set grants: \['wasi:clocks/,
  );
  const policy = await Policy.load({ guards: [{ ...guard, grants: ['wasi:clocks/wall-clock@0.2.12'] }] });
  context.after(() => policy.close());
  const days = (count) => ({
    learning: { ...storage().find().learning, createdAt: BigInt(Math.floor(Date.now() / 1000) - count * 86_400) },
  });
  const deleteIfUnchanged = () => 'deleted';
  assert.deepEqual(await decide(policy, { find: () => days(31), deleteIfUnchanged }), { deleted: true });
  assert.equal((await decide(policy, { find: () => days(29), deleteIfUnchanged })).rejection.rule, 'deletion-denied');
});

test('a policy is no guard, and a guard no policy', async () => {
  const { component } = await legalHold();
  await assert.rejects(Policy.load({ component }), /is a guard, not a policy/);
  const policy = await transpileFile('guest/policy/component/delete-learning.wasm', directory);
  await assert.rejects(
    Policy.load({ guards: [{ name: 'x', component: policy }] }),
    /the guard 'x' .* is a policy, not a guard/,
  );
});

test('a component that is none of the contract is not transpiled', async () => {
  for (const [path, pattern] of [
    ['exports_nothing', /the component exports nothing; a policy exports delete-learning/],
    ['exports_wrong_type', /the component exports delete-learning: func\(\)/],
    ['is_core_module', /this is a core WebAssembly module/],
    ['imports_wasi_sockets', /the component imports wasi:sockets/],
    ['declares_too_many_memories', /multiple memories/],
    ['guards/exports_nothing', /the component exports nothing/],
    ['guards/deletes_and_exits', /the component imports wasi:cli\/exit@0\.2\.0; a component can import/],
  ]) {
    await assert.rejects(assemble(`${path}.wat`, directory), pattern, path);
  }
  const component = await writeGuard('find: undefined', directory);
  await assert.rejects(
    Policy.load({ guards: [{ name: 'x', component }] }),
    /the component does not export the function/,
  );
});

test('the conditions of the storage in memory hold', () => {
  const record = storage();
  assert.deepEqual([record.deleteIfUnchanged('0'), record.deleteIfOwnedBy('bob')], ['changed', 'owned-by-another']);
  assert.equal(record.deleteIfUnchanged(record.find().learning.revision), 'deleted');
  assert.deepEqual([record.find(), record.delete()], [{}, 'absent']);
});
