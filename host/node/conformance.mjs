// Runs the conformance cases: `node conformance.mjs [--json]`, after `npm run build`.
import { readdir, readFile } from 'node:fs/promises';
import { passes, run } from './cases.mjs';
import { Policy } from './host.mjs';

const directory = new URL('../../tests/conformance/cases/', import.meta.url);
const files = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, directory), 'utf8')));
const cases = texts.flatMap((text) => JSON.parse(text).cases);

const json = process.argv.includes('--json');
const policy = await Policy.load();
let failed = 0;
for (const test of cases) {
  const got = run(policy, test);
  if (json) console.log(JSON.stringify(got));
  if (passes(test, got)) continue;
  failed += 1;
  if (!json) console.log(`${test.name}\n  expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`);
}
if (!json) console.log(`${cases.length - failed} passed, ${failed} failed`);
// No cases at all is a failure.
process.exitCode = failed || cases.length === 0 ? 1 : 0;
