import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContractError, Policy } from './host.mjs';
import { storageForRecord } from './memory.mjs';

const caller = {
  credential: 'jwt',
  subject: 'alice',
  scopes: ['learnings:delete'],
  scopesOptional: false,
  allOwners: false,
  adminScope: 'agent_os:admin',
};
const REJECTION = { status: 404, code: 'not-found', detail: 'No', rule: 'no' };

const defaultPolicy = await Policy.load();
const decide = (policy, { identity = { current: () => caller }, storage = record() } = {}) =>
  policy.decide({ learningId: 'a' }, identity, storage);
const record = () => storageForRecord(new Map([['a', 'alice']]), 'a', 'main');

/** A policy that calls `act` with storage. */
const policyWith = (act) => {
  const instantiate = (_, imports) => ({ deleteLearning: () => act(imports['learnings:plugin/storage']) });
  return new Policy(instantiate, new Map());
};
const reject = (rejection) => {
  throw Object.assign(new Error(), { payload: rejection });
};
const assertPolicyError = ({ status, rule, detail, cause }, pattern) => {
  assert.deepEqual([status, rule, detail], [500, 'policy-error', 'Internal server error']);
  assert.match(cause.message, pattern);
};

test('an answer is accepted only if storage confirms it', () => {
  assert.equal(decide(policyWith((storage) => void storage.delete())), 'deleted');
  assert.deepEqual(decide(policyWith(() => reject(REJECTION))), REJECTION);
  assertPolicyError(decide(policyWith(() => {})), /did not happen/);
  assertPolicyError(decide(policyWith((storage) => storage.delete() && reject(REJECTION))), /after deleting/);
});

test('a rejection that violates the contract is answered 500', () => {
  const changes = [{ status: 403 }, { detail: '' }, { detail: 'a\nb' }, { detail: 'é'.repeat(513) }, { rule: 'No' }];
  for (const change of changes) {
    assertPolicyError(decide(policyWith(() => reject({ ...REJECTION, ...change }))), /violates the contract/);
  }
});

test('a caller with a misspelled flag has fewer permissions', () => {
  const current = () => ({ ...caller, scopes: [], scopesOptional: undefined, scopeOptional: true });
  assert.equal(decide(defaultPolicy, { identity: { current } }).rule, 'missing-scope');
});

test('a defect of the host is answered 500', () => {
  const identityWith = (change) => ({ identity: { current: () => ({ ...caller, ...change }) } });
  assertPolicyError(decide(defaultPolicy, identityWith({ subject: '\ud800' })), /well-formed/);
  assertPolicyError(decide(defaultPolicy, identityWith({ credential: 'password' })), /password/);
  assertPolicyError(decide(defaultPolicy, { storage: { ...record(), deleteIfOwnedBy: () => null.records } }), /null/);
  assertPolicyError(decide(defaultPolicy, { storage: { ...record(), deleteIfOwnedBy: async () => 'deleted' } }), /./);
});

test('every character of a subject is significant', () => {
  for (const subject of ['\ufeffalice', 'alice\ufeff', 'Alice', 'alice\0', 'alice ']) {
    const identity = { current: () => ({ ...caller, subject }) };
    assert.equal(decide(defaultPolicy, { identity }).rule, 'learning-owned-by-another', JSON.stringify(subject));
  }
});

test('the policy decides on an error of the contract', () => {
  const fail = () => {
    throw new ContractError({ kind: 'unavailable', message: 'busy' });
  };
  assert.equal(decide(defaultPolicy, { storage: { ...record(), deleteIfOwnedBy: fail } }).rule, 'storage-unavailable');
});

test('the storage in memory checks its conditions', () => {
  const storage = record();
  assert.deepEqual([storage.deleteIfUnchanged('0'), storage.deleteIfOwnedBy('bob')], ['changed', 'owned-by-another']);
  assert.equal(storage.deleteIfUnchanged(storage.find().learning.revision), 'deleted');
  assert.deepEqual([storage.find(), storage.delete()], [{ learning: undefined }, 'absent']);
});
