// Compiled by `tsc --strict`, not run.
import express from 'express';
import Fastify from 'fastify';
import {
  IdentityError,
  Outcome,
  Policy,
  PolicyFailure,
  StorageError,
  type Caller,
  type Decision,
  type FailureKind,
  type Identity,
  type Learning,
  type RecordStorage,
} from 'delete-learning';
import { deleteLearning } from 'delete-learning/express';
import { deleteLearning as plugin, rewriteUrl } from 'delete-learning/fastify';
import { storageForRequest } from 'delete-learning/memory';
import { assertCorrect, checkStorage, type Adapter } from 'delete-learning/testkit';
import { transpileTo } from 'delete-learning/transpile';

const caller: Caller = {
  credential: 'jwt',
  subject: 'alice',
  scopes: ['learnings:delete'],
  scopesOptional: false,
  allOwners: false,
  adminScope: 'agent_os:admin',
};

class Storage implements RecordStorage {
  locate() {
    return { database: 'main', table: 'agno_learnings' };
  }
  async find(): Promise<{ learning?: Learning }> {
    throw new StorageError('unavailable', 'busy');
  }
  delete(): Outcome {
    return Outcome.Deleted;
  }
  async deleteIfOwnedBy(userId: string): Promise<Outcome> {
    return userId === 'alice' ? 'deleted' : 'owned-by-another';
  }
  deleteIfUnchanged(_revision: string): Outcome {
    return 'changed';
  }
}

const identity: Identity = { current: () => caller };
const policy = await Policy.load({
  guards: [{ name: 'hold', component: 'hold', settings: { a: 'b' } }],
  timeoutMs: 5000,
});
const decision: Decision = await policy.decide({ learningId: 'a', dbId: 'main' }, identity, new Storage());
if (!decision.deleted) {
  const status: number = decision.rejection.status;
  void status;
} else {
  // @ts-expect-error A deletion has no rejection.
  void decision.rejection;
}
await policy.close();

function handle(error: unknown): boolean | null {
  if (!(error instanceof PolicyFailure)) throw error;
  const kind: FailureKind = error.kind;
  // @ts-expect-error The kinds are a closed set.
  if (kind === 'unknown-kind') return true;
  return error.deleted;
}
void handle;

// @ts-expect-error A misspelled property.
const misspelled: Caller = { ...caller, scopesOptinal: true };
void misspelled;
// @ts-expect-error A misspelled outcome.
const outcome: Outcome = 'delted';
void outcome;
// @ts-expect-error A misspelled kind.
void new IdentityError('expird', 'jwt');
// @ts-expect-error A missing function.
const partial: RecordStorage = { locate: () => ({ database: '', table: '' }) };
void partial;
// @ts-expect-error A misspelled option.
void Policy.load({ timeout: 5 });
// @ts-expect-error A request needs the id.
void policy.decide({}, identity, new Storage());

const app = express();
app.use(
  deleteLearning({
    policy,
    authenticate: (request) =>
      request.headers.authorization ? caller : Promise.reject(new IdentityError('missing', 'jwt')),
    storage: (target) => storageForRequest(new Map(), target),
    onDecision: ({ failure, decision }) => console.log(failure?.kind, decision?.deleted),
  }),
);
const fastify = Fastify({ rewriteUrl });
await fastify.register(plugin, {
  policy,
  authenticate: (request) => (request.headers.authorization ? caller : caller),
  storage: () => new Storage(),
});

const adapter: Adapter = {
  open: () => new Storage(),
  insert: async () => {},
  change: async (_id, { column, value, expectedOwner }, beforeCommit) => {
    await beforeCommit();
    return column === 'user_id' && value === expectedOwner;
  },
  exists: () => false,
  close: () => {},
};
void adapter;
assertCorrect(await checkStorage(new URL('./adapter.mjs', import.meta.url)));
await transpileTo(new Uint8Array(), new URL('x/', import.meta.url), { maxMemoryBytes: 65_536 });
