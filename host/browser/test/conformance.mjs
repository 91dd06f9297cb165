// The conformance cases, run by the page.
import assert from 'node:assert/strict';
import { conformanceCases } from './repository.mjs';

/** Runs every conformance case in the page. */
export async function runConformanceCases({ page, open }) {
  await open();
  return page.evaluate(async () => {
    const { runCases } = await import('./conformance.mjs');
    return runCases();
  });
}

export async function testConformance(t, browser) {
  const { page, complaints } = browser;
  await t.test('every conformance case passes', async (t) => {
    const results = await runConformanceCases(browser);
    const names = (await conformanceCases()).map(({ name }) => name).sort();
    assert.deepEqual(results.map(({ test }) => test.name).sort(), names);
    for (const { test, got, passed } of results) {
      assert.ok(passed, `${test.name}\n  expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`);
    }
    t.diagnostic(`${results.length} cases`);
  });

  await t.test('the page shows the results of the conformance cases', async () => {
    await page.getByRole('button', { name: 'Run all cases' }).click();
    const count = (await conformanceCases()).length;
    await page.waitForFunction(() => !document.getElementById('results').hidden);
    assert.equal(await page.locator('#summary-of-cases').innerText(), `${count} passed, 0 failed`);
    assert.equal(await page.locator('#results tbody tr.passed').count(), count);
  });

  await t.test('nothing complained in any test', () => assert.deepEqual(complaints, []));
}
