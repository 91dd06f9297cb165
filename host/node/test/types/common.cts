// Compiled by `tsc --strict`, not run: the package in CommonJS.
import { Policy, PolicyFailure, type Decision } from 'delete-learning';
import testkit = require('delete-learning/testkit');

export async function main(): Promise<Decision | PolicyFailure> {
  const policy = await Policy.load();
  void testkit.columnName('userId');
  return policy.decide(
    { learningId: 'a' },
    { current: () => Promise.reject(new Error()) },
    {
      locate: () => ({ database: 'main', table: 'agno_learnings' }),
      find: () => ({}),
      delete: () => 'absent',
      deleteIfOwnedBy: () => 'absent',
      deleteIfUnchanged: () => 'absent',
    },
  );
}
