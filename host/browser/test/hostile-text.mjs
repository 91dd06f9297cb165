// Markup in a text field is shown as text.
import assert from 'node:assert/strict';
import { FIELDS, INITIAL, toFragment } from '../situation.mjs';
import { field } from './browser.mjs';

const MARKUP = `"><img src=x onerror="document.title='run'"><script>document.title='run'</script>`;
/** The fields that can hold any text. */
const TEXT_FIELDS = Object.keys(FIELDS).filter((name) => FIELDS[name].check(MARKUP) === undefined);

/** Situations in which the page repeats the field outside of the form, if it does so at all. */
const CONTEXTS = [{}, { 'db-id': 'main' }, { 'legal-hold': 'yes', retention: 'yes' }];

export async function testHostileText(t, { page, open, change }) {
  const injected = () =>
    page.evaluate(() => [document.title, document.querySelectorAll('img[src=x], body script').length]);
  const title = 'Delete a learning: policy playground';

  await t.test('markup in a field is shown as text', async () => {
    assert.ok(TEXT_FIELDS.length >= 8, TEXT_FIELDS);
    await open();
    for (const name of TEXT_FIELDS) {
      for (const context of CONTEXTS) {
        await change(toFragment({ ...INITIAL, ...context, [name]: MARKUP }));
        assert.equal(await field(page, name).inputValue(), MARKUP, name);
        assert.deepEqual(await injected(), [title, 0], name);
      }
    }
    // Shown where the page repeats it.
    await open(toFragment({ ...INITIAL, subject: MARKUP }));
    assert.ok((await page.locator('#calls').innerText()).includes(JSON.stringify(MARKUP)));
    await open(toFragment({ ...INITIAL, 'db-id': MARKUP }));
    assert.ok((await page.locator('#response').innerText()).includes('<script>'));
  });

  await t.test('markup that is typed is shown as text', async () => {
    await open('legal-hold=yes&retention=yes');
    for (const name of TEXT_FIELDS) await field(page, name).fill(MARKUP);
    assert.deepEqual(await injected(), [title, 0]);
  });

  await t.test('markup in a link with a mistake is shown as text', async () => {
    for (const link of [`credential=${encodeURIComponent(MARKUP)}`, `${encodeURIComponent(MARKUP)}=1`, MARKUP]) {
      await open(link);
      assert.deepEqual(await injected(), [title, 0], link);
      assert.notEqual(await page.getByRole('alert').innerText(), '', link);
    }
  });
}
