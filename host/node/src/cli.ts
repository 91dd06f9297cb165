#!/usr/bin/env node
// The command of the package.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { transpileTo } from './transpile.js';

const USAGE = `Usage: delete-learning transpile FILE -o DIRECTORY

Transpiles the component in FILE, a policy or a guard, into DIRECTORY, for the options \`component\` of Policy.load.
Needs @bytecodealliance/jco-transpile.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(USAGE);
  const [command, file, ...rest] = positionals;
  if (command !== 'transpile' || !file || !values.output || rest.length > 0) throw new Error(USAGE);
  await transpileTo(await readFile(file), pathToFileURL(resolve(values.output)));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
