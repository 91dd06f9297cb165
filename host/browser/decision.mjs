// Shows a decision: the answer, the rule, the calls, and the exchange as HTTP.
import { byId, element } from './dom.mjs';
import { httpAnswer, requestTarget } from './http.mjs';
import { RULES, STEPS } from './rules.mjs';

const OUTCOMES = {
  deleted: 'Record deleted',
  kept: 'Record not deleted',
  unknown: 'Unknown whether deleted',
  none: 'No record to delete',
};

/** Shows a decision. Returns it as one sentence. */
export function showDecision(situation, decision) {
  const { answer, calls, deleted, failure } = decision;
  const http = httpAnswer(answer, situation.identity !== 'missing');
  const name = ruleName(answer, calls);
  const rule = RULES[name] ?? { title: name, text: 'This rule has no text.', section: '', step: STEPS.length - 1 };
  const outcome = OUTCOMES[recordOutcome(situation, deleted)];
  const deniedBy = answer.rule === 'deletion-denied' ? denier(calls) : undefined;
  const title = deniedBy ? `The guard ${deniedBy} retains the record` : rule.title;

  byId('decision').dataset.kind = http.status < 300 ? 'done' : http.status < 500 ? 'rejected' : 'failed';
  byId('status').replaceChildren(element('strong', '', String(http.status)), ` ${http.reason}`);
  byId('outcome').textContent = outcome;
  byId('title').textContent = title;
  showSteps(decidingStep(rule.step, calls), http.status < 300);
  byId('trail').replaceChildren(...calls.map((call) => element('li', '', ...describe(call))));

  byId('rule-name').textContent = name;
  byId('rule-text').textContent = rule.text;
  byId('rule-section').textContent = rule.section;
  byId('calls').replaceChildren(...listItems(calls));
  showHttp(situation, http, failure);
  return `${http.status} ${http.reason}. ${outcome}. ${title}.`;
}

/** Shows that there is no decision, because the situation is not complete. */
export function showNoDecision() {
  byId('decision').dataset.kind = 'none';
  byId('status').replaceChildren(element('strong', '', 'No decision'));
  byId('outcome').textContent = '';
  byId('title').textContent = 'Correct the marked field.';
  for (const id of ['steps', 'trail', 'calls', 'rule-name', 'rule-text', 'rule-section', 'request', 'response']) {
    byId(id).replaceChildren();
  }
}

/** Returns the rule that decided, as the audit event of the server names it. */
export function ruleName(answer, calls) {
  if (answer !== 'deleted') return answer.rule;
  const deletes = calls.find(({ result }) => result === 'deleted');
  return deletes.name === 'storage.delete-if-owned-by' ? 'deleted-as-owner' : 'deleted-unconfined';
}

/** Returns the name of the guard that denied the deletion, if one did. */
function denier(calls) {
  const denied = calls.find(({ error }) => error?.kind === 'denied');
  if (!denied || denied.calls.length === 0) return undefined;
  // A guard passes a denial on; the innermost one that returned it denied.
  return (
    denier(denied.calls) ??
    (denied.calls.some(({ error }) => error?.kind === 'denied') ? undefined : denied.calls[0].by)
  );
}

function recordOutcome(situation, deleted) {
  if (deleted) return 'deleted';
  if (deleted === null) return 'unknown';
  return situation.record === 'absent' || situation.databases === 'no-database' ? 'none' : 'kept';
}

/** Returns the step that decided. `locate` checks the target only, so an error of it belongs to that step. */
function decidingStep(step, calls) {
  return calls.some(({ name, error }) => name === 'storage.locate' && error) ? STEPS.indexOf('Target') : step;
}

function showSteps(deciding, isDeletion) {
  const items = STEPS.map((name, index) => {
    const [state, meaning] =
      index < deciding || isDeletion
        ? ['passed', 'passed']
        : index === deciding
          ? ['decided', 'decided here']
          : ['', 'not reached'];
    return element('li', state, name, element('span', 'hidden-text', `: ${meaning}`));
  });
  byId('steps').replaceChildren(...items);
}

function listItems(calls) {
  return calls.map((call) => {
    const item = element('li', call.error ? 'failed' : '', element('p', '', ...describe(call)));
    if (call.calls.length) {
      const nested = element('ol', '', ...listItems(call.calls));
      nested.setAttribute('aria-label', `Calls of the guard ${call.calls[0].by}`);
      item.append(element('p', 'guard', `guard ${call.calls[0].by}`), nested);
    }
    return item;
  });
}

function describe(call) {
  const argument = call.argument === undefined ? '()' : `(${JSON.stringify(call.argument)})`;
  return [
    element('code', 'function', call.name, element('span', 'argument', argument)),
    element('span', 'arrow', ' → '),
    element('span', `result ${tone(call)}`, describeResult(call)),
  ];
}

function tone({ result, error }) {
  if (error) return error.kind === 'denied' ? 'rejected' : 'failed';
  if (result === 'deleted') return 'done';
  return ['absent', 'unowned', 'owned-by-another', 'changed'].includes(result) ? 'rejected' : '';
}

function describeResult({ name, result, error }) {
  if (error) return error.kind === 'denied' ? `denied: ${error.message}` : `error ${error.kind}`;
  switch (name) {
    case 'identity.current':
      return `${result.credential}, ${named('subject', result.subject)}`;
    case 'storage.locate':
      return `${result.database}.${result.table}`;
    case 'storage.find': {
      const { learning } = result;
      if (!learning) return 'no record';
      const created = new Date(Number(learning.createdAt) * 1000).toISOString().slice(0, 10);
      const metadata = learning.metadata === undefined ? '' : `, metadata ${learning.metadata}`;
      return `${named('owner', learning.userId)}, created ${created}${metadata}`;
    }
    case 'settings.get':
      return result === undefined ? 'not set' : result;
    case 'clock.now':
      return new Date(Number(result / 1_000_000n)).toISOString().replace('.000', '');
    default:
      return result;
  }
}

function named(what, value) {
  return value === undefined ? `no ${what}` : `${what} ${JSON.stringify(value)}`;
}

function showHttp(situation, { status, reason, headers, body }, failure) {
  const header = ([name, value]) => [element('span', 'header', `${name}:`), ` ${value}\n`];
  const authorization =
    situation.identity === 'missing' || situation.credential === 'none' ? [] : [['authorization', 'Bearer …']];
  byId('request').replaceChildren(
    element('strong', '', `DELETE ${requestTarget(situation)}`),
    ' HTTP/1.1\n',
    ...authorization.flatMap(header),
  );
  byId('response').replaceChildren(
    'HTTP/1.1 ',
    element('strong', '', `${status} ${reason}`),
    '\n',
    ...headers.flatMap(header),
    ...(body ? ['\n', body] : []),
    ...(failure ? [element('span', 'log', `\n\nfor the log: ${failure.message}`)] : []),
  );
}
