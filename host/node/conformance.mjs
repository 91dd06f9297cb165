// Runs the conformance cases with the package of the directory in which it is run:
//
//   node conformance.mjs [--json] [--guard NAME=DIRECTORY]…
//
// A guard is a transpiled component without settings. It makes calls of its own, so with guards only answers and
// remaining records are compared, and no cases with faults are run, because these are for certain calls.
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, guard: { type: 'string', multiple: true } } });
const directory = new URL('../../tests/conformance/cases/', import.meta.url);

const load = createRequire(pathToFileURL(`${process.cwd()}/`));
const [{ Policy }, { passes, runCase }] = await Promise.all(
  ['delete-learning', 'delete-learning/conformance'].map((name) => import(pathToFileURL(load.resolve(name)))),
);
const files = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, directory), 'utf8')));
const guards = (values.guard ?? []).map((guard) => {
  const [name, component] = guard.split('=');
  return { name, component, grants: name === 'retention' ? ['wasi:clocks/wall-clock@0.2.12'] : [] };
});
const all = texts.flatMap((text) => JSON.parse(text).cases);
const cases = guards.length === 0 ? all : all.filter(({ storage }) => !storage.faults);
if (guards.length > 0) for (const { expect } of cases) delete expect.calls;

const policy = await Policy.load({ guards });
let failed = 0;
for (const test of cases) {
  const got = await runCase(policy, test);
  if (values.json) console.log(JSON.stringify(got));
  if (passes(test, got)) continue;
  failed += 1;
  if (!values.json)
    console.log(`${test.name}\n  expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`);
}
if (!values.json)
  console.log(
    `${cases.length - failed} passed, ${failed} failed (${process.version}, ${policy.mode}, ${guards.length} guards)`,
  );
// No cases at all is a failure.
process.exitCode = failed || cases.length === 0 ? 1 : 0;
