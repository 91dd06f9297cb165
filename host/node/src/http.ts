// What the handlers of Express and Fastify have in common: the parameters of `DELETE /learnings/{id}`, and the
// response.
import type { Caller, MaybePromise, RecordStorage, Rejection, Request, StorageErrorKind } from './contract.js';
import { errorCodeName, type Decision } from './decision.js';
import { PolicyFailure } from './failure.js';
import { unresolvedStorage } from './memory.js';
import type { LoadedPolicy } from './policy.js';

/** The path and the query of a request for this endpoint, both undecoded. */
const TARGET = /^\/learnings\/([^/?#]+)(?:\?([^#]*))?$/;
const MAX_LEARNING_ID_BYTES = 4096;
/** As the reference host. */
const RETRY_AFTER_SECONDS: Record<number, string> = { 429: '60', 503: '1' };

/** The record that a request names. */
export interface RequestTarget {
  /** The id of the learning, decoded once. */
  learningId: string;
  /** The database; undefined or empty for none. */
  dbId: string | undefined;
  /** The table; undefined or empty for none. */
  table: string | undefined;
}

/** What happened in one request, for the log and the audit. */
export interface DecisionEvent<HttpRequest> {
  request: HttpRequest;
  target: RequestTarget;
  /** The decision; undefined if there is none. */
  decision: Decision | undefined;
  /** Why there is no decision. Its `deleted` states what became of the record. */
  failure: PolicyFailure | undefined;
}

/** The options of a handler. */
export interface HandlerOptions<HttpRequest> {
  /** The loaded policy. */
  policy: Pick<LoadedPolicy, 'decide'>;
  /** Authenticates a request: returns the caller, or throws an `IdentityError`. */
  authenticate(request: HttpRequest): MaybePromise<Caller>;
  /** Returns the storage of the record that a request names. Not called if the request is contradictory. */
  storage(target: RequestTarget, request: HttpRequest): RecordStorage;
  /** Called after every decision. Without it, failures are written to standard error. */
  onDecision?(event: DecisionEvent<HttpRequest>): void;
}

/** A response to a caller. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  /** The JSON body; undefined for none. */
  body: { detail: string; error_code: string } | undefined;
}

/** Parses the target of a request, as it is in its first line. Returns undefined if it is another endpoint. */
export function parseTarget(url: string): (RequestTarget & { invalid: StorageErrorKind | undefined }) | undefined {
  const match = TARGET.exec(url);
  if (!match) return undefined;
  const [, encodedId, query = ''] = match as unknown as [string, string, string?];
  // Decoded once, after the path is split: `a%2Fb` is the id `a/b`. Each character is one byte.
  const bytes = Uint8Array.from(
    encodedId.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    (character) => character.charCodeAt(0),
  );
  const learningId = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const parameters = new URLSearchParams(query);
  const [dbIds, tables] = [parameters.getAll('db_id'), parameters.getAll('table')];
  const isRepeated = dbIds.length > 1 || tables.length > 1;
  const isValid = isUtf8(bytes) && bytes.length <= MAX_LEARNING_ID_BYTES;
  const invalid = isRepeated ? 'repeated-parameter' : isValid ? undefined : 'invalid-learning-id';
  return { learningId, dbId: dbIds[0], table: tables[0], invalid };
}

/** Whether bytes are UTF-8. */
function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Decides on a request and returns the response. */
export async function respond<HttpRequest>(
  { policy, authenticate, storage, onDecision }: HandlerOptions<HttpRequest>,
  { invalid, ...target }: RequestTarget & { invalid: StorageErrorKind | undefined },
  request: HttpRequest,
): Promise<HttpResponse> {
  const event: DecisionEvent<HttpRequest> = { request, target, decision: undefined, failure: undefined };
  try {
    const record = invalid === undefined ? storage(target, request) : unresolvedStorage(invalid);
    const identity = { current: () => authenticate(request) };
    event.decision = await policy.decide(withoutUndefined(target), identity, record);
  } catch (error) {
    event.failure =
      error instanceof PolicyFailure
        ? error
        : new PolicyFailure('storage', 'the option `storage` threw', { deleted: false, cause: error });
  }
  if (onDecision) onDecision(event);
  else if (event.failure) console.error(event.failure);
  return responseTo(event);
}

function withoutUndefined({ learningId, dbId, table }: RequestTarget): Request {
  return { learningId, ...(dbId === undefined ? {} : { dbId }), ...(table === undefined ? {} : { table }) };
}

function responseTo({ decision }: DecisionEvent<unknown>): HttpResponse {
  if (decision?.deleted) return { status: 204, headers: { 'cache-control': 'no-store' }, body: undefined };
  if (decision) return errorResponse(decision.rejection);
  return errorResponse({ status: 500, code: 'internal-server-error', detail: 'Internal server error' });
}

function errorResponse({ status, code, detail }: Omit<Rejection, 'rule'>): HttpResponse {
  const headers: Record<string, string> = { 'cache-control': 'no-store' };
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  const retryAfter = RETRY_AFTER_SECONDS[status];
  if (retryAfter) headers['retry-after'] = retryAfter;
  return { status, headers, body: { detail, error_code: errorCodeName(code) } };
}
