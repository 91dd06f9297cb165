// Transpiles the components of the repository and of its tests. REPOSITORY is the path of the repository.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from '@bytecodealliance/jco-transpile/wasm-tools';
import { transpileTo } from 'delete-learning/transpile';

export const repository = pathToFileURL(`${process.env.REPOSITORY}/`);
const malicious = new URL('tests/malicious_policies/', repository);

/** A directory for transpiled components. */
export async function workspace() {
  const path = await mkdtemp(join(tmpdir(), 'delete-learning-'));
  const directory = pathToFileURL(`${path}/`);
  return { directory, remove: () => rm(directory, { recursive: true }) };
}

/** Transpiles a component of the repository. Returns the directory. */
export async function transpileFile(path, directory) {
  return transpileInto(await readFile(new URL(path, repository)), path, directory);
}

/** Assembles and transpiles a component of `tests/malicious_policies`. Returns the directory and the text. */
export async function assemble(path, directory) {
  const text = await readFile(new URL(path, malicious), 'utf8');
  const component = await parse(await expand(text));
  return { text, directory: await transpileInto(component, path, directory) };
}

let written = 0;

/**
 * Writes what a transpiled guard would be whose functions are this JavaScript. In it `forward` has the functions of the
 * storage behind the guard, and `fail` returns an error. jco cannot transpile the guards of `tests/malicious_policies`.
 */
export async function writeGuard(functions, directory) {
  const target = new URL(`guard-${(written += 1)}/`, directory);
  const names = ['locate', 'find', 'delete', 'deleteIfOwnedBy', 'deleteIfUnchanged'];
  const code = `export function instantiate(getModule, imports) {
    const storage = imports['learnings:plugin/storage'];
    const thrown = (payload) => { throw Object.assign(new Error('a result'), { payload }); };
    const fail = (kind, message = 'Not now') => thrown({ kind, message });
    const call = (name) => (argument) => {
      const { tag, val } = storage[name](argument);
      return tag === 'ok' ? val : thrown(val);
    };
    const forward = Object.fromEntries(${JSON.stringify(names)}.map((name) => [name, call(name)]));
    return { storage: { ...forward, ${functions} } };
  }`;
  await mkdir(target);
  for (const name of ['sync.js', 'async.js']) await writeFile(new URL(name, target), code);
  await writeFile(new URL('package.json', target), '{ "type": "module" }');
  await writeFile(
    new URL('component.json', target),
    JSON.stringify({ format: 1, world: 'guard', imports: [], modules: [] }),
  );
  return target;
}

async function transpileInto(component, name, directory) {
  const target = new URL(`${name.replaceAll('/', '-')}/`, directory);
  await transpileTo(component, target);
  return target;
}

/** Replaces every `;; include` line by the part that it names. */
async function expand(text) {
  const lines = text.split('\n').map(async (line) => {
    const name = /^\s*;; include (.*)$/.exec(line)?.[1];
    return name ? expand(await readFile(new URL(`parts/${name}.wat`, malicious), 'utf8')) : line;
  });
  return (await Promise.all(lines)).join('\n');
}
