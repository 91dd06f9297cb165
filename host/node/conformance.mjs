// Runs the conformance cases: `node conformance.mjs [--json] [CASES]`, with the package of the directory in which it is
// run. CASES is a directory of cases; without it, those of this repository.
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const [path = '../../tests/conformance/cases'] = positionals;
const directory = positionals[0] ? pathToFileURL(`${path}/`) : new URL(`${path}/`, import.meta.url);

const load = createRequire(pathToFileURL(`${process.cwd()}/`));
const [{ Policy }, { passes, runCase }] = await Promise.all(
  ['delete-learning', 'delete-learning/conformance'].map((name) => import(pathToFileURL(load.resolve(name)))),
);
const files = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, directory), 'utf8')));
const cases = texts.flatMap((text) => JSON.parse(text).cases);

const policy = await Policy.load();
let failed = 0;
for (const test of cases) {
  const got = await runCase(policy, test);
  if (values.json) console.log(JSON.stringify(got));
  if (passes(test, got)) continue;
  failed += 1;
  if (!values.json) console.log(`${test.name}\n  expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`);
}
if (!values.json) console.log(`${cases.length - failed} passed, ${failed} failed (${process.version}, ${policy.mode})`);
// No cases at all is a failure.
process.exitCode = failed || cases.length === 0 ? 1 : 0;
