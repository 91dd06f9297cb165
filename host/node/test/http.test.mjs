// The handlers of Express and Fastify, over HTTP.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, beforeEach, test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import { IdentityError, Policy } from 'delete-learning';
import { deleteLearning as expressHandler } from 'delete-learning/express';
import { deleteLearning as fastifyPlugin, rewriteUrl } from 'delete-learning/fastify';
import { storageForRequest } from 'delete-learning/memory';

const user = (subject, ...scopes) => ({
  credential: 'jwt',
  subject,
  scopes,
  scopesOptional: false,
  allOwners: false,
  adminScope: 'agent_os:admin',
});
const callers = new Map([
  ['alice', user('alice', 'learnings:delete')],
  ['root', user('root', 'agent_os:admin')],
  ['reader', user('reader', 'learnings:read')],
]);
const databases = new Map();
const LONG = 'x'.repeat(4096);
const exists = (id) => databases.get('main').has(id);

const policy = await Policy.load();
/** What the policy of the apps does instead of deciding. */
let decide;
let events = [];
const options = {
  policy: { decide: (...values) => (decide ?? policy.decide.bind(policy))(...values) },
  authenticate: (incoming) => authenticate((incoming.raw ?? incoming).headersDistinct.authorization),
  storage: (target) => storageForRequest(databases, target),
  onDecision: (event) => events.push(event),
};

function authenticate(headers) {
  const error = (kind, message) => new IdentityError(kind, 'jwt', message);
  if (!headers) throw error('missing', 'no authorization header');
  const token = headers.length === 1 && /^bearer ([\w.~+/-]+=*)$/i.exec(headers[0])?.[1];
  if (!token) throw error('malformed', 'the request does not have exactly one bearer token');
  if (token === 'limited') throw error('rate-limited', 'too many attempts');
  if (!callers.has(token)) throw error('invalid', 'unknown token');
  return Promise.resolve(callers.get(token));
}

/** Starts an app of each framework. Returns their ports. */
async function start() {
  const expressApp = express();
  expressApp.use(expressHandler(options));
  expressApp.use(express.json());
  expressApp.use((_request, response) => response.status(404).json({ detail: 'Not Found', error_code: 'NOT_FOUND' }));
  const server = expressApp.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));

  const fastifyApp = Fastify({ rewriteUrl });
  await fastifyApp.register(fastifyPlugin, options);
  fastifyApp.setNotFoundHandler((_request, reply) => {
    return reply.code(404).send({ detail: 'Not Found', error_code: 'NOT_FOUND' });
  });
  await fastifyApp.listen({ host: '127.0.0.1', port: 0 });
  after(async () => {
    server.close();
    await fastifyApp.close();
    await policy.close();
  });
  return { express: server.address().port, fastify: fastifyApp.server.address().port };
}

const ports = await start();
beforeEach(() => {
  databases.clear();
  const records = {
    a: 'alice',
    b: 'bob',
    shared: null,
    'a/b': 'alice',
    'a%2Fb': 'alice',
    [LONG]: 'alice',
    '\ufeffa': 'alice',
  };
  databases.set('main', new Map(Object.entries(records)));
  decide = undefined;
  events = [];
});

/** Sends the path unchanged; `fetch` would normalize it. */
function sender(port) {
  return (path, token, { method = 'DELETE', headers = {}, body } = {}) => {
    if (token) headers.authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode, headers: response.headers, body: text && JSON.parse(text) });
      });
      sent.on('error', reject).end(body);
    });
  };
}

for (const [framework, port] of Object.entries(ports)) {
  const send = sender(port);
  const cases = (name, run) => test(`${framework}: ${name}`, run);

  cases('a deleted record is answered 204 without a body, then 404', async () => {
    const { status, body, headers } = await send('/learnings/a', 'alice');
    assert.deepEqual([status, body, exists('a'), headers['cache-control']], [204, '', false, 'no-store']);
    assert.equal((await send('/learnings/a', 'alice')).status, 404);
    assert.deepEqual(
      events.map(({ target, decision }) => [target.learningId, decision.deleted]),
      [
        ['a', true],
        ['a', false],
      ],
    );
  });

  cases('an absent record and a record of another owner get the same 404', async () => {
    for (const path of ['/learnings/none', '/learnings/b']) {
      const { status, body } = await send(path, 'alice');
      assert.deepEqual([status, body], [404, { detail: 'Learning not found', error_code: 'NOT_FOUND' }]);
    }
    assert.ok(exists('b'));
  });

  cases('a missing scope and a record without an owner are answered 403', async () => {
    const reader = await send('/learnings/a', 'reader');
    const detail = 'Insufficient permissions. Required scope(s): learnings:delete';
    assert.deepEqual([reader.status, reader.body], [403, { detail, error_code: 'FORBIDDEN' }]);
    assert.equal((await send('/learnings/shared', 'alice')).status, 403);
    assert.equal((await send('/learnings/shared', 'root')).status, 204);
  });

  cases('a missing or invalid credential is answered 401, before an invalid target', async () => {
    for (const path of ['/learnings/a', '/learnings/%FF', '/learnings/a?db_id=1&db_id=2', `/learnings/${LONG}x`]) {
      const { status, body, headers } = await send(path);
      assert.deepEqual(
        [status, body.detail, headers['www-authenticate']],
        [401, 'Authorization header missing', 'Bearer'],
      );
    }
    assert.equal((await send('/learnings/a', 'forged')).status, 401);
    const headers = { authorization: ['Bearer alice', 'Bearer root'] };
    assert.equal((await send('/learnings/a', undefined, { headers })).status, 401);
    assert.ok(exists('a'));
  });

  cases('an invalid target is answered 400', async () => {
    for (const target of ['a?db_id=main&db_id=main', 'a?table=x&table=x', '%FF', '%C0%80', `${LONG}x`]) {
      const { status, body } = await send(`/learnings/${target}`, 'alice');
      assert.deepEqual(
        [status, body.error_code, Object.keys(body)],
        [400, 'BAD_REQUEST', ['detail', 'error_code']],
        target,
      );
    }
    databases.set('second', new Map());
    assert.equal((await send('/learnings/a', 'alice')).status, 400);
    assert.ok(exists('a'));
  });

  cases('an id is decoded once', async () => {
    assert.equal((await send('/learnings/a%2Fb', 'alice')).status, 204);
    assert.deepEqual([exists('a/b'), exists('a%2Fb')], [false, true]);
    assert.equal((await send('/learnings/a%252Fb', 'alice')).status, 204);
    assert.equal((await send('/learnings/%EF%BB%BFa', 'alice')).status, 204);
    assert.deepEqual([exists('a%2Fb'), exists('\ufeffa'), exists('a')], [false, false, true]);
    assert.equal((await send(`/learnings/${LONG}`, 'alice')).status, 204);
  });

  cases('a database and a table select the target', async () => {
    for (const query of ['db_id=other', 'db_id=main&table=agno_sessions']) {
      assert.equal((await send(`/learnings/a?${query}`, 'alice')).status, 404);
    }
    assert.equal((await send('/learnings/a?db_id=main&table=agno_learnings', 'alice')).status, 204);
  });

  cases('other requests are not for the handler', async () => {
    const others = [
      ['GET', '/learnings/a'],
      ['DELETE', '/learnings/'],
      ['DELETE', '/learnings/a/b'],
      ['DELETE', '/%6Cearnings/aa'],
    ];
    for (const [method, path] of others) assert.equal((await send(path, 'alice', { method })).status, 404, path);
    assert.deepEqual([exists('a'), events.length], [true, 0]);
  });

  cases('a request body is ignored', async () => {
    const headers = { 'content-type': 'application/json', 'content-length': 1 };
    assert.equal((await send('/learnings/a', 'alice', { headers, body: '{' })).status, 204);
  });

  cases('an answer that a retry can change has Retry-After', async () => {
    const limited = await send('/learnings/a', 'limited');
    assert.deepEqual([limited.status, limited.headers['retry-after']], [429, '60']);
    const single = await Policy.load({ maxConcurrent: 1, queueTimeoutMs: 5 });
    decide = single.decide.bind(single);
    let end;
    let waiting;
    await new Promise((called) => {
      const current = () => new Promise((resolve) => called((end = resolve)));
      waiting = single.decide({ learningId: 'a' }, { current }, storageForRequest(databases, { learningId: 'a' }));
    });
    const { status, body, headers } = await send('/learnings/a', 'alice');
    assert.deepEqual([status, headers['retry-after']], [503, '1']);
    assert.deepEqual(body, { detail: 'The service is busy; nothing was deleted', error_code: 'SERVICE_UNAVAILABLE' });
    end(callers.get('reader'));
    await waiting;
    await single.close();
  });

  cases('a failure is answered 500 without its cause, and reported', async () => {
    databases.get('main').get = () => {
      throw new Error('password of the database');
    };
    const { status, body } = await send('/learnings/a', 'alice');
    assert.deepEqual([status, body], [500, { detail: 'Internal server error', error_code: 'INTERNAL_SERVER_ERROR' }]);
    const [{ failure, decision }] = events;
    assert.deepEqual([decision, failure.kind, failure.deleted], [undefined, 'storage', null]);
    assert.equal(failure.cause.message, 'password of the database');
  });
}

test('fastify: a prefix is refused', async () => {
  const app = Fastify();
  await assert.rejects(async () => app.register(fastifyPlugin, { ...options, prefix: '/v1' }), /expected none/);
});
