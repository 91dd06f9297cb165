#!/usr/bin/env node
// The command of the package.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { transpileTo } from './transpile.js';

const USAGE = `Usage: delete-learning transpile FILE -o DIRECTORY [--max-memory-bytes BYTES]

Transpiles the component in FILE, a policy or a guard, into DIRECTORY, for the options \`component\` of Policy.load.
An instance can use up to BYTES of memory; the default is 16 MiB. Needs @bytecodealliance/jco-transpile.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: 'string', short: 'o' },
      'max-memory-bytes': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return console.log(USAGE);
  const [command, file, ...rest] = positionals;
  if (command !== 'transpile' || !file || !values.output || rest.length > 0) throw new Error(USAGE);
  const maxMemory = values['max-memory-bytes'];
  if (maxMemory !== undefined && !/^[1-9][0-9]*$/.test(maxMemory)) throw new Error(USAGE);
  const options = maxMemory === undefined ? {} : { maxMemoryBytes: Number(maxMemory) };
  await transpileTo(await readFile(file), pathToFileURL(resolve(values.output)), options);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
