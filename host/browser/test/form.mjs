// What the form does beyond the presets.
import assert from 'node:assert/strict';
import { decided, field, shown } from './browser.mjs';

export async function testForm(t, { page, origin, open, complaints }) {
  await t.test('every change is decided at once', async () => {
    await open();
    await field(page, 'subject').fill('bob');
    await decided(page, 'learning-owned-by-another');
    await field(page, 'owner').fill('bob');
    await decided(page, 'deleted-as-owner');
    await page.locator('#situation [value=shared]').check({ force: true });
    await decided(page, 'learning-unowned');
    await field(page, 'scopes').fill('agent_os:admin');
    await decided(page, 'deleted-unconfined');
    await field(page, 'repeated').check();
    await decided(page, 'repeated-parameter');
    await field(page, 'not-utf-8').check();
    await field(page, 'repeated').uncheck();
    await decided(page, 'invalid-learning-id');
    assert.match(await page.locator('#request').innerText(), /^DELETE \/learnings\/user_profile_alice%FF HTTP\/1\.1/);
  });

  await t.test('time and settings reach the guards', async () => {
    await open('retention=yes&minimum-age=31');
    await decided(page, 'deletion-denied');
    await field(page, 'now').fill('2026-01-08T00:00');
    await decided(page, 'deleted-as-owner');
    await field(page, 'minimum-age-of-type').fill('365');
    await decided(page, 'deletion-denied');
    await field(page, 'retention').uncheck();
    await decided(page, 'deleted-as-owner');
    await field(page, 'legal-hold').check();
    await field(page, 'held-sessions').fill('s-1, s-2');
    await field(page, 'session').fill('s-2');
    await decided(page, 'deletion-denied');
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
      assert.ok((await page.locator('#faults').getAttribute('open')) !== null, 'an active fault is visible');
      assert.equal(await page.locator('#fault-count').innerText(), '1 active');
    }
  });

  await t.test('an incomplete situation has no decision', async () => {
    await open();
    await field(page, 'learning-id').fill('');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'No decision');
    const input = field(page, 'learning-id');
    assert.equal(await input.getAttribute('aria-invalid'), 'true');
    const message = page.locator(`#${await input.getAttribute('aria-describedby')}`);
    assert.equal(await message.innerText(), 'must not be empty');
    assert.equal(await page.locator('#response').innerText(), '');
    assert.equal(await page.locator('#calls').innerText(), '');
    await input.fill('a');
    await decided(page, 'deleted-as-owner');
    assert.equal(await input.getAttribute('aria-invalid'), null);

    await field(page, 'created').fill('');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'No decision');
    await field(page, 'created').fill('2026-01-01');
    await decided(page, 'deleted-as-owner');
  });

  await t.test('the active preset is shown, and none for another situation', async () => {
    await open();
    assert.equal(await page.locator('#preset-list :checked').getAttribute('value'), 'Own record');
    await field(page, 'owner').fill('carol');
    await decided(page, 'learning-owned-by-another');
    assert.equal(await page.locator('#preset-list :checked').count(), 0);
    assert.equal(await page.locator('#preset-name').textContent(), 'Custom situation');
    await field(page, 'owner').fill('alice');
    await decided(page, 'deleted-as-owner');
    assert.equal(await page.locator('#preset-list :checked').getAttribute('value'), 'Own record');
  });

  await t.test('a page that is not complete reports it', async () => {
    const before = complaints.length;
    await page.route('**/build/package/chain.js', (route) => route.fulfill({ status: 404 }));
    await page.goto('about:blank');
    await page.goto(origin);
    await page.getByRole('alert').filter({ hasText: 'The policy cannot be loaded.' }).waitFor();
    assert.equal(await page.locator('#status').innerText(), 'No decision');
    await page.unroute('**/build/package/chain.js');
    // The browser reports the missing file.
    assert.equal(complaints.splice(before).length, 1);
  });
}
