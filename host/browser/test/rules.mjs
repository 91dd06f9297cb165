// Every rule has a text, and no text is left of a rule that no longer exists.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULES, STEPS } from '../rules.mjs';
import { conformanceCases } from './repository.mjs';

/** Rules of a host, which no conformance case expects. The sandbox crate has the same names. */
const OF_THE_HOST = ['deleted-as-owner', 'deleted-unconfined', 'policy-error'];

export function testRules() {
  test('every rule that a conformance case expects has a text, and no other rule', async () => {
    const expected = (await conformanceCases()).map(({ expect }) => expect.answer.rule).filter(Boolean);
    assert.ok(expected.length > 100);
    const names = [...new Set(expected), ...OF_THE_HOST].sort();
    assert.deepEqual(Object.keys(RULES).sort(), names);
  });

  test('every text is complete', () => {
    for (const [name, { step, title, section, text }] of Object.entries(RULES)) {
      assert.ok(step >= 0 && step < STEPS.length, name);
      assert.ok(title && section && text.endsWith('.'), name);
      assert.doesNotMatch(title, /\.$/, name);
    }
  });
}
