// Tests the page in a real browser, after `npm run build`. `node test.mjs --json` only runs the conformance cases in
// the page, and prints one JSON object per case.
import { test } from 'node:test';
import { testAccessibility } from './test/accessibility.mjs';
import { start } from './test/browser.mjs';
import { runConformanceCases, testConformance } from './test/conformance.mjs';
import { testDecisions } from './test/decisions.mjs';
import { testForm } from './test/form.mjs';
import { testHostileText } from './test/hostile-text.mjs';
import { testKeyboard } from './test/keyboard.mjs';
import { testLayout } from './test/layout.mjs';
import { testLinks } from './test/links.mjs';
import { testRules } from './test/rules.mjs';

if (process.argv.includes('--json')) {
  const browser = await start();
  try {
    for (const { got } of await runConformanceCases(browser)) console.log(JSON.stringify(got));
  } finally {
    await browser.close();
  }
} else {
  testRules();
  // The tests share one browser, which takes a second to start.
  test('page', async (t) => {
    const browser = await start();
    try {
      for (const suite of [
        testDecisions,
        testForm,
        testLinks,
        testHostileText,
        testKeyboard,
        testLayout,
        testAccessibility,
        testConformance,
      ]) {
        await suite(t, browser);
      }
    } finally {
      await browser.close();
    }
  });
}
