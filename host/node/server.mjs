// A Fastify app in which the policy decides DELETE /learnings/:learning_id.
import { isUtf8 } from 'node:buffer';
import Fastify from 'fastify';
import { ContractError } from './host.mjs';
import { storageForRequest } from './memory.mjs';

/** The target of a request: the id and the query, both undecoded. */
const TARGET = /^\/learnings\/([^/?]+)(?:\?(.*))?$/;
const MAX_LEARNING_ID_BYTES = 4096;

/**
 * Creates the app. `databases` maps the id of each database to a Map of learning id → owner. `callers` maps tokens to
 * the contract's callers; replace it by your own authentication.
 */
export function createApp({ policy, databases, callers, logger = false }) {
  const app = Fastify({
    logger,
    // Fastify's router has its own rules for decoding, rejects ids that are not UTF-8, and matches no id of more than
    // 100 characters. It therefore gets a fixed path, and the handler parses the original URL.
    rewriteUrl: ({ url }) => (TARGET.test(url) ? '/learnings/id' : url),
    // Errors of the router, for example for a path that is not UTF-8.
    frameworkErrors: (error, request, reply) => sendError(reply, 400, 'Bad Request', 'bad-request'),
  });

  app.delete('/learnings/:learning_id', async (request, reply) => {
    const target = TARGET.exec(request.originalUrl);
    // The router matches encoded forms of the path, such as `/%6Cearnings/a`.
    if (!target) return reply.callNotFound();
    const parameters = parseTarget(...target.slice(1));
    const identity = { current: () => authenticate(request.raw.headersDistinct.authorization, callers) };
    const { learningId, dbId, table } = parameters;
    const answer = policy.decide({ learningId, dbId, table }, identity, storageForRequest(databases, parameters));
    reply.header('cache-control', 'no-store');
    if (answer === 'deleted') {
      request.log.info({ learningId }, 'deleted');
      return reply.code(204).send();
    }
    const { status, code, detail, rule, cause } = answer;
    const [level, message] = status >= 500 ? ['error', 'failed'] : ['info', 'rejected'];
    request.log[level]({ learningId, status, rule, err: cause }, message);
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    return sendError(reply, status, detail, code);
  });

  // Ignores request bodies of every type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, payload, done) => done(null));

  // Responses without a decision of the policy have the same form.
  app.setNotFoundHandler((request, reply) => sendError(reply, 404, 'Not Found', 'not-found'));
  app.setErrorHandler((error, request, reply) => {
    request.log.error(error);
    return sendError(reply, 500, 'Internal server error', 'internal-server-error');
  });
  return app;
}

function sendError(reply, status, detail, code) {
  return reply.code(status).send({ detail, error_code: code.toUpperCase().replaceAll('-', '_') });
}

/** Parses a target. The id is decoded once, after the path is split: `a%2Fb` is the id `a/b`. */
function parseTarget(encodedId, query = '') {
  const decoded = encodedId.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  // Each character is one byte, including non-ASCII bytes.
  const id = Buffer.from(decoded, 'latin1');
  const searchParams = new URLSearchParams(query);
  const [dbIds, tables] = [searchParams.getAll('db_id'), searchParams.getAll('table')];
  return {
    learningId: id.toString(),
    isValid: isUtf8(id) && id.length <= MAX_LEARNING_ID_BYTES,
    dbId: dbIds[0],
    table: tables[0],
    isRepeated: dbIds.length > 1 || tables.length > 1,
  };
}

/** Returns the caller with the token of an HTTP Bearer header. The scheme is case-insensitive. */
function authenticate(headers, callers) {
  const error = (kind, message) => new ContractError({ kind, credential: 'jwt', message });
  if (!headers) throw error('missing', 'no authorization header');
  const token = headers.length === 1 && /^bearer ([\w.~+/-]+=*)$/i.exec(headers[0])?.[1];
  if (!token) throw error('malformed', 'the request does not have exactly one bearer token');
  if (!callers.has(token)) throw error('invalid', 'unknown token');
  return callers.get(token);
}
