// Completes this directory, so that any web server can serve it. Fills host/ with the files of the Node host that do not
// depend on Node, the policy and the guards as JavaScript and core modules, and the conformance cases as one file.
import { execFileSync } from 'node:child_process';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const node = new URL('host/node/', root);
const host = new URL('host/', import.meta.url);

await rm(host, { recursive: true, force: true });
for (const name of ['host.mjs', 'memory.mjs', 'cases.mjs']) await cp(new URL(name, node), new URL(name, host));

// The policy last: host/node/build/ then contains what the Node host expects there.
for (const [component, directory] of [
  ['guest/examples/legal-hold/component/legal-hold.wasm', 'guards/legal-hold/'],
  ['guest/examples/retention/component/retention.wasm', 'guards/retention/'],
  ['guest/policy/component/delete-learning.wasm', 'policy/'],
]) {
  const build = fileURLToPath(new URL('build.mjs', node));
  execFileSync(process.execPath, [build, fileURLToPath(new URL(component, root))], { stdio: 'inherit' });
  await cp(new URL('build/', node), new URL(directory, host), {
    recursive: true,
    filter: (name) => !/\.d\.ts$|interfaces$/.test(name),
  });
}

const cases = new URL('tests/conformance/cases/', root);
const files = (await readdir(cases)).filter((name) => name.endsWith('.json')).sort();
const texts = await Promise.all(files.map((name) => readFile(new URL(name, cases), 'utf8')));
await writeFile(new URL('cases.json', host), JSON.stringify(texts.flatMap((text) => JSON.parse(text).cases)));
