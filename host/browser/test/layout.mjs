// Sizes: nothing is cut off, and the answer stays in view while an input changes.
import assert from 'node:assert/strict';
import { PRESETS } from '../presets.mjs';
import { INITIAL, toFragment } from '../situation.mjs';

const SIZES = [
  [1280, 800],
  [1920, 1080],
  [1024, 768],
  [820, 1180],
  [390, 844],
  [320, 640],
];
const LONG = 'a'.repeat(512);
const SITUATIONS = [
  ...['Own record', 'Record keeps changing', 'Record on legal hold'].map(
    (name) => PRESETS.find((preset) => preset.name === name).situation,
  ),
  { ...INITIAL, 'learning-id': LONG, subject: LONG, owner: LONG, 'db-id': LONG, table: LONG },
];

export async function testLayout(t, { page, open, change }) {
  await t.test('no size scrolls sideways', async () => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await open();
      for (const situation of SITUATIONS) {
        await change(toFragment(situation));
        await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)));
        const overflowing = await page.evaluate(() =>
          [...document.querySelectorAll('body *')]
            .filter((element) => {
              const { left, right, width } = element.getBoundingClientRect();
              const isOutside = width > 1 && (left < -1 || right > innerWidth + 1);
              // The answer of a phone is as wide as the screen, and so wider than its parents.
              const isCut = element.scrollWidth > element.clientWidth + 1 && !element.querySelector('#summary');
              const isBox = element.clientWidth > 1 && getComputedStyle(element).overflowX !== 'hidden';
              return isOutside || (isCut && isBox && element.localName !== 'input');
            })
            .map((element) => element.id || element.outerHTML.slice(0, 80)),
        );
        assert.deepEqual(overflowing, [], `${width}x${height}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width}x${height}`);
      }
    }
  });

  await t.test('the answer is in view at every control', async () => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await open('legal-hold=yes&retention=yes&fault-find=internal');
      const names = await page.evaluate(() =>
        [...new Set([...document.getElementById('situation').elements].map(({ name }) => name))].filter(Boolean),
      );
      for (const name of names) {
        const control = page.locator(`#situation [name="${name}"]`).first();
        await control.focus();
        const covered = await control.evaluate((element) => {
          const seen = (id) => {
            const { top, bottom } = document.getElementById(id).getBoundingClientRect();
            return top >= 0 && bottom <= innerHeight + 1;
          };
          const box = (element.type === 'radio' ? element.closest('label') : element).getBoundingClientRect();
          const summary = document.getElementById('summary').getBoundingClientRect();
          const isBeside = summary.left >= box.right || summary.right <= box.left;
          const isFree = isBeside || summary.bottom <= box.top + 1;
          return [['status', 'outcome', 'title'].every(seen), isFree, box.top >= 0 && box.bottom <= innerHeight + 1];
        });
        assert.deepEqual(
          covered,
          [true, true, true],
          `${name} at ${width}x${height}: answer in view, control free, control in view`,
        );
      }
    }
  });

  await t.test('the results of the conformance cases fit', async () => {
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await open();
      await page.getByRole('button', { name: 'Run all cases' }).click();
      const results = page.locator('#results');
      await results.waitFor();
      assert.ok(
        await results.evaluate(({ clientWidth, scrollWidth }) => scrollWidth <= clientWidth),
        `${width}x${height}`,
      );
    }
  });

  await t.test('a phone shows the calls of the policy with the answer', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await open('subject=bob');
    assert.deepEqual(await page.locator('#trail li').allInnerTexts(), [
      'identity.current() → jwt, subject "bob"',
      'storage.delete-if-owned-by("bob") → owned-by-another',
    ]);
    const { height } = await page.locator('#summary').boundingBox();
    assert.ok(height < 844 / 3, `the answer takes ${height} pixels`);
    await page.getByRole('button', { name: 'Details' }).click();
    const top = await page.evaluate(() => document.getElementById('details').getBoundingClientRect().top);
    assert.ok(top < 844 / 2, `the details begin at ${top}`);
  });

  await page.setViewportSize({ width: 1280, height: 800 });
}
