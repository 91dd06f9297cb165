// A transpiled component, and its instances.
//
// jco's code for a component has 5000 lines, and running it for each request takes a millisecond. But all that a fresh
// instance needs is fresh core instances: memory, tables and globals. `Glue` therefore runs jco's code once, with
// stand-ins for the core instances, records how it links them, and repeats that for each request. Glue serves one
// request at a time, and is dropped after any error.
import type { MaybePromise } from './contract.js';
import type { Result } from './host-calls.js';
import { FUNCTIONS, type HostFunction } from './checks.js';

/** How the exports of a component are called: at once, or with JSPI, so that imports can wait for promises. */
export type Flavor = 'sync' | 'async';

/** The file `component.json` of a transpiled component. */
export interface Manifest {
  /** The version of this format. */
  format: 1;
  /** What the component implements. */
  world: 'policy' | 'guard';
  /** The full names of the interfaces that it imports. */
  imports: string[];
  /** The file names of its core modules. */
  modules: string[];
}

/** What answers the imports of an instance. */
export interface Imports {
  call(name: HostFunction, argument?: string): MaybePromise<Result>;
  setting(key: string): string | undefined;
  settings(): [string, string][];
  /** Nanoseconds since 1970. */
  wallClock(): bigint;
  /** Nanoseconds since an arbitrary time. */
  monotonicClock(): bigint;
}

/** An instance of a component, for one request. */
export interface Instance {
  /** Calls an exported function. A rejection of the contract is a result; anything else that goes wrong is thrown. */
  call(name: string, argument?: unknown): MaybePromise<Result>;
  /** Ends the use of an instance. Its glue serves another request if nothing went wrong. */
  release(): void;
}

type CoreExports = Record<string, unknown>;
type GetModule = (name: string) => WebAssembly.Module;
type InstantiateCore = (module: WebAssembly.Module, imports?: WebAssembly.Imports) => { exports: CoreExports };
type Exports = Record<string, (argument?: unknown) => unknown>;
type Instantiate = (getModule: GetModule, imports: object, core: InstantiateCore) => Record<string, unknown>;

/** Engines with JSPI have this function, which TypeScript does not know yet. */
type Promising = (call: Function) => Function;

/** Maximum number of glues that wait for a request. More are created while more decisions run at once. */
const MAX_FREE = 32;

export class Component {
  #free: Glue[] = [];

  private constructor(
    readonly manifest: Manifest,
    private readonly instantiate: Instantiate,
    private readonly modules: Map<string, WebAssembly.Module>,
  ) {}

  /** Loads and compiles a directory that `delete-learning transpile` wrote. */
  static async load(directory: URL, flavor: Flavor): Promise<Component> {
    const base = directory.href.endsWith('/') ? directory : new URL(`${directory.href}/`);
    const manifest = await readManifest(base);
    const compiled = manifest.modules.map(async (name) => {
      return [name, await WebAssembly.compile(await read(new URL(name, base)))] as const;
    });
    const { instantiate } = (await import(new URL(`${flavor}.js`, base).href)) as { instantiate: Instantiate };
    const component = new Component(manifest, instantiate, new Map(await Promise.all(compiled)));
    // Fails here, instead of in the first request, if the component imports a function that it does not get.
    component.#free.push(component.#newGlue());
    return component;
  }

  /** Creates a fresh instance. */
  create(imports: Imports): Instance {
    const glue = this.#free.pop() ?? this.#newGlue();
    glue.start(imports);
    return {
      call: (name, argument) => glue.call(name, argument),
      release: () => {
        if (glue.stop() && this.#free.length < MAX_FREE) this.#free.push(glue);
      },
    };
  }

  #newGlue(): Glue {
    const names = this.manifest.world === 'policy' ? ['deleteLearning'] : FUNCTIONS.storage;
    return new Glue(this.instantiate, (name) => this.modules.get(name)!, names);
  }
}

/** A stand-in for an export of a core instance, by which it is found again among the imports of a later one. */
interface Origin {
  instance: number;
  name: string;
}

/** The core instances of a component, as jco's code links them. */
interface Step {
  /** None if no instance is needed. */
  module: WebAssembly.Module | undefined;
  imports: Link[];
}

/** An import of a core instance: a value, or an export of another one. */
interface Link {
  module: string;
  name: string;
  value: unknown;
  origin: Origin | undefined;
}

/**
 * Links the functions of the host without the two modules that wit-component adds between: one calls functions in a table,
 * which the other, created last, fills. They exist because a function of the host needs the memory of an instance that
 * imports it. Here it gets the memory of the current request when it is called, and two instances of three are saved.
 * Returns whether there were such modules.
 */
function linkImportsDirectly(steps: Step[]): boolean {
  const last = steps.at(-1);
  const table = last?.imports.find(({ name }) => name === TABLE)?.origin;
  const shim = steps[table?.instance ?? -1];
  if (!last?.module || !shim?.module || shim.imports.length > 0) return false;
  if (WebAssembly.Module.exports(last.module).length > 0) return false;
  const functions = new Map(last.imports.filter(({ name }) => name !== TABLE).map((linked) => [linked.name, linked]));
  const added = WebAssembly.Module.exports(shim.module).filter(({ name }) => name !== TABLE);
  const isAdded = added.every(({ name, kind }) => kind === 'function' && functions.has(name));
  const isShim = ({ origin }: Link) => origin !== undefined && origin.instance === table?.instance;
  const others = steps.filter((step) => step !== last).flatMap(({ imports }) => imports.filter(isShim));
  if (!isAdded || functions.size !== added.length || others.some(({ origin }) => origin?.name === TABLE)) return false;
  for (const linked of others) {
    const { value, origin } = functions.get(linked.origin!.name)!;
    Object.assign(linked, { value, origin });
  }
  for (const step of [shim, last]) Object.assign(step, { module: undefined, imports: [] });
  return true;
}

/** The table of the module that wit-component adds. */
const TABLE = '$imports';

class Glue {
  #steps: Step[] = [];
  /** The exports of the core instances of the current request. */
  #live: CoreExports[] = [];
  #imports: Imports | undefined;
  #isClean = true;
  #isLinkedDirectly: boolean;
  #exports: Exports;

  /** `names` are the functions that the component must export. */
  constructor(instantiate: Instantiate, getModule: GetModule, names: readonly string[]) {
    const origins = new Map<unknown, Origin>();
    const record: InstantiateCore = (module, given) => {
      const instance = this.#steps.length;
      const exports: CoreExports = {};
      for (const { name, kind } of WebAssembly.Module.exports(module)) {
        exports[name] = this.#standIn(kind, { instance, name });
        origins.set(exports[name], { instance, name });
      }
      const imports = WebAssembly.Module.imports(module).map(({ module, name }) => {
        const value = given?.[module]?.[name];
        return { module, name, value, origin: origins.get(value) };
      });
      this.#steps.push({ module, imports });
      return { exports };
    };
    const exports = instantiate(getModule, this.#importObject(), record);
    this.#isLinkedDirectly = linkImportsDirectly(this.#steps);
    this.#exports = (exports['storage'] ?? exports) as Exports;
    const missing = names.find((name) => typeof this.#exports[name] !== 'function');
    if (missing) throw new Error(`the component does not export the function ${missing}`);
  }

  #standIn(kind: string, { instance, name }: Origin): unknown {
    const live = () => this.#live[instance]![name];
    if (kind === 'function') {
      const call = (...values: unknown[]) => (live() as Function)(...values);
      // `globals.js` of a transpiled component calls this in place of `WebAssembly.promising`.
      const promising =
        () =>
        (...values: unknown[]) => {
          const { promising } = WebAssembly as unknown as { promising: Promising };
          return promising(live() as Function)(...values);
        };
      return Object.assign(call, { promising });
    }
    if (kind !== 'memory') return {};
    return {
      get buffer() {
        return (live() as WebAssembly.Memory).buffer;
      },
    };
  }

  /** The imports under the names that jco gives them. jco converts `{ tag, val }` to a `result`. */
  #importObject(): object {
    const imports = () => {
      if (!this.#imports) throw new Error('the instance was called outside of a request');
      return this.#imports;
    };
    const call = (name: HostFunction) => (argument?: string) => imports().call(name, argument);
    return {
      'learnings:plugin/identity': { current: call('current') },
      'learnings:plugin/storage': {
        locate: call('locate'),
        find: call('find'),
        delete: call('delete'),
        deleteIfOwnedBy: call('deleteIfOwnedBy'),
        deleteIfUnchanged: call('deleteIfUnchanged'),
      },
      'wasi:config/store': {
        get: (key: string) => ({ tag: 'ok', val: imports().setting(key) }),
        getAll: () => ({ tag: 'ok', val: imports().settings() }),
      },
      'wasi:clocks/wall-clock': {
        now: () => datetime(imports().wallClock()),
        resolution: () => datetime(1_000_000n),
      },
      'wasi:clocks/monotonic-clock': { now: () => imports().monotonicClock(), resolution: () => 1_000n },
    };
  }

  /** Creates the core instances of a request. */
  start(imports: Imports): void {
    this.#isClean = false;
    // The table of the modules that are left out would be empty until the end, so a start function could not call the host.
    this.#imports = this.#isLinkedDirectly ? undefined : imports;
    for (const { module, imports } of this.#steps) {
      const linked: Record<string, Record<string, unknown>> = {};
      for (const { module, name, value, origin } of imports) {
        (linked[module] ??= {})[name] = origin ? this.#live[origin.instance]![origin.name] : value;
      }
      const live = module && new WebAssembly.Instance(module, linked as WebAssembly.Imports).exports;
      this.#live.push(live ?? {});
    }
    this.#imports = imports;
    this.#isClean = true;
  }

  /** Calls an exported function. */
  call(name: string, argument: unknown): MaybePromise<Result> {
    this.#isClean = false;
    const returned = (val: unknown): Result => {
      this.#isClean = true;
      return { tag: 'ok', val };
    };
    const threw = (thrown: unknown): Result => {
      if (!isComponentError(thrown)) throw thrown;
      this.#isClean = true;
      return { tag: 'err', val: thrown.payload };
    };
    try {
      const value = this.#exports[name]!(argument);
      return value instanceof Promise ? value.then(returned, threw) : returned(value);
    } catch (thrown) {
      return threw(thrown);
    }
  }

  /** Drops the core instances. Returns whether the glue can serve another request. */
  stop(): boolean {
    this.#imports = undefined;
    this.#live = [];
    return this.#isClean;
  }
}

/** Whether jco threw the error of a `result`. */
function isComponentError(thrown: unknown): thrown is { payload: unknown } {
  return thrown instanceof Error && Object.hasOwn(thrown, 'payload');
}

function datetime(nanoseconds: bigint): { seconds: bigint; nanoseconds: number } {
  return { seconds: nanoseconds / 1_000_000_000n, nanoseconds: Number(nanoseconds % 1_000_000_000n) };
}

async function readManifest(base: URL): Promise<Manifest> {
  const url = new URL('component.json', base);
  let text;
  try {
    text = new TextDecoder().decode(await read(url));
  } catch (cause) {
    const what = base.pathname.endsWith('.wasm/') ? 'is a component that is not transpiled' : 'has no component.json';
    const message = `${base} ${what}; run \`npx delete-learning transpile FILE -o DIRECTORY\` and load the directory`;
    throw new Error(message, { cause });
  }
  const manifest = JSON.parse(text) as Manifest;
  if (manifest.format !== 1) throw new Error(`${url} has another format; transpile the component again`);
  return manifest;
}

async function read(url: URL): Promise<ArrayBuffer | Uint8Array<ArrayBuffer>> {
  if (url.protocol === 'file:') {
    // Not a static import, so that bundlers for browsers do not follow it.
    const { readFile } = (await import(
      /* webpackIgnore: true */ 'node:fs/promises'
    )) as typeof import('node:fs/promises');
    return readFile(url) as Promise<Uint8Array<ArrayBuffer>>;
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`cannot read ${url}: HTTP status ${response.status}`);
  return response.arrayBuffer();
}
