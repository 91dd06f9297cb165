// The host. It does not depend on Node: a browser runs the same file.

/** A loaded policy. */
export class Policy {
  #instantiate;
  #module;

  constructor(instantiate, modules) {
    this.#instantiate = instantiate;
    this.#module = (name) => modules.get(name);
  }

  /** Loads and compiles the output of `npm run build`. */
  static async load(build = new URL('build/', import.meta.url)) {
    const names = JSON.parse(new TextDecoder().decode(await read(new URL('modules.json', build))));
    const compiled = names.map(async (name) => [name, await WebAssembly.compile(await read(new URL(name, build)))]);
    const { instantiate } = await import(new URL('policy.js', build));
    return new Policy(instantiate, new Map(await Promise.all(compiled)));
  }

  /**
   * Decides on one request in a fresh instance, so no state of one request can reach another, and an instance that
   * trapped is never called again.
   *
   * `identity` and `storage` implement the interfaces of the contract for this request, with names in camel case. To
   * return an error of the contract, they throw a `ContractError`. Any other exception is a defect of the host and is
   * answered 500.
   *
   * Returns 'deleted' or the rejection. If the policy or the host failed, the rejection has a `cause` for the log.
   */
  decide(request, identity, storage) {
    let deleted = false;
    const recordOutcome = (outcome) => {
      deleted ||= outcome === 'deleted';
      return outcome;
    };
    try {
      const policy = this.#instantiate(this.#module, {
        'learnings:plugin/identity': { current: () => validateCaller(identity.current()) },
        'learnings:plugin/storage': {
          locate: () => storage.locate(),
          find: () => storage.find(),
          delete: () => recordOutcome(storage.delete()),
          deleteIfOwnedBy: (userId) => recordOutcome(storage.deleteIfOwnedBy(userId)),
          deleteIfUnchanged: (revision) => recordOutcome(storage.deleteIfUnchanged(revision)),
        },
      });
      const rejection = catchRejection(() => policy.deleteLearning(request));
      if (!rejection) {
        if (!deleted) throw new Error('the policy reported a deletion that did not happen');
        return 'deleted';
      }
      if (!isValid(rejection)) throw new Error('the rejection violates the contract');
      if (deleted) throw new Error(`the policy rejected the request after deleting the record: ${rejection.rule}`);
      return rejection;
    } catch (cause) {
      const detail = 'Internal server error';
      return { status: 500, code: 'internal-server-error', detail, rule: 'policy-error', cause };
    }
  }
}

/** An error of the contract, thrown by a function of `identity` or `storage`. */
export class ContractError extends Error {
  constructor(payload) {
    super(payload.message);
    // jco reads the error of the contract from this property.
    this.payload = payload;
  }
}

/** The HTTP status of each error code. */
const STATUS = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-many-requests': 429,
  'internal-server-error': 500,
  'not-implemented': 501,
  'service-unavailable': 503,
};

/** Returns the rejection of a call, or undefined if it succeeds. jco throws both rejections and traps. */
function catchRejection(call) {
  try {
    call();
  } catch (error) {
    if (error.payload === undefined) throw error;
    return error.payload;
  }
}

/** Whether a rejection satisfies the contract. */
function isValid({ status, code, detail, rule }) {
  const bytes = new TextEncoder().encode(detail).length;
  const isText = bytes >= 1 && bytes <= 1024 && !/\p{Cc}/u.test(detail);
  return status === STATUS[code] && isText && /^[a-z0-9-]{1,64}$/.test(rule);
}

/** Rejects a value that jco would convert to another one and that could give a caller more permissions. */
function validateCaller(caller) {
  // jco converts an unpaired surrogate to U+FFFD, so two users would have the same subject.
  if (caller.subject?.isWellFormed() === false) throw new TypeError('the subject is not well-formed');
  return caller;
}

async function read(url) {
  if (url.protocol === 'file:') return (await import('node:fs/promises')).readFile(url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}
