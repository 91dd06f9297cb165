// What a component can import.

const CONTRACT = ['types', 'identity', 'storage'].map((name) => `learnings:plugin/${name}@0.1.0`);
/** The settings need no grant, because they contain only what was configured for the component. */
const SETTINGS = 'wasi:config/store@0.2.0-rc.1';

/** Whether an interface can be granted. */
export function isGrantable(name: string): boolean {
  return /^wasi:clocks\/(wall|monotonic)-clock@0\.2\.\d+$/.test(name);
}

/** The imports that need a grant. Throws if there are some that no component gets. */
export function importsToGrant(what: string, imports: readonly string[]): string[] {
  const further = imports.filter((name) => !CONTRACT.includes(name) && name !== SETTINGS);
  const unknown = further.filter((name) => !isGrantable(name));
  if (unknown.length === 0) return further;
  throw new Error(
    `${what} imports ${unknown.join(', ')}; a component can import identity and storage of learnings:plugin@0.1.0, ` +
      `${SETTINGS}, and the clocks of WASI 0.2 that it is granted`,
  );
}
