// The request and the answer as HTTP, as the server receives and sends them. Headers that differ in every answer
// (`date`, `x-request-id`) are left out.

import { errorCodeName } from './build/package/decision.js';

const REASONS = {
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** Returns the target of the request: path and query. */
export function requestTarget(situation) {
  const { 'learning-id': id, 'db-id': dbId, table, repeated } = situation;
  const query = new URLSearchParams();
  if (dbId) query.append('db_id', dbId);
  if (repeated) {
    if (!dbId) query.append('db_id', 'main');
    query.append('db_id', 'archive');
  }
  if (table) query.append('table', table);
  const path = situation['not-utf-8'] ? `${encodeURIComponent(id)}%FF` : encodeURIComponent(id);
  return `/learnings/${path}${query.size ? `?${query}` : ''}`;
}

/**
 * Returns the answer to a caller: `{ status, reason, headers, body }`; `headers` are pairs, `body` is a text.
 *
 * `decision` is 'deleted' or the rejection. `hasCredential` is whether the request has a credential, valid or not.
 */
export function httpAnswer(decision, hasCredential) {
  if (decision === 'deleted') return answer(204, [], '');
  const { status, code, detail } = decision;
  const body = JSON.stringify({ detail, error_code: errorCodeName(code) });
  const headers = [['content-type', 'application/json']];
  // RFC 6750, section 3: the challenge has an error code only if the request had a token.
  if (status === 401) headers.push(['www-authenticate', hasCredential ? 'Bearer error="invalid_token"' : 'Bearer']);
  if (status === 429) headers.push(['retry-after', '60']);
  if (status === 503) headers.push(['retry-after', '1']);
  headers.push(['content-length', String(new TextEncoder().encode(body).length)]);
  return answer(status, headers, body);
}

function answer(status, headers, body) {
  return { status, reason: REASONS[status], headers: [['cache-control', 'no-store'], ...headers], body };
}
