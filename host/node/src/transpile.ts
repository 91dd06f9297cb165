// Transpiles a component to JavaScript and core WebAssembly modules.
import { mkdir, writeFile } from 'node:fs/promises';
import type { Flavor, Manifest } from './component.js';
import { importsToGrant } from './imports.js';
import { limitMemory } from './memory-limit.js';

const PACKAGE = '@bytecodealliance/jco-transpile';
const STORAGE = 'learnings:plugin/storage@0.1.0';
const DECISION = 'delete-learning: func(request: request) -> result<_, rejection>';
const STORAGE_FUNCTIONS = ['locate', 'find', 'delete', 'delete-if-owned-by', 'delete-if-unchanged'];

/** Replacements for globals that the code of jco uses. */
const GLOBALS = `// Replacements for globals that the code of jco uses.
const { TextDecoder: Decoder, WebAssembly: Engine } = globalThis;

// By default a decoder drops a U+FEFF at the start of a text, so two users could have the same subject, and replaces
// invalid bytes, for which the contract requires a trap. Decoders have no state, so all instances share them.
const decoders = {};
export function TextDecoder(label = 'utf-8') {
  return (decoders[label] ??= new Decoder(label, { ignoreBOM: true, fatal: true }));
}

// The host links stand-ins for core instances, which know how to call the real function with JSPI.
export const WebAssembly = Object.create(Engine, {
  promising: { value: (call) => call.promising?.() ?? call },
});

// jco looks up an environment variable in each step of a call.
const global = { WebAssembly };
export { global as globalThis };
`;
const IMPORT_GLOBALS = "import { TextDecoder, WebAssembly, globalThis } from './globals.js';\n";

/** The options of a transpilation. */
export interface TranspileOptions {
  /** Maximum bytes of the memory of an instance. Default: 16 MiB. */
  maxMemoryBytes?: number;
}

const DEFAULT_MAX_MEMORY_BYTES = 16 * 1024 * 1024;

/** What is in a transpiled component, by file name. */
export type Files = Record<string, string | Uint8Array>;

/**
 * Transpiles a component of the worlds `policy` and `guard`, and returns the files of its directory. Requires the
 * optional peer dependency `@bytecodealliance/jco-transpile`.
 */
export async function transpile(
  component: Uint8Array,
  { maxMemoryBytes = DEFAULT_MAX_MEMORY_BYTES }: TranspileOptions = {},
): Promise<Files> {
  const { transpileBytes } = await importJco<typeof import('@bytecodealliance/jco-transpile')>(PACKAGE);
  const { componentWit } = await importJco<typeof import('@bytecodealliance/jco-transpile/wasm-tools')>(
    `${PACKAGE}/wasm-tools`,
  );
  if (component[4] === 1) {
    throw new Error(
      'this is a core WebAssembly module; a policy is a component (wrap it with `wasm-tools component new`)',
    );
  }
  const { imports, exports } = readWorld(await componentWit(component));
  importsToGrant('the component', imports);
  const world = worldOf(exports);
  const files: Files = { 'globals.js': GLOBALS };
  const modules: string[] = [];
  for (const flavor of ['sync', 'async'] satisfies Flavor[]) {
    const options = { ...OPTIONS, ...(flavor === 'async' ? JSPI : {}) };
    const result = await transpileBytes(component, options).catch((cause: unknown) => {
      throw new Error(`jco cannot transpile the component: ${(cause as Error).message}`, { cause });
    });
    for (const [name, content] of Object.entries(result.files)) {
      if (name === 'component.js') {
        files[`${flavor}.js`] = IMPORT_GLOBALS + new TextDecoder().decode(content);
      } else if (name.endsWith('.wasm') && flavor === 'sync') {
        // Both flavors have the same core modules.
        files[name] = limitMemory(content, maxMemoryBytes);
        modules.push(name);
      }
    }
  }
  const manifest: Manifest = { format: 1, world, imports, modules };
  files['component.json'] = `${JSON.stringify(manifest, undefined, 2)}\n`;
  return files;
}

const OPTIONS = {
  name: 'component',
  // Exports a function that creates instances, so that each request can have its own.
  instantiation: 'sync',
  nodejsCompat: false,
  // Throws a rejection as an error with the property `payload`, as jco's command line does.
  noComponentErrorWrapping: false,
  minify: true,
} as const;

const JSPI = {
  asyncMode: 'jspi' as const,
  asyncImports: ['learnings:plugin/identity@0.1.0#current', ...STORAGE_FUNCTIONS.map((name) => `${STORAGE}#${name}`)],
  asyncExports: ['delete-learning', ...STORAGE_FUNCTIONS.map((name) => `${STORAGE}#${name}`)],
};

/** Transpiles a component and writes the files into a directory, which is created. */
export async function transpileTo(
  component: Uint8Array,
  directory: URL,
  options: TranspileOptions = {},
): Promise<void> {
  const base = directory.href.endsWith('/') ? directory : new URL(`${directory.href}/`);
  const files = await transpile(component, options);
  await mkdir(base, { recursive: true });
  // `component.json` is last, so that a directory that has it is complete. The files are ES modules whatever the
  // package around them is.
  files['package.json'] = '{ "type": "module" }\n';
  const { 'component.json': manifest, ...others } = files;
  for (const [name, content] of Object.entries(others)) await writeFile(new URL(name, base), content);
  await writeFile(new URL('component.json', base), manifest!);
}

async function importJco<Module>(name: string): Promise<Module> {
  try {
    return (await import(name)) as Module;
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new Error(
      `transpiling needs ${PACKAGE}, which is not installed; run \`npm install --save-dev ${PACKAGE}@0.15.0\``,
      { cause },
    );
  }
}

/** The names of the imports and the whole exports in the world of a component, from its text form. */
function readWorld(wit: string): { imports: string[]; exports: string[] } {
  const body = /world root \{(.*?)^\}/ms.exec(wit)?.[1] ?? '';
  const lines = (keyword: string) =>
    [...body.matchAll(new RegExp(`^ *${keyword} ([^;{]+)`, 'gm'))].map(([, text]) => text!.trim());
  return { imports: lines('import').map((text) => text.split(': ')[0]!), exports: lines('export') };
}

function worldOf(exports: string[]): Manifest['world'] {
  if (exports.includes(STORAGE)) return 'guard';
  if (exports.includes(DECISION)) return 'policy';
  const found = exports.length > 0 ? `exports ${exports.join(', ')}` : 'exports nothing';
  throw new Error(`the component ${found}; a policy exports ${DECISION}, and a guard exports ${STORAGE}`);
}
