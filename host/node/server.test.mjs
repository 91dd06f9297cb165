import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { Policy } from './host.mjs';
import { createApp } from './server.mjs';

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

let app;
before(async () => {
  app = createApp({ policy: await Policy.load(), databases, callers });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());
beforeEach(() => {
  databases.clear();
  const records = { a: 'alice', b: 'bob', shared: null, 'a/b': 'alice', 'a%2Fb': 'alice', [LONG]: 'alice' };
  databases.set('main', new Map(Object.entries(records)));
});

/** Sends the path unchanged; `fetch` would normalize it. */
function send(path, token, { method = 'DELETE', headers = {}, body } = {}) {
  if (token) headers.authorization = `Bearer ${token}`;
  const { port } = app.server.address();
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, body: text && JSON.parse(text) });
    });
    sent.on('error', reject).end(body);
  });
}

const exists = (id) => databases.get('main').has(id);

test('a deleted record is answered 204 without a body, then 404', async () => {
  const { status, body } = await send('/learnings/a', 'alice');
  assert.deepEqual([status, body, exists('a')], [204, '', false]);
  assert.equal((await send('/learnings/a', 'alice')).status, 404);
});

test('an absent record and a record of another owner get the same 404', async () => {
  const expected = { detail: 'Learning not found', error_code: 'NOT_FOUND' };
  for (const path of ['/learnings/none', '/learnings/b']) {
    const { status, body } = await send(path, 'alice');
    assert.deepEqual([status, body], [404, expected]);
  }
  assert.ok(exists('b'));
});

test('a missing scope and a record without an owner are answered 403', async () => {
  const reader = await send('/learnings/a', 'reader');
  assert.deepEqual([reader.status, reader.body], [
    403,
    { detail: 'Insufficient permissions. Required scope(s): learnings:delete', error_code: 'FORBIDDEN' },
  ]);
  assert.equal((await send('/learnings/shared', 'alice')).status, 403);
  assert.ok(exists('shared'));
  assert.equal((await send('/learnings/shared', 'root')).status, 204);
});

test('a missing or invalid credential is answered 401', async () => {
  const missing = await send('/learnings/a');
  assert.deepEqual([missing.status, missing.body, missing.headers['www-authenticate']], [
    401,
    { detail: 'Authorization header missing', error_code: 'UNAUTHENTICATED' },
    'Bearer',
  ]);
  assert.equal((await send('/learnings/a', 'forged')).status, 401);
  for (const authorization of ['alice', ['Bearer alice', 'Bearer root']]) {
    const { status, body } = await send('/learnings/a', undefined, { headers: { authorization } });
    assert.deepEqual([status, body.detail], [401, "Authorization header must be one 'Bearer <token>'"]);
  }
  assert.ok(exists('a'));
});

test('an invalid target is answered 400', async () => {
  for (const target of ['a?db_id=main&db_id=main', 'a?table=agno_learnings', '%FF', `${LONG}x`]) {
    const { status, body } = await send(`/learnings/${target}`, 'alice');
    assert.deepEqual([status, body.error_code, Object.keys(body)], [400, 'BAD_REQUEST', ['detail', 'error_code']]);
  }
  databases.set('second', new Map());
  assert.equal((await send('/learnings/a', 'alice')).status, 400);
  assert.ok(exists('a'));
});

test('an id is decoded once', async () => {
  assert.equal((await send('/learnings/a%2Fb', 'alice')).status, 204);
  assert.deepEqual([exists('a/b'), exists('a%2Fb')], [false, true]);
  assert.equal((await send('/learnings/a%252Fb', 'alice')).status, 204);
  assert.deepEqual([exists('a%2Fb'), exists('a')], [false, true]);
  assert.equal((await send(`/learnings/${LONG}`, 'alice')).status, 204);
});

test('a database and a table select the target', async () => {
  for (const query of ['db_id=other', 'db_id=main&table=agno_sessions']) {
    assert.equal((await send(`/learnings/a?${query}`, 'alice')).status, 404);
  }
  assert.equal((await send('/learnings/a?db_id=main&table=agno_learnings', 'alice')).status, 204);
});

test('other requests are answered 404 or 400', async () => {
  const expected = [
    ['GET', '/learnings/a', 404],
    ['DELETE', '/learnings/', 404],
    ['DELETE', '/learnings/a/b', 404],
    ['DELETE', '/%6Cearnings/aa', 404],
    ['DELETE', '/%FF', 400],
  ];
  for (const [method, path, code] of expected) {
    const { status, body } = await send(path, 'alice', { method });
    assert.deepEqual([status, Object.keys(body)], [code, ['detail', 'error_code']], path);
  }
  assert.ok(exists('a'));
});

test('a request body is ignored', async () => {
  const headers = { 'content-type': 'application/json', 'content-length': 1 };
  assert.equal((await send('/learnings/a', 'alice', { headers, body: '{' })).status, 204);
});
