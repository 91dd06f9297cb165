import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure, Policy } from './host.mjs';
import { recordOf } from './memory.mjs';

const caller = {
  credential: 'jwt',
  subject: 'alice',
  scopes: ['learnings:delete'],
  enforceScopes: true,
  userIsolation: true,
  adminScope: 'agent_os:admin',
};
const REJECTION = { status: 404, code: 'not-found', detail: 'No', rule: 'no' };

const real = await Policy.load();
const decide = (policy, { identity = { current: () => caller }, storage = record() } = {}) =>
  policy.decide({ learningId: 'a' }, identity, storage);
const record = () => recordOf(new Map([['a', 'alice']]), 'a', 'main');

/** A policy that does what `act` does with storage. */
const acting = (act) => {
  const instantiate = (_, imports) => ({ deleteLearning: () => act(imports['learnings:plugin/storage']) });
  return new Policy(instantiate, new Map());
};
const rejecting = (rejection) => {
  throw Object.assign(new Error(), { payload: rejection });
};
const isFault = ({ status, rule, detail, cause }, pattern) => {
  assert.deepEqual([status, rule, detail], [500, 'policy-fault', 'Internal server error']);
  assert.match(cause.message, pattern);
};

test('a policy is believed only where storage says the same', () => {
  assert.equal(decide(acting((storage) => void storage.delete())), 'deleted');
  assert.deepEqual(decide(acting(() => rejecting(REJECTION))), REJECTION);
  isFault(decide(acting(() => {})), /claimed/);
  isFault(decide(acting((storage) => storage.delete() && rejecting(REJECTION))), /after deleting/);
});

test('a rejection that the contract does not allow is not sent on', () => {
  const changes = [{ status: 403 }, { detail: '' }, { detail: 'a\nb' }, { detail: 'é'.repeat(513) }, { rule: 'No' }];
  for (const change of changes) {
    isFault(decide(acting(() => rejecting({ ...REJECTION, ...change }))), /breaks the contract/);
  }
});

test('a defect of the host fails the request, whatever it is', () => {
  const answering = (change) => ({ identity: { current: () => ({ ...caller, ...change }) } });
  isFault(decide(real, answering({ enforceScopes: undefined })), /enforceScopes/);
  isFault(decide(real, answering({ subject: '\ud800' })), /well-formed/);
  isFault(decide(real, answering({ credential: 'password' })), /password/);
  isFault(decide(real, { storage: { ...record(), deleteIfOwnedBy: () => null.records } }), /null/);
  isFault(decide(real, { storage: { ...record(), deleteIfOwnedBy: async () => 'deleted' } }), /./);
});

test('users are told apart by every character', () => {
  for (const subject of ['\ufeffalice', 'alice\ufeff', 'Alice', 'alice\0', 'alice ']) {
    const identity = { current: () => ({ ...caller, subject }) };
    assert.equal(decide(real, { identity }).rule, 'learning-owned-by-another', JSON.stringify(subject));
  }
});

test('a failure of the contract is the policy’s to word', () => {
  const fail = () => {
    throw new Failure({ kind: 'unavailable', message: 'busy' });
  };
  assert.equal(decide(real, { storage: { ...record(), deleteIfOwnedBy: fail } }).rule, 'storage-unavailable');
});

test('the storage in memory keeps to its conditions', () => {
  const storage = record();
  assert.deepEqual([storage.deleteIfUnchanged('0'), storage.deleteIfOwnedBy('bob')], ['changed', 'owned-by-another']);
  assert.equal(storage.deleteIfUnchanged(storage.find().learning.revision), 'deleted');
  assert.deepEqual([storage.find(), storage.delete()], [{ learning: undefined }, 'absent']);
});
