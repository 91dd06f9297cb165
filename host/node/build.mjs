// Transpiles the component to a JavaScript module and core WebAssembly modules, in build/.
// `npm run build -- other.wasm` builds another policy.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { transpileBytes } from '@bytecodealliance/jco-transpile';

const [path] = process.argv.slice(2);
const defaultPolicy = new URL('../../guest/policy/component/delete-learning.wasm', import.meta.url);
const build = new URL('build/', import.meta.url);

const { files } = await transpileBytes(await readFile(path ? pathToFileURL(path) : defaultPolicy), {
  name: 'policy',
  // Exports a function that creates instances, so that each request can have its own.
  instantiation: 'sync',
  nodejsCompat: false,
  // Throws a rejection as an error with the property `payload`, as jco's command line does.
  noComponentErrorWrapping: false,
});

// Replacements for two globals that jco's code uses.
const globals = `
// By default a decoder drops a U+FEFF at the start of a text, so two users could have the same subject. Decoders have
// no state and are slow to create, so all instances share them.
const decoders = {};
function TextDecoder(label = 'utf-8') {
  return (decoders[label] ??= new globalThis.TextDecoder(label, { ignoreBOM: true }));
}
// jco calls this for each instance and catches the error of engines without it, which takes most of a millisecond.
const WebAssembly = Object.create(globalThis.WebAssembly);
WebAssembly.promising ??= (call) => call;
`;
files['policy.js'] = globals + new TextDecoder().decode(files['policy.js']);

// A browser cannot list a directory, so this file lists the modules.
files['modules.json'] = JSON.stringify(Object.keys(files).filter((name) => name.endsWith('.wasm')));

await rm(build, { recursive: true, force: true });
for (const [name, content] of Object.entries(files)) {
  const file = new URL(name, build);
  await mkdir(new URL('.', file), { recursive: true });
  await writeFile(file, content);
}
