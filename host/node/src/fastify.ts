// A plugin for Fastify.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseTarget, respond, type HandlerOptions } from './http.js';

export type { DecisionEvent, HandlerOptions, RequestTarget } from './http.js';

/**
 * The option `rewriteUrl` of Fastify that the plugin needs: `Fastify({ rewriteUrl })`. The router of Fastify rejects
 * ids that are not UTF-8 before a caller is authenticated, matches no id of more than 100 characters, and decodes the
 * path. It therefore gets a fixed path, and the plugin parses the original URL.
 */
export function rewriteUrl(request: { url?: string | undefined; method?: string | undefined }): string {
  const url = request.url ?? '/';
  return request.method === 'DELETE' && parseTarget(url) ? '/learnings/id' : url;
}

/** A plugin that serves `DELETE /learnings/{id}`. It ignores request bodies. Register it without a prefix. */
export async function deleteLearning(app: FastifyInstance, options: HandlerOptions<FastifyRequest>): Promise<void> {
  if (app.prefix) throw new Error(`delete-learning/fastify is registered with the prefix ${app.prefix}; expected none`);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.delete('/learnings/:learning_id', async (request, reply) => {
    const target = parseTarget(request.originalUrl);
    // The router matches encoded forms of the path, such as `/%6Cearnings/a`.
    if (!target) return reply.callNotFound();
    const { status, headers, body } = await respond(options, target, request);
    return reply.code(status).headers(headers).send(body);
  });
}
