// Completes this directory, so that any web server can serve it: copies to host/ the files of the Node host that do not
// depend on Node, the output of its `npm run build`, and the conformance cases as one file.
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';

const node = new URL('../node/', import.meta.url);
const cases = new URL('../../tests/conformance/cases/', import.meta.url);
const host = new URL('host/', import.meta.url);

await rm(host, { recursive: true, force: true });
for (const name of ['host.mjs', 'memory.mjs', 'cases.mjs', 'build/']) {
  await cp(new URL(name, node), new URL(name, host), { recursive: true });
}
const files = (await readdir(cases)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, cases), 'utf8')));
await writeFile(new URL('cases.json', host), JSON.stringify(texts.flatMap((text) => JSON.parse(text).cases)));
