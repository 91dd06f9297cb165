// The mistakes that the host's own code can make. Each is reported with function, value, and what is allowed.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { IdentityError, Policy, PolicyFailure, StorageError } from 'delete-learning';
import { transpileFile, workspace } from './components.mjs';
import { caller, decide, failureOf, later } from './support.mjs';

const { directory, remove } = await workspace();
const policy = await Policy.load();
// This guard calls `find` and `deleteIfUnchanged`, which the default policy does not.
const guarded = await Policy.load({
  guards: [
    {
      name: 'legal-hold',
      component: await transpileFile('guest/examples/legal-hold/component/legal-hold.wasm', directory),
      settings: { held_users: '[]', held_sessions: '[]' },
    },
  ],
});
after(async () => {
  await Promise.all([policy.close(), guarded.close()]);
  await remove();
});

const CALLER = 'credential, subject, scopes, scopesOptional, allOwners, adminScope';
const LEARNING = `learningType, namespace, userId, agentId, teamId, workflowId, sessionId, entityId, entityType, content, \
metadata, createdAt, updatedAt, revision`;
const learning = { learningType: 'user_profile', userId: 'alice', content: '{}', createdAt: 0n, revision: '1' };
const { scopesOptional: _, ...callerWithoutFlag } = caller;
const throwing = (error) => () => {
  throw error;
};

const IDENTITY = [
  [undefined, `identity.current returned undefined; expected a caller with the properties ${CALLER}`],
  [null, `identity.current returned null; expected a caller with the properties ${CALLER}`],
  ['alice', `identity.current returned 'alice'; expected a caller with the properties ${CALLER}`],
  [[], `identity.current returned an array; expected a caller with the properties ${CALLER}`],
  [{ ...caller, scopes: 'x' }, "identity.current returned a caller whose scopes is 'x'; expected an array of strings"],
  [{ ...caller, scopes: ['a', 5] }, 'identity.current returned a caller whose scopes[1] is 5; expected a string'],
  [
    { ...caller, scopes: new Set(['a']) },
    'identity.current returned a caller whose scopes is an instance of Set; expected an array of strings',
  ],
  [
    { ...caller, credential: 'password' },
    "identity.current returned a caller whose credential is 'password'; expected one of 'jwt', 'service-account', 'security-key', 'none'",
  ],
  [{ ...caller, subject: 7 }, 'identity.current returned a caller whose subject is 7; expected a string'],
  [
    { ...caller, subject: '\ud800' },
    'identity.current returned a caller whose subject has an unpaired surrogate; expected well-formed text',
  ],
  [
    { ...caller, scopesOptional: 1 },
    'identity.current returned a caller whose scopesOptional is 1; expected true or false',
  ],
  [
    { ...caller, allOwners: 'false' },
    "identity.current returned a caller whose allOwners is 'false'; expected true or false",
  ],
  [
    { ...caller, adminScope: undefined },
    'identity.current returned a caller whose adminScope is undefined; expected a string',
  ],
  [callerWithoutFlag, 'identity.current returned a caller whose scopesOptional is undefined; expected true or false'],
  [
    { ...callerWithoutFlag, scopesOptinal: true },
    `identity.current returned a caller with the unknown property 'scopesOptinal'; expected only ${CALLER}`,
  ],
  [
    { ...caller, scopes_optional: true },
    `identity.current returned a caller with the unknown property 'scopes_optional'; expected only ${CALLER}`,
  ],
];

for (const [value, message] of IDENTITY) {
  test(message, async () => {
    for (const current of [() => value, () => later(value)]) {
      const failure = await failureOf(decide(policy, {}, { identity: { current } }));
      assert.deepEqual([failure.kind, failure.message, failure.deleted], ['identity', message, false]);
      assert.ok(failure instanceof PolicyFailure);
    }
  });
}

test('an error of identity is checked', async () => {
  const all =
    "'missing', 'malformed', 'invalid', 'expired', 'wrong-audience', 'reserved-subject', 'not-enabled', 'rate-limited', 'unavailable', 'internal'";
  const cases = [
    [
      new IdentityError('forged', 'jwt'),
      `identity.current threw an IdentityError whose kind is 'forged'; expected one of ${all}`,
    ],
    [
      new IdentityError('invalid', 'token'),
      "identity.current threw an IdentityError whose credential is 'token'; expected one of 'jwt', 'service-account', 'security-key', 'none'",
    ],
    [new TypeError('secret'), 'identity.current threw an unexpected TypeError'],
    [new StorageError('internal'), 'identity.current threw an unexpected StorageError'],
    ['secret', 'identity.current threw something that is not an Error'],
  ];
  for (const [error, message] of cases) {
    const failure = await failureOf(decide(policy, {}, { identity: { current: throwing(error) } }));
    assert.deepEqual(
      [failure.kind, failure.message, failure.deleted, failure.cause],
      ['identity', message, false, error],
    );
  }
});

const OWNED = "'absent', 'unowned', 'owned-by-another', 'deleted'";
// Function, value, message, what is known about the record.
const STORAGE = [
  ['deleteIfOwnedBy', 'delted', `storage.deleteIfOwnedBy returned 'delted'; expected one of ${OWNED}`, null],
  ['deleteIfOwnedBy', 'changed', `storage.deleteIfOwnedBy returned 'changed'; expected one of ${OWNED}`, null],
  ['deleteIfOwnedBy', true, `storage.deleteIfOwnedBy returned true; expected one of ${OWNED}`, null],
  ['deleteIfOwnedBy', undefined, `storage.deleteIfOwnedBy returned undefined; expected one of ${OWNED}`, null],
  [
    'deleteIfOwnedBy',
    { outcome: 'deleted' },
    `storage.deleteIfOwnedBy returned an object; expected one of ${OWNED}`,
    null,
  ],
  [
    'deleteIfOwnedBy',
    'd'.repeat(50),
    `storage.deleteIfOwnedBy returned '${'d'.repeat(40)}…'; expected one of ${OWNED}`,
    null,
  ],
  ['delete', 'unowned', "storage.delete returned 'unowned'; expected one of 'absent', 'deleted'", null],
  [
    'deleteIfUnchanged',
    'unowned',
    "storage.deleteIfUnchanged returned 'unowned'; expected one of 'absent', 'changed', 'deleted'",
    null,
  ],
  ['locate', 'main', "storage.locate returned 'main'; expected a target with the properties database, table", false],
  [
    'locate',
    { database: 'main' },
    'storage.locate returned a target whose table is undefined; expected a string',
    false,
  ],
  [
    'locate',
    { database: 'main', tabel: 'x', table: 'y' },
    "storage.locate returned a target with the unknown property 'tabel'; expected only database, table",
    false,
  ],
  ['find', undefined, 'storage.find returned undefined; expected a lookup with the properties learning', false],
  [
    'find',
    learning,
    "storage.find returned a lookup with the unknown property 'learningType'; expected only learning",
    false,
  ],
  [
    'find',
    { learning: 'x' },
    `storage.find returned a lookup whose learning is 'x'; expected a learning with the properties ${LEARNING}`,
    false,
  ],
  [
    'find',
    { learning: { ...learning, owner: 'x' } },
    `storage.find returned a lookup whose learning has the unknown property 'owner'; expected only ${LEARNING}`,
    false,
  ],
  [
    'find',
    { learning: { ...learning, createdAt: 1 } },
    'storage.find returned a lookup whose learning.createdAt is 1; expected a bigint, in seconds since 1970',
    false,
  ],
  [
    'find',
    { learning: { ...learning, updatedAt: 2n ** 63n } },
    `storage.find returned a lookup whose learning.updatedAt is ${2n ** 63n}n; expected a signed integer of 64 bits`,
    false,
  ],
  [
    'find',
    { learning: { ...learning, content: {} } },
    'storage.find returned a lookup whose learning.content is an object; expected a string',
    false,
  ],
  [
    'find',
    { learning: { ...learning, metadata: '\udc00' } },
    'storage.find returned a lookup whose learning.metadata has an unpaired surrogate; expected well-formed text',
    false,
  ],
  [
    'find',
    { learning: { ...learning, revision: 'é'.repeat(129) } },
    'storage.find returned a lookup whose learning.revision has 258 bytes; expected at most 256',
    false,
  ],
];

/** A request in which this function is called. */
function request(name) {
  if (name === 'find' || name === 'deleteIfUnchanged') return [guarded, {}];
  if (name === 'delete') return [policy, { identity: { current: () => ({ ...caller, allOwners: true }) } }];
  if (name === 'locate') return [policy, { identity: { current: () => ({ ...caller, subject: undefined }) } }];
  return [policy, {}];
}

for (const [name, value, message, deleted] of STORAGE) {
  test(message, async () => {
    const [loaded, options] = request(name);
    for (const call of [() => value, () => later(value)]) {
      const failure = await failureOf(decide(loaded, { [name]: call }, options));
      assert.deepEqual([failure.kind, failure.message, failure.deleted], ['storage', message, deleted]);
    }
  });
}

test('an error of storage is checked', async () => {
  const reads =
    "'invalid-learning-id', 'repeated-parameter', 'database-required', 'unknown-database', 'unknown-table', 'unsupported', 'unavailable', 'internal'";
  const all = reads.replace("'unavailable'", "'denied', 'unavailable', 'outcome-unknown'");
  const cases = [
    [
      'deleteIfOwnedBy',
      new StorageError('busy'),
      `storage.deleteIfOwnedBy threw a StorageError whose kind is 'busy'; expected one of ${all}`,
      null,
    ],
    [
      'find',
      new StorageError('denied'),
      `storage.find threw a StorageError whose kind is 'denied'; expected one of ${reads}`,
      false,
    ],
    [
      'locate',
      new StorageError('outcome-unknown'),
      `storage.locate threw a StorageError whose kind is 'outcome-unknown'; expected one of ${reads}`,
      false,
    ],
    ['deleteIfOwnedBy', new RangeError('secret'), 'storage.deleteIfOwnedBy threw an unexpected RangeError', null],
    ['locate', new RangeError('secret'), 'storage.locate threw an unexpected RangeError', false],
    ['find', { kind: 'unavailable', message: '' }, 'storage.find threw something that is not an Error', false],
  ];
  for (const [name, error, message, deleted] of cases) {
    const [loaded, options] = request(name);
    for (const call of [throwing(error), () => Promise.reject(error)]) {
      const failure = await failureOf(decide(loaded, { [name]: call }, options));
      assert.deepEqual([failure.kind, failure.message, failure.deleted], ['storage', message, deleted]);
      assert.equal(failure.cause, error);
    }
  }
});

test('an exception of storage keeps its stack', async () => {
  function queryOfMyDatabase() {
    throw new Error('connection reset');
  }
  const { cause } = await failureOf(decide(policy, { deleteIfOwnedBy: queryOfMyDatabase }));
  assert.match(cause.stack, /connection reset[^]*queryOfMyDatabase/);
});

test('a mistake after a deletion leaves the record deleted', async () => {
  const functions = { deleteIfUnchanged: () => 'deleted', find: () => ({ learning }) };
  assert.deepEqual(await decide(guarded, functions), { deleted: true });
  let finds = 0;
  const find = () => {
    finds += 1;
    return finds === 1 ? { learning } : { learning: 7 };
  };
  const failure = await failureOf(decide(guarded, { find, deleteIfUnchanged: () => 'changed' }));
  assert.deepEqual([failure.kind, failure.deleted], ['storage', false]);
});

test('the arguments of decide are checked', async () => {
  const cases = [
    [[{ id: 'a' }], "decide got a request with the unknown property 'id'; expected only learningId, dbId, table"],
    [[undefined], 'decide got undefined; expected a request with the properties learningId, dbId, table'],
    [[{ learningId: 7 }], 'decide got a request whose learningId is 7; expected a string'],
    [[{ learningId: 'a', dbId: ['x'] }], 'decide got a request whose dbId is an array; expected a string'],
    [[{ learningId: 'a' }, {}], 'identity.current is undefined; expected a function'],
    [[{ learningId: 'a' }, { current: caller }], 'identity.current is an object; expected a function'],
    [
      [{ learningId: 'a' }, { current() {} }, { locate() {}, find() {} }],
      'storage.delete is undefined; expected a function',
    ],
    [[{ learningId: 'a' }, { current() {} }, undefined], 'storage.locate is undefined; expected a function'],
  ];
  for (const [values, message] of cases) {
    const failure = await failureOf(policy.decide(...values));
    assert.deepEqual([failure.kind, failure.message, failure.deleted], ['invalid-argument', message, false]);
  }
});

test('the options of Policy.load are checked', async () => {
  const cases = [
    [{ timeout: 5 }, /the unknown option 'timeout'; expected only component, /],
    [{ timeoutMs: '5' }, /timeoutMs is 5; expected an integer from 1 to /],
    [{ maxConcurrent: 0 }, /maxConcurrent is 0; expected an integer from 1 to 4096/],
    [{ guards: [{ name: 'x' }] }, /a guard needs `name` and `component`/],
    [
      { guards: [{ name: 'x', component: 'y', setting: {} }] },
      /a guard of Policy.load got the unknown option 'setting'/,
    ],
    [{ settings: { a: ['b'] } }, /the setting 'a' is not a string; write lists as JSON text/],
    [
      { guards: Array.from({ length: 5 }, () => ({ name: 'x', component: 'y' })) },
      /there are 5 guards; expected at most 4/,
    ],
    [
      { component: 'policy.wasm' },
      /policy.wasm\/ is a component that is not transpiled; run `npx delete-learning transpile/,
    ],
    [{ component: directory }, /has no component.json/],
    [{ grants: ['wasi:sockets/tcp@0.2.0'] }, /'wasi:sockets\/tcp@0.2.0' cannot be granted; only the clocks/],
  ];
  for (const [options, pattern] of cases) await assert.rejects(Policy.load(options), pattern);
});

test('columns that a class computes reach the components', async () => {
  class Row {
    learning_type = 'x';
    get learning() {
      return learning;
    }
  }
  const row = new Row();
  delete row.learning_type;
  assert.deepEqual(await decide(guarded, { find: () => row, deleteIfUnchanged: () => 'deleted' }), { deleted: true });
});
