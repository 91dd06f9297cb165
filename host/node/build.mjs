// Builds the package into build/: the types of the contract from wit/, the code from src/, and the default policy from
// its component.
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { $init, generateTypes } from '@bytecodealliance/jco-transpile/component';

const root = new URL('../../', import.meta.url);
const types = new URL('src/wit/', import.meta.url);
const build = new URL('build/', import.meta.url);

await rm(build, { recursive: true, force: true });
await generateContract();
const tsc = fileURLToPath(import.meta.resolve('typescript/package.json')).replace('package.json', 'bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', fileURLToPath(new URL('tsconfig.json', import.meta.url))], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);
await cp(types, new URL('wit/', build), { recursive: true });

const { transpileTo } = await import(new URL('transpile.js', build));
const component = await readFile(new URL('guest/policy/component/delete-learning.wasm', root));
await transpileTo(component, new URL('policy/', build));

/** Generates the types of the interfaces. The world `guard` uses all functions of both. */
async function generateContract() {
  await $init;
  const texts = await Promise.all(
    ['types', 'identity', 'storage', 'world'].map((name) => readFile(new URL(`wit/${name}.wit`, root), 'utf8')),
  );
  // One text has one package statement.
  const wit = texts.map((text, index) => (index === 0 ? text : text.replace(/^package .*;$/m, ''))).join('\n');
  await rm(types, { recursive: true, force: true });
  for (const world of ['policy', 'guard']) {
    const files = generateTypes(world, {
      wit: { tag: 'source', val: wit },
      world,
      features: { tag: 'list', val: [] },
      tlaCompat: false,
      guest: false,
      flagsAsBigint: false,
      variantsInlineCases: false,
      useNamespaceObjects: false,
      enumValuesScreamingSnakeCase: false,
    });
    for (const [name, content] of files) {
      if (!name.startsWith('interfaces/')) continue;
      const file = new URL(name, types);
      await mkdir(new URL('.', file), { recursive: true });
      // jco declares the function `delete` in a way that TypeScript does not accept in a declaration file.
      await writeFile(file, new TextDecoder().decode(content).replace(/^function /gm, 'declare function '));
    }
  }
}
