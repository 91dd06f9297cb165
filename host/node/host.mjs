// The policy as a host in JavaScript runs it. Nothing here is particular to Node: a browser runs the same file.

/** A policy, ready to decide. */
export class Policy {
  #instantiate;
  #module;

  constructor(instantiate, modules) {
    this.#instantiate = instantiate;
    this.#module = (name) => modules.get(name);
  }

  /** Loads and compiles, once, what `npm run build` made. */
  static async load(build = new URL('build/', import.meta.url)) {
    const names = JSON.parse(new TextDecoder().decode(await read(new URL('modules.json', build))));
    const compiled = names.map(async (name) => [name, await WebAssembly.compile(await read(new URL(name, build)))]);
    const { instantiate } = await import(new URL('policy.js', build));
    return new Policy(instantiate, new Map(await Promise.all(compiled)));
  }

  /**
   * Decides on one request, in an instance of its own: nothing that one request leaves in the policy's memory can
   * reach the next, and a policy that trapped is not called again.
   *
   * `identity` and `storage` implement the interfaces of the contract for this request, names in camel case. They
   * answer by returning, and fail by throwing a `Failure`. Any other error is a defect, and fails the request.
   *
   * Returns 'deleted', or the rejection; where the policy or the host failed, a rejection with the `cause`, which is
   * for the log.
   */
  decide(request, identity, storage) {
    let deleted = false;
    const noting = (outcome) => {
      deleted ||= outcome === 'deleted';
      return outcome;
    };
    try {
      const policy = this.#instantiate(this.#module, {
        'learnings:plugin/identity': { current: () => unambiguous(identity.current()) },
        'learnings:plugin/storage': {
          locate: () => storage.locate(),
          find: () => storage.find(),
          delete: () => noting(storage.delete()),
          deleteIfOwnedBy: (userId) => noting(storage.deleteIfOwnedBy(userId)),
          deleteIfUnchanged: (revision) => noting(storage.deleteIfUnchanged(revision)),
        },
      });
      const rejection = refusal(() => policy.deleteLearning(request));
      if (!rejection) {
        if (!deleted) throw new Error('the policy claimed a deletion that did not happen');
        return 'deleted';
      }
      if (!isValid(rejection)) throw new Error('the rejection breaks the contract');
      if (deleted) throw new Error(`the policy refused after deleting, with the rule ${rejection.rule}`);
      return rejection;
    } catch (cause) {
      const detail = 'Internal server error';
      return { status: 500, code: 'internal-server-error', detail, rule: 'policy-fault', cause };
    }
  }
}

/** What a function of `identity` or `storage` throws to answer an error of the contract. */
export class Failure extends Error {
  constructor(payload) {
    super(payload.message);
    // The name under which jco looks for the contract's error.
    this.payload = payload;
  }
}

/** The statuses of the contract's error codes. */
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

/** The rejection that a call ends in; undefined where it ends well. jco throws rejections, as it does traps. */
function refusal(call) {
  try {
    call();
  } catch (error) {
    if (error.payload === undefined) throw error;
    return error.payload;
  }
}

/** Whether a host may send it on. */
function isValid({ status, code, detail, rule }) {
  const bytes = new TextEncoder().encode(detail).length;
  const isText = bytes >= 1 && bytes <= 1024 && !/\p{Cc}/u.test(detail);
  return status === STATUS[code] && isText && /^[a-z0-9-]{1,64}$/.test(rule);
}

/** Refuses what would reach the policy as something else, and let callers do more. */
function unambiguous(caller) {
  // A flag that is missing or misspelt would be false.
  for (const flag of ['enforceScopes', 'userIsolation']) {
    if (typeof caller[flag] !== 'boolean') throw new TypeError(`${flag} is neither true nor false`);
  }
  // Half a surrogate pair would be U+FFFD, and so would another user's.
  if (caller.subject?.isWellFormed() === false) throw new TypeError('the subject is not well-formed');
  return caller;
}

async function read(url) {
  if (url.protocol === 'file:') return (await import('node:fs/promises')).readFile(url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}
