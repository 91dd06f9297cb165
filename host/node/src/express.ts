// A handler for Express.
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { parseTarget, respond, type HandlerOptions } from './http.js';

export type { DecisionEvent, HandlerOptions, RequestTarget } from './http.js';

/**
 * Returns a middleware that serves `DELETE /learnings/{id}` below the path where it is mounted:
 * `app.use(deleteLearning(…))`.
 *
 * It parses the URL itself, because the router of Express answers ids that are not UTF-8 before a caller is
 * authenticated. Request bodies are ignored; mount it before middleware that parses them.
 */
export function deleteLearning(options: HandlerOptions<Request>): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    const target = request.method === 'DELETE' ? parseTarget(request.url) : undefined;
    if (!target) return next();
    respond(options, target, request).then(({ status, headers, body }) => {
      response.status(status).set(headers);
      if (body) response.json(body);
      else response.end();
    }, next);
  };
}
