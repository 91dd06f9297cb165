// The decision on every preset and on every conformance case that the page can express, and what the page shows of it.
import assert from 'node:assert/strict';
import { PRESETS } from '../presets.mjs';
import { FAULTS, INITIAL, problems } from '../situation.mjs';
import { shown } from './browser.mjs';
import { conformanceCases, read } from './repository.mjs';

/** The conformance case with the same answer, for each preset without guards. */
const CASES = {
  'Own record': 'a-user-deletes-its-own',
  'Another owner': 'a-user-and-the-record-of-another',
  'Absent record': 'a-user-and-an-absent-record',
  'Shared record': 'a-user-and-a-record-without-owner',
  'Shared, by an admin': 'an-admin-deletes-an-unowned',
  'No credential': 'no-credential-where-a-jwt-is-asked-for',
  'Expired token': 'an-expired-jwt',
  'Too many attempts': 'too-many-bad-jwts',
  'No scope': 'a-refusal-by-scope-hides-a-bad-target',
  'No subject': 'no-subject-and-a-record-that-is-there',
  'Service account': 'a-service-account-without-isolation-and-the-record-of-another',
  'Security key': 'the-security-key-deletes-an-owned',
  'Ambiguous database': 'a-database-is-required-to-a-confined-caller',
  'Unknown database': 'an-unknown-database-to-a-confined-caller',
  'Unknown table': 'an-unknown-table-to-a-confined-caller',
  'Repeated parameter': 'a-repeated-parameter-to-a-confined-caller',
  'Hidden hold': 'a-user-and-the-record-of-another',
  'Passes both guards': 'a-user-deletes-its-own',
  'Database unavailable': 'storage-is-unavailable-to-a-confined-caller',
  'Outcome unknown': 'an-unknown-outcome-to-a-confined-caller',
  'Record keeps changing': 'storage-is-unavailable-to-a-confined-caller',
};

const denied = (detail) => ({ status: 403, code: 'forbidden', detail, rule: 'deletion-denied' });
/** The answers that guards give. */
const GUARDED = {
  'Record on legal hold': denied('This learning is under legal hold'),
  'Held user, by an admin': denied('This learning belongs to a user under legal hold'),
  'Record too young': denied(
    'Learnings of this type are retained for 30 days after their creation, this one until 2026-01-31T00:00:00Z',
  ),
};

const OUTCOMES = {
  'Own record': 'Record deleted',
  'Absent record': 'No record to delete',
  'Shared, by an admin': 'Record deleted',
  'Security key': 'Record deleted',
  'Passes both guards': 'Record deleted',
  'Outcome unknown': 'Unknown whether deleted',
};

export async function testDecisions(t, { page, open }) {
  const cases = new Map((await conformanceCases()).map((test) => [test.name, test]));
  const openapi = JSON.parse(await read('host/server/openapi.json'));
  const { responses } = openapi.paths['/learnings/{learning_id}'].delete;

  await t.test('every preset is answered as its conformance case', async () => {
    await open();
    for (const { name } of PRESETS) {
      await page
        .getByRole('radio', { name })
        .and(page.locator(`[value=${JSON.stringify(name)}]`))
        .check({ force: true });
      await page.waitForFunction((name) => document.getElementById('preset-name').textContent === name, name);
      const answer = GUARDED[name] ?? cases.get(CASES[name]).expect.answer;
      await page.waitForFunction(
        (rule) => document.getElementById('rule-name').textContent.startsWith(rule),
        answer.rule ?? 'deleted',
      );
      const { status, outcome, title, rule, head, body } = await shown(page);

      const expectedStatus = answer === 'deleted' ? 204 : answer.status;
      assert.match(status, new RegExp(`^${expectedStatus} `), name);
      assert.equal(head[0], `HTTP/1.1 ${status}`, name);
      const expectedBody = { detail: answer.detail, error_code: answer.code?.toUpperCase().replaceAll('-', '_') };
      assert.equal(body, answer === 'deleted' ? '' : JSON.stringify(expectedBody), name);
      if (answer !== 'deleted') assert.equal(rule, answer.rule, name);
      assert.equal(outcome, OUTCOMES[name] ?? 'Record not deleted', name);
      assert.ok(title, name);
      assert.equal(
        await page.locator(`#preset-list label:has(:checked) .badge`).innerText(),
        String(expectedStatus),
        name,
      );

      // The server documents these headers by status.
      const headers = head.slice(1).map((line) => line.split(':')[0]);
      for (const header of ['WWW-Authenticate', 'Retry-After']) {
        const isDocumented = header in (responses[expectedStatus].headers ?? {});
        assert.equal(headers.includes(header.toLowerCase()), isDocumented, `${name}: ${header}`);
      }
      assert.ok(headers.includes('cache-control'), name);
    }
  });

  await t.test('every conformance case that the page can express is decided as expected', async (t) => {
    const expressible = [...cases.values()]
      .map((test) => ({ test, situation: situationOf(test) }))
      .filter(({ situation }) => situation);
    const decided = await page.evaluate(
      async (situations) => {
        const { decide } = await import('./decide.mjs');
        const all = [];
        for (const situation of situations) {
          const { answer, calls, deleted } = await decide(situation);
          all.push({
            answer,
            deleted,
            calls: calls.map(({ name, argument }) => [name, ...(argument === undefined ? [] : [argument])].join(' ')),
          });
        }
        return all;
      },
      expressible.map(({ situation }) => situation),
    );
    for (const [index, { test }] of expressible.entries()) {
      const { answer, calls, deleted } = decided[index];
      assert.deepEqual(answer, test.expect.answer, test.name);
      assert.deepEqual(calls, test.expect.calls, test.name);
      const expected =
        test.expect.answer === 'deleted' || (test.expect.answer.rule === 'outcome-unknown' ? null : false);
      assert.equal(deleted, expected, test.name);
    }
    t.diagnostic(`${expressible.length} of ${cases.size} cases`);
    assert.ok(expressible.length >= 140, `only ${expressible.length} of ${cases.size}`);
  });

  await t.test('calls are shown in order, with those of the guards', async () => {
    await open('legal-hold=yes&retention=yes');
    const lines = (await page.locator('#calls').innerText()).split('\n').filter(Boolean);
    const record = 'storage.find() → owner "alice", created 2025-12-08';
    assert.deepEqual(lines, [
      'identity.current() → jwt, subject "alice"',
      'storage.delete-if-owned-by("alice") → deleted',
      'guard legal-hold',
      record,
      'guard retention',
      record,
      'identity.current() → jwt, subject "alice"',
      'settings.get("held_users") → []',
      'settings.get("held_sessions") → []',
      'storage.delete-if-unchanged("1") → deleted',
      'guard retention',
      record,
      'identity.current() → jwt, subject "alice"',
      'settings.get("minimum_age_days.user_profile") → not set',
      'settings.get("default_minimum_age_days") → 30',
      'clock.now() → 2026-01-07T12:00:00Z',
      'storage.delete-if-unchanged("1") → deleted',
    ]);
  });

  await t.test('a failure is answered 500, with its message for the log only', async () => {
    // The form accepts no such text, which no host can pass on.
    for (const [name, kind] of [
      ['subject', 'identity'],
      ['learning-id', 'invalid-argument'],
    ]) {
      const failed = await page.evaluate(
        async ([situation, name]) => {
          const [{ decide }, { showDecision }] = await Promise.all([import('./decide.mjs'), import('./decision.mjs')]);
          const decision = await decide({ ...situation, [name]: '\ud800' });
          showDecision({ ...situation, identity: 'verified' }, decision);
          return { ...decision, failure: { kind: decision.failure.kind, message: decision.failure.message } };
        },
        [INITIAL, name],
      );
      assert.equal(failed.failure.kind, kind);
      assert.equal(failed.deleted, false);
      assert.equal(failed.answer.rule, 'policy-error');
      const { status, rule, body } = await shown(page);
      assert.deepEqual([status, rule], ['500 Internal Server Error', 'policy-error']);
      assert.match(body, /^{"detail":"Internal server error","error_code":"INTERNAL_SERVER_ERROR"}$/);
      assert.match(await page.locator('#response .log').innerText(), /for the log: .*unpaired surrogate/s);
    }
  });

  await t.test('the guard that retains a record is named', async () => {
    await open('legal-hold=yes&retention=yes&created=2026-01-01');
    assert.equal((await shown(page)).title, 'The guard retention retains the record');
    await open('legal-hold=yes&retention=yes&created=2026-01-01&metadata=held');
    assert.equal((await shown(page)).title, 'The guard legal-hold retains the record');
    await open('fault-delete-if-owned-by=denied');
    assert.equal((await shown(page)).title, 'A guard retains the record');
  });
}

/** Returns the situation of a conformance case, or undefined if the page cannot express it. */
function situationOf({ request, identity, storage }) {
  const { caller, error } = identity;
  const situation = {
    ...INITIAL,
    'learning-id': request['learning-id'],
    'db-id': request['db-id'] ?? '',
    table: request.table ?? '',
  };
  if (error) Object.assign(situation, { identity: error.kind, credential: error.credential });
  else {
    // The page separates scopes by spaces.
    if (caller.scopes.some((scope) => scope === '' || /\s/.test(scope))) return undefined;
    const { credential, subject, scopes } = caller;
    Object.assign(situation, {
      credential,
      subject: subject ?? '',
      scopes: scopes.join(' '),
      'admin-scope': caller['admin-scope'],
    });
    if (caller['scopes-optional']) situation['scopes-optional'] = 'yes';
    if (caller['all-owners']) situation['all-owners'] = 'yes';
  }
  const owner = storage.records[request['learning-id']];
  if (owner === undefined) situation.record = 'absent';
  else if (owner === null) situation.record = 'shared';
  else situation.owner = owner;

  const faults = storage.faults ?? {};
  for (const name of Object.keys(FAULTS)) {
    const { error: fault, outcome } = faults[name] ?? faults['*'] ?? {};
    // The page has its own message of a denial.
    if (fault?.kind === 'denied') return undefined;
    situation[`fault-${name}`] = fault?.kind ?? outcome ?? '';
  }
  // A case binds storage to the record whatever the request names; the page resolves the names.
  if (!['', 'main'].includes(situation['db-id'])) {
    if (faults['*']?.error?.kind === 'unknown-table') situation.databases = 'main-and-archive';
    else if (faults['*']?.error?.kind !== 'unknown-database') return undefined;
    if (situation.databases === 'main-and-archive' && situation['db-id'] !== 'archive') return undefined;
  }
  return Object.keys(problems(situation)).length ? undefined : situation;
}
