// Reads what the tests compare the page with.
import { readdir, readFile } from 'node:fs/promises';

const root = new URL('../../../', import.meta.url);

/** Returns the text of a file of the repository. */
export const read = (path) => readFile(new URL(path, root), 'utf8');

/** Returns all conformance cases. */
export async function conformanceCases() {
  const directory = 'tests/conformance/cases/';
  const names = (await readdir(new URL(directory, root))).filter((name) => name.endsWith('.json'));
  const texts = await Promise.all(names.map((name) => read(directory + name)));
  return texts.flatMap((text) => JSON.parse(text).cases);
}
