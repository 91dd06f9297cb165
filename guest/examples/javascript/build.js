// Builds guard.js to the component of a guard: `node build.js OUTPUT`.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { componentize } from 'componentize-qjs';

const COMPONENT_HEADER_BYTES = 8;
const IMPORT_SECTION = 10;

const jsPath = fileURLToPath(new URL('guard.js', import.meta.url));
const { component } = await componentize({
  jsPath,
  jsSource: await readFile(jsPath, 'utf8'),
  witPath: fileURLToPath(new URL('../wit', import.meta.url)),
  world: 'guard',
  sync: true,
  optSize: true,
  stubWasi: true,
});

// A section is its id, its length as LEB128, and its content.
for (let at = COMPONENT_HEADER_BYTES, end; at < component.length; at = end) {
  const id = component[at++];
  let length = 0;
  for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
    byte = component[at++];
    length += (byte & 0x7f) * 2 ** shift;
  }
  end = at + length;
  const name = id === IMPORT_SECTION ? component.subarray(at, end).indexOf('host:config/store@') : -1;
  if (name >= 0) component.write('wasi', at + name);
}
await writeFile(process.argv[2], component);
