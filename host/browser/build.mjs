// Completes this directory, so that any web server can serve it. Fills build/ with the npm package of host/node, as it
// was built there, the guards as JavaScript and core modules, and the conformance cases as one file.
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { transpileTo } from '../node/build/transpile.js';

const root = new URL('../../', import.meta.url);
const built = new URL('host/node/build/', root);
const build = new URL('build/', import.meta.url);

await rm(build, { recursive: true, force: true });
for (const name of await readdir(built)) {
  // Types, and modules that only Node can load, are not served.
  const isServed =
    name === 'policy' ||
    (name.endsWith('.js') && !(await readFile(new URL(name, built), 'utf8')).includes("from 'node:"));
  if (isServed) await cp(new URL(name, built), new URL(`package/${name}`, build), { recursive: true });
}
for (const name of ['legal-hold', 'retention']) {
  const component = await readFile(new URL(`guest/examples/${name}/component/${name}.wasm`, root));
  await transpileTo(component, new URL(`guards/${name}/`, build));
}

const cases = new URL('tests/conformance/cases/', root);
const files = (await readdir(cases)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, cases), 'utf8')));
await writeFile(new URL('cases.json', build), JSON.stringify(texts.flatMap((text) => JSON.parse(text).cases)));
