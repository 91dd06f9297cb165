// What the form does beyond the presets.
import assert from 'node:assert/strict';
import { shown } from './browser.mjs';

export async function testForm(t, { page, open }) {
  const decided = (rule) =>
    page.waitForFunction((rule) => document.getElementById('rule-name').textContent === rule, rule);

  await t.test('every change is decided at once', async () => {
    await open();
    await page.getByLabel('Subject').fill('bob');
    await decided('learning-owned-by-another');
    await page.getByLabel('Owner').fill('bob');
    await decided('deleted-as-owner');
    await page.getByRole('radio', { name: 'is shared' }).check({ force: true });
    await decided('learning-unowned');
    await page.getByLabel('Scopes').fill('agent_os:admin');
    await decided('deleted-unconfined');
    await page.getByLabel('db_id is given twice').check();
    await decided('repeated-parameter');
    await page.getByLabel('byte that is not UTF-8').check();
    await page.getByLabel('db_id is given twice').uncheck();
    await decided('invalid-learning-id');
    assert.match(await page.locator('#request').innerText(), /^DELETE \/learnings\/user_profile_alice%FF HTTP\/1\.1/);
  });

  await t.test('time and settings reach the guards', async () => {
    await open('retention=yes&minimum-age=31');
    await decided('deletion-denied');
    await page.getByLabel('Current time').fill('2026-01-08T00:00');
    await decided('deleted-as-owner');
    await page.getByLabel('of the type of this record').fill('365');
    await decided('deletion-denied');
    await page.getByLabel('Retention').uncheck();
    await decided('deleted-as-owner');
    await page.getByLabel('Legal hold').check();
    await page.getByLabel('Held sessions').fill('s-1, s-2');
    await page.getByLabel('Session', { exact: true }).fill('s-2');
    await decided('deletion-denied');
    assert.match((await shown(page)).body, /belongs to a session under legal hold/);
  });

  await t.test('a fault of each function is shown in its call', async () => {
    for (const [fault, caller, call] of [
      ['locate', 'subject=', 'storage.locate() → error internal'],
      ['find', 'legal-hold=yes', 'storage.find() → error internal'],
      ['delete', 'all-owners=yes', 'storage.delete() → error internal'],
      ['delete-if-owned-by', '', 'storage.delete-if-owned-by("alice") → error internal'],
      ['delete-if-unchanged', 'legal-hold=yes', 'storage.delete-if-unchanged("1") → error internal'],
    ]) {
      await open([`fault-${fault}=internal`, caller].filter(Boolean).join('&'));
      assert.ok((await page.locator('#calls').innerText()).split('\n').includes(call), fault);
      assert.equal((await shown(page)).rule, 'storage-failed');
      assert.ok(await page.locator('#faults').getAttribute('open') !== null, 'an active fault is visible');
      assert.equal(await page.locator('#fault-count').innerText(), '1 active');
    }
  });

  await t.test('an incomplete situation has no decision', async () => {
    await open();
    await page.getByLabel('Learning id').fill('');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'No decision');
    const input = page.getByLabel('Learning id');
    assert.equal(await input.getAttribute('aria-invalid'), 'true');
    const message = page.locator(`#${await input.getAttribute('aria-describedby')}`);
    assert.equal(await message.innerText(), 'must not be empty');
    assert.equal(await page.locator('#response').innerText(), '');
    assert.equal(await page.locator('#calls').innerText(), '');
    await input.fill('a');
    await decided('deleted-as-owner');
    assert.equal(await input.getAttribute('aria-invalid'), null);

    await page.getByLabel('Created on').fill('');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'No decision');
    await page.getByLabel('Created on').fill('2026-01-01');
    await decided('deleted-as-owner');
  });

  await t.test('the active preset is shown, and none for another situation', async () => {
    await open();
    assert.equal(await page.locator('#preset-list :checked').getAttribute('value'), 'Own record');
    await page.getByLabel('Owner').fill('carol');
    await decided('learning-owned-by-another');
    assert.equal(await page.locator('#preset-list :checked').count(), 0);
    assert.equal(await page.locator('#preset-name').textContent(), 'Custom situation');
    await page.getByLabel('Owner').fill('alice');
    await decided('deleted-as-owner');
    assert.equal(await page.locator('#preset-list :checked').getAttribute('value'), 'Own record');
  });
}
