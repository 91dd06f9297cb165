// Turns the component into a JavaScript module and its core WebAssembly modules, in build/.
// `npm run build -- other.wasm` does it for another policy.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { transpileBytes } from '@bytecodealliance/jco-transpile';

const [path] = process.argv.slice(2);
const shipped = new URL('../../guest/policy/component/delete-learning.wasm', import.meta.url);
const build = new URL('build/', import.meta.url);

const { files } = await transpileBytes(await readFile(path ? pathToFileURL(path) : shipped), {
  name: 'policy',
  // A function that makes instances, so that each request can have its own.
  instantiation: 'sync',
  nodejsCompat: false,
  // A rejection is thrown as an error whose `payload` it is, as jco's command line has it.
  noComponentErrorWrapping: false,
});

// What jco's code gets in place of two globals.
const globals = `
// Its decoder would drop a U+FEFF at the start of a text, and with it the difference between two users. They keep no
// state and are slow to make, so all instances share them.
const decoders = {};
function TextDecoder(label = 'utf-8') {
  return (decoders[label] ??= new globalThis.TextDecoder(label, { ignoreBOM: true }));
}
// It calls this for each instance and catches the error of engines that lack it, which takes most of a millisecond.
const WebAssembly = Object.create(globalThis.WebAssembly);
WebAssembly.promising ??= (call) => call;
`;
files['policy.js'] = globals + new TextDecoder().decode(files['policy.js']);

// A browser cannot list a folder, so the modules are listed for it.
files['modules.json'] = JSON.stringify(Object.keys(files).filter((name) => name.endsWith('.wasm')));

await rm(build, { recursive: true, force: true });
for (const [name, content] of Object.entries(files)) {
  const file = new URL(name, build);
  await mkdir(new URL('.', file), { recursive: true });
  await writeFile(file, content);
}
