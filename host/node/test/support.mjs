// What several tests use.
import { storageForRecord } from 'delete-learning/memory';

export const caller = {
  credential: 'jwt',
  subject: 'alice',
  scopes: ['learnings:delete'],
  scopesOptional: false,
  allOwners: false,
  adminScope: 'agent_os:admin',
};
export const identity = { current: () => caller };

/** The storage of a record of alice, or of another owner. */
export function storage(owner = 'alice', functions = {}) {
  return { ...storageForRecord(new Map([['a', owner]]), 'a', 'main'), ...functions };
}

/** Decides on the record `a`. */
export function decide(policy, functions = {}, { owner, identity: from = identity } = {}) {
  return policy.decide({ learningId: 'a' }, from, storage(owner, functions));
}

/** Returns what a promise is rejected with. */
export async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a failure');
}

export const later = (value) => new Promise((resolve) => setTimeout(resolve, 2, value));
