// A Fastify app whose DELETE /learnings/:learning_id is decided by the policy.
import { isUtf8 } from 'node:buffer';
import Fastify from 'fastify';
import { Failure } from './host.mjs';
import { storageOf } from './memory.mjs';

/** A request's target: the id and the query, both as they were sent. */
const LEARNING = /^\/learnings\/([^/?]+)(?:\?(.*))?$/;
const MOST_ID_BYTES = 4096;

/**
 * The app. `databases` are Maps of id → owner by the database's id, each with the one table `agno_learnings`;
 * `callers` are the contract's callers by their token: put your own authentication in their place.
 */
export function createApp({ policy, databases, callers, logger = false }) {
  const app = Fastify({
    logger,
    // Fastify's router would decode the id by rules of its own, refuse one that is not UTF-8, and find no route for
    // one of more than 100 characters. It gets a stand-in, and the handler reads the URL as it was sent.
    rewriteUrl: ({ url }) => (LEARNING.test(url) ? '/learnings/id' : url),
    // What the router itself refuses, such as a path that is not UTF-8.
    frameworkErrors: (error, request, reply) => refuse(reply, 400, 'Bad Request', 'bad-request'),
  });

  app.delete('/learnings/:learning_id', async (request, reply) => {
    const target = LEARNING.exec(request.originalUrl);
    // Only the router took it for one: `/%6Cearnings/a`.
    if (!target) return reply.callNotFound();
    const named = parameters(...target.slice(1));
    const identity = { current: () => authenticate(request.raw.headersDistinct.authorization, callers) };
    const { learningId, dbId, table } = named;
    const answer = policy.decide({ learningId, dbId, table }, identity, storageOf(databases, named));
    reply.header('cache-control', 'no-store');
    if (answer === 'deleted') {
      request.log.info({ learningId }, 'deleted');
      return reply.code(204).send();
    }
    const { status, code, detail, rule, cause } = answer;
    const [level, outcome] = status >= 500 ? ['error', 'failed'] : ['info', 'refused'];
    request.log[level]({ learningId, status, rule, err: cause }, outcome);
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    return refuse(reply, status, detail, code);
  });

  // A body has no meaning here: whatever its type, it is not read.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, payload, done) => done(null));

  // Whatever is answered without the policy has the same form.
  app.setNotFoundHandler((request, reply) => refuse(reply, 404, 'Not Found', 'not-found'));
  app.setErrorHandler((error, request, reply) => {
    request.log.error(error);
    return refuse(reply, 500, 'Internal server error', 'internal-server-error');
  });
  return app;
}

function refuse(reply, status, detail, code) {
  return reply.code(status).send({ detail, error_code: code.toUpperCase().replaceAll('-', '_') });
}

/** What a target names. The id is decoded once, after the path was taken apart: `a%2Fb` is the id `a/b`. */
function parameters(encodedId, query = '') {
  const decoded = encodedId.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  // One character a byte, also where a client sent bytes that are not ASCII.
  const id = Buffer.from(decoded, 'latin1');
  const search = new URLSearchParams(query);
  const [dbIds, tables] = [search.getAll('db_id'), search.getAll('table')];
  return {
    learningId: id.toString(),
    isValid: isUtf8(id) && id.length <= MOST_ID_BYTES,
    dbId: dbIds[0],
    table: tables[0],
    isRepeated: dbIds.length > 1 || tables.length > 1,
  };
}

/** The caller whose token this is; HTTP Bearer, the scheme in any case. */
function authenticate(headers, callers) {
  const fail = (kind, message) => new Failure({ kind, credential: 'jwt', message });
  if (!headers) throw fail('missing', 'no authorization header');
  const token = headers.length === 1 && /^bearer ([\w.~+/-]+=*)$/i.exec(headers[0])?.[1];
  if (!token) throw fail('malformed', 'the authorization header is not one bearer token');
  if (!callers.has(token)) throw fail('invalid', 'no such token');
  return callers.get(token);
}
