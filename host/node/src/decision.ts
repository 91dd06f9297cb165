// Validates what a policy returned against what the host's storage returned. `host/sandbox/src/decision.rs` has the
// same rules with the same messages.
import type { Answer } from './chain.js';
import { STATUS, type ErrorCode, type Rejection } from './contract.js';
import { PolicyFailure } from './failure.js';
import type { HostCalls } from './host-calls.js';

/**
 * A decision that has been executed: the record was deleted, or the request was rejected.
 *
 * Answer 204 to the caller, or the status of the rejection with `{"detail": …, "error_code": …}`.
 */
export type Decision = { deleted: true } | { deleted: false; rejection: Rejection };

/** Returns the decision, or throws a `PolicyFailure`. */
export function validate(answer: Answer, host: HostCalls): Decision {
  // A mistake of the host's own functions is the cause of what the components did then.
  if (host.failure) throw host.failure;
  const { deleted } = host;
  if (answer.tag === 'failed') {
    const { kind, guard, message } = answer;
    const what = guard === undefined ? 'the policy' : `the guard '${guard}'`;
    throw new PolicyFailure(kind, `${what} failed: ${message}`, { deleted, guard });
  }
  if (answer.tag === 'ok') {
    if (deleted === true) return { deleted };
    const message = 'the policy failed: it reported a deletion that did not happen';
    throw new PolicyFailure('misreport', message, { deleted });
  }
  const rejection = answer.val;
  const reason = violation(rejection);
  if (reason) {
    const message = `the policy failed: its rejection violates the contract: ${reason}`;
    throw new PolicyFailure('misreport', message, { deleted });
  }
  if (deleted === true) {
    const rule = `by the rule '${rejection.rule}'`;
    const message = `the policy failed: it rejected the request after deleting the record, ${rule}`;
    throw new PolicyFailure('misreport', message, { deleted });
  }
  const { status, code, detail, rule } = rejection;
  return { deleted: false, rejection: { status, code, detail, rule } };
}

const encoder = new TextEncoder();

/** How a rejection violates the contract (`wit/types.wit`). */
function violation({ status, code, detail, rule }: Rejection): string | undefined {
  const bytes = encoder.encode(detail).length;
  if (status !== STATUS[code]) return 'its status does not belong to its code';
  if (bytes < 1 || bytes > 1024) return 'its detail is empty or too long';
  if (/\p{Cc}/u.test(detail)) return 'its detail contains control characters';
  if (!/^[a-z0-9-]{1,64}$/.test(rule)) return "its rule is not a name of 1 to 64 characters of a-z, 0-9 and '-'";
  return undefined;
}

/** The name of an error code in the error body of the API. */
export function errorCodeName(code: ErrorCode): string {
  return code.toUpperCase().replaceAll('-', '_');
}
