// Runs the conformance cases in the page and shows their results.
import { passes, runCase } from './build/package/conformance.js';
import { loadPolicy } from './decide.mjs';
import { byId, element } from './dom.mjs';

/** Runs every case on the default policy. Returns each case with its result, and whether that is the expected one. */
export async function runCases() {
  const policy = await loadPolicy();
  const response = await fetch('build/cases.json');
  if (!response.ok) throw new Error(`cannot load ${response.url}: ${response.status}`);
  const results = [];
  for (const test of await response.json()) {
    const got = await runCase(policy, test);
    results.push({ test, got, passed: passes(test, got) });
  }
  return results;
}

/** Shows results in the table, failed cases first. */
export function showResults(results) {
  const failed = results.filter(({ passed }) => !passed).length;
  byId('summary-of-cases').textContent = `${results.length - failed} passed, ${failed} failed`;
  byId('results').hidden = false;
  const row = ({ test, got, passed }) => {
    const answer = got.answer === 'deleted' ? '204 deleted' : `${got.answer.status} ${got.answer.rule}`;
    const cells = [passed ? 'passed' : 'failed', test.name, answer, test.why].map((text) => element('td', '', text));
    return element('tr', passed ? 'passed' : 'failed', ...cells);
  };
  const sorted = [...results].sort((a, b) => a.passed - b.passed);
  byId('results')
    .querySelector('tbody')
    .replaceChildren(...sorted.map(row));
}
