// Transpiles the components of the repository and of its tests. REPOSITORY is the path of the repository.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
