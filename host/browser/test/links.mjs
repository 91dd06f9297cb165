// The situation in the address of the page.
import assert from 'node:assert/strict';
import { PRESETS } from '../presets.mjs';
import { equal, FIELDS, fromFragment, INITIAL, toFragment } from '../situation.mjs';
import { field, shown } from './browser.mjs';

/** Links with a mistake, and what the page reports about each. */
const MISTAKES = {
  'credential=password': /"credential" is "password"; expected one of "jwt", "service-account"/,
  'owner=bob&credential=password': /"credential" is "password"/,
  'colour=red': /unknown field "colour"/,
  'toString=a': /unknown field "toString"/,
  '__proto__=a': /unknown field "__proto__"/,
  subject: /no value for "subject"/,
  'owner=bob&&subject=a': /unknown field ""/,
  'subject=a&subject=b': /"subject" twice/,
  'subject=%ff': /"subject" that is not percent-encoded UTF-8/,
  'subject=%e2%28': /not percent-encoded UTF-8/,
  '%ff=a': /a name that is not percent-encoded UTF-8/,
  'subject=%ed%a0%80': /not percent-encoded UTF-8/,
  'learning-id=': /"learning-id" must not be empty/,
  'owner=': /"owner" must not be empty/,
  'all-owners=true': /"all-owners" is "true"; expected one of "", "yes"/,
  'created=2026-02-30': /"created" is "2026-02-30"; expected a date/,
  'created=20260101': /expected a date/,
  'created=2026-01-01T00:00': /expected a date/,
  'now=2026-01-01': /expected a time/,
  'now=2026-01-01T24:00': /expected a time/,
  'now=+012026-01-01T00:00': /expected a time/,
  'minimum-age=-1': /whole number of days/,
  'minimum-age=1e3': /whole number of days/,
  'minimum-age=100000': /whole number of days/,
  'fault-find=denied': /"fault-find" is "denied"/,
  'fault-locate=outcome-unknown': /"fault-locate" is "outcome-unknown"/,
  'fault-steal=internal': /unknown field "fault-steal"/,
  [`subject=${'a'.repeat(513)}`]: /has 513 characters/,
  [`credential=${'%F0%9F%A6%80'.repeat(90)}`]: /"credential" is "🦀+…"/u,
};

/** A situation with another value in every field, and characters that have a meaning in an address. */
const EVERY_FIELD_CHANGED = {
  identity: 'unavailable',
  credential: 'service-account',
  subject: 'a&b=c#d%20+ é🦀',
  scopes: 'a  b',
  'scopes-optional': 'yes',
  'all-owners': 'yes',
  'admin-scope': '',
  'learning-id': '/../?x=1&y',
  'not-utf-8': 'yes',
  'db-id': '"\'<>',
  table: '\\',
  repeated: 'yes',
  databases: 'no-database',
  record: 'shared',
  owner: '\ufeffalice',
  'learning-type': 'decision_log',
  session: '=',
  metadata: 'unreadable',
  created: '1969-12-31',
  'legal-hold': 'yes',
  'held-users': 'a,b',
  'held-sessions': ',',
  retention: 'yes',
  'minimum-age': '',
  'minimum-age-of-type': '0',
  now: '2999-12-31T23:59',
  'fault-locate': 'unsupported',
  'fault-find': 'internal',
  'fault-delete': 'denied',
  'fault-delete-if-owned-by': 'owned-by-another',
  'fault-delete-if-unchanged': 'changed',
};

export async function testLinks(t, { page, origin, open, change }) {
  const form = () => page.evaluate(async () => (await import('./form.mjs')).readForm());
  const fragment = () => page.evaluate(() => location.hash.slice(1));

  await t.test('a link restores every situation', async () => {
    for (const name of Object.keys(FIELDS)) assert.notEqual(EVERY_FIELD_CHANGED[name], INITIAL[name], name);
    for (const situation of [...PRESETS.map((preset) => preset.situation), EVERY_FIELD_CHANGED]) {
      assert.ok(equal(fromFragment(toFragment(situation)), situation));
    }
    await open(toFragment(EVERY_FIELD_CHANGED));
    assert.deepEqual(await form(), EVERY_FIELD_CHANGED);
  });

  await t.test('the address follows the form and survives a reload', async () => {
    await open();
    assert.equal(await page.evaluate(() => location.href), `${origin}/`);
    await field(page, 'subject').fill('a&b=c#d%20+ é🦀');
    await field(page, 'legal-hold').check();
    await field(page, 'metadata').selectOption('{"legal_hold": true}');
    const expected = { ...INITIAL, subject: 'a&b=c#d%20+ é🦀', 'legal-hold': 'yes', metadata: 'held' };
    assert.ok(equal(fromFragment(await fragment()), expected));
    const before = await shown(page);
    await page.reload();
    await page.waitForFunction(() => document.documentElement.dataset.ready);
    assert.deepEqual(await form(), expected);
    assert.deepEqual(await shown(page), before);
  });

  await t.test('a preset changes the address', async () => {
    await open('subject=bob');
    await page.getByRole('radio', { name: 'Too many attempts' }).check({ force: true });
    assert.equal(await fragment(), 'identity=rate-limited');
    await page.getByRole('radio', { name: 'Own record' }).check({ force: true });
    assert.equal(await page.evaluate(() => location.href), `${origin}/`);
  });

  await t.test('a link with a mistake is refused as a whole, with a message', async () => {
    await open(Object.keys(MISTAKES)[0]);
    for (const [link, expected] of Object.entries(MISTAKES)) {
      await change(link);
      const notice = await page.getByRole('alert').innerText();
      assert.match(notice, /^This link cannot be opened\. /, link);
      assert.match(notice, expected, link);
      assert.ok(notice.length < 400, link);
      assert.deepEqual(await form(), INITIAL, link);
      assert.equal((await shown(page)).rule, 'deleted-as-owner', link);
    }
    await field(page, 'subject').fill('bob');
    await page.waitForFunction(() => !document.getElementById('notice').textContent);
    assert.equal(await fragment(), 'subject=bob');
  });

  await t.test('a link that is pasted into the open page is opened', async () => {
    await open();
    await page.evaluate(() => (location.hash = 'identity=expired'));
    await page.waitForFunction(() => document.getElementById('rule-name').textContent === 'identity-expired');
    await page.evaluate(() => (location.hash = 'identity=old'));
    await page.waitForFunction(() => document.getElementById('notice').textContent);
    assert.deepEqual(await form(), INITIAL);
  });

  await t.test('the link can be copied', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
    await open('subject=bob');
    await page.getByRole('button', { name: 'Copy link' }).click();
    await page.waitForFunction(() => document.getElementById('copied').textContent);
    assert.equal(await page.locator('#copied').innerText(), 'Copied');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${origin}/#subject=bob`);
  });
}
