// axe finds nothing, in both color schemes, on a desktop and on a phone.
import assert from 'node:assert/strict';
import axe from 'axe-core';
import { PRESETS } from '../presets.mjs';
import { toFragment } from '../situation.mjs';
import { field } from './browser.mjs';

/** Fragments of the address: an answer of each kind, guards, a refused link, and an incomplete form. */
const SITUATIONS = [
  ...[
    'Own record',
    'Shared record',
    'No credential',
    'Record on legal hold',
    'Passes both guards',
    'Outcome unknown',
  ].map((name) => toFragment(PRESETS.find((preset) => preset.name === name).situation)),
  'credential=password',
  'incomplete',
  'conformance',
];

export async function testAccessibility(t, { page, open }) {
  await page.addInitScript(axe.source);
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ]) {
      await t.test(`axe finds nothing: ${colorScheme}, ${width}x${height}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height });
        for (const situation of SITUATIONS) {
          await open(situation === 'incomplete' || situation === 'conformance' ? '' : situation);
          if (situation === 'incomplete') await field(page, 'learning-id').fill('');
          if (situation === 'conformance') {
            await page.getByRole('button', { name: 'Run all cases' }).click();
            await page.waitForFunction(() => !document.getElementById('results').hidden);
            // All rows are alike, and axe takes a while for each.
            await page.evaluate(() =>
              document.querySelectorAll('#results tr:nth-child(n + 6)').forEach((row) => row.remove()),
            );
          }
          await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)));
          const { violations, incomplete, passes } = await page.evaluate(() =>
            window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
          );
          const list = (results) => results.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
          assert.ok(passes.length > 20, 'axe ran');
          assert.deepEqual(list(violations), [], situation);
          // The table of cases scrolls, and axe cannot decide on what is not in view.
          if (situation === 'conformance') continue;
          // axe leaves the contrast of symbols such as arrows undecided, and must leave nothing else.
          const undecided = incomplete.map(({ nodes, ...rest }) => ({
            ...rest,
            nodes: nodes.filter(({ any }) => any.some(({ data }) => data?.messageKey !== 'nonBmp')),
          }));
          assert.deepEqual(list(undecided.filter(({ nodes }) => nodes.length)), [], situation);
        }
      });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1280, height: 800 });
}
