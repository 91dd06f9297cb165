// The page: a form that describes a scenario, and the decision of the policy on it.
import { passes, run } from './host/cases.mjs';
import { ContractError, Policy } from './host/host.mjs';
import { storageForRequest } from './host/memory.mjs';

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

/** The initial scenario. Each preset changes some of its values. */
const DEFAULT_SCENARIO = {
  identity: '',
  credential: 'jwt',
  subject: 'alice',
  scopes: 'learnings:delete',
  'scopes-optional': false,
  'all-owners': false,
  'admin-scope': 'agent_os:admin',
  databases: 'one',
  'storage-error': '',
  'learning-id': 'user_profile_alice@example.com',
  'db-id': '',
  table: '',
  repeated: false,
  record: 'alice',
};
const PRESETS = {
  'Own record': {},
  'Record of another owner': { record: 'bob' },
  'Shared record': { record: 'shared' },
  'Shared record, by an admin': { subject: 'root', scopes: 'agent_os:admin', record: 'shared' },
  'No scope': { scopes: 'learnings:read' },
  'No credential': { identity: 'missing' },
  'Token without a subject': { subject: '' },
  'No user isolation': { 'all-owners': true, record: 'bob' },
  'Service account': { credential: 'service-account', subject: 'sa:cleaner', 'all-owners': true },
  'Security key': { credential: 'security-key', subject: '', scopes: '', record: 'bob' },
  'Ambiguous database': { databases: 'two' },
  'Table without a database': { table: 'agno_learnings' },
  'Database unavailable': { 'storage-error': 'unavailable' },
};

const form = document.querySelector('#scenario');
const $ = (id) => document.getElementById(id);
const policy = await Policy.load();

for (const [name, change] of Object.entries(PRESETS)) {
  const button = element('button', name);
  button.type = 'button';
  button.addEventListener('click', () => fill({ ...DEFAULT_SCENARIO, ...change }));
  $('presets').append(button);
}
form.addEventListener('input', update);
form.addEventListener('submit', (event) => event.preventDefault());
fill(DEFAULT_SCENARIO);

$('run-all').addEventListener('click', runAll);
if (new URLSearchParams(location.search).has('conformance')) runAll();

function fill(scenario) {
  for (const [name, value] of Object.entries(scenario)) {
    const control = form.elements[name];
    if (control.type === 'checkbox') control.checked = value;
    else control.value = value;
  }
  update();
}

/** Decides on the scenario in the form, and shows the decision. */
function update() {
  const value = (name) => form.elements[name].value;
  const checked = (name) => form.elements[name].checked;

  const repeated = checked('repeated');
  const request = {
    learningId: value('learning-id'),
    dbId: value('db-id') || (repeated ? 'main' : undefined),
    table: value('table') || undefined,
  };
  const owner = { alice: 'alice', bob: 'bob', shared: null }[value('record')];
  const record = value('record') === 'absent' ? [] : [[request.learningId, owner]];
  const databases = new Map([['main', new Map(record)]]);
  if (value('databases') === 'two') databases.set('archive', new Map());

  const calls = [];
  const identity = {
    current() {
      const kind = value('identity');
      const credential = value('credential');
      calls.push({ name: 'identity.current', answer: kind || credential });
      if (kind) throw new ContractError({ kind, credential, message: 'selected in the form' });
      return {
        credential,
        subject: value('subject') || undefined,
        scopes: value('scopes').split(' ').filter(Boolean),
        scopesOptional: checked('scopes-optional'),
        allOwners: checked('all-owners'),
        adminScope: value('admin-scope'),
      };
    },
  };
  const target = { ...request, isValid: true, isRepeated: repeated };
  const storage = recordCalls(failDeletes(storageForRequest(databases, target), value('storage-error')), calls);

  const answer = policy.decide(request, identity, storage);
  const { status, code, detail, rule } = answer === 'deleted' ? { status: 204 } : answer;
  $('request').firstChild.textContent = requestLine(request, repeated);
  $('status').textContent = `${status} ${REASONS[status]}`;
  $('decision').dataset.kind = status < 300 ? 'done' : status < 500 ? 'rejected' : 'failed';
  $('detail').textContent = detail ?? '';
  $('code').textContent = code ? code.toUpperCase().replaceAll('-', '_') : '—';
  $('rule').textContent = rule ?? '—';
  $('outcome').textContent = recordOutcome(record.length > 0, answer);
  $('calls').replaceChildren(
    ...calls.map(({ name, argument, answer }) => {
      const item = element('li', '');
      const call = argument === undefined ? name : `${name} ${JSON.stringify(argument)}`;
      item.append(element('code', call), ` → ${answer}`);
      return item;
    }),
  );
}

function recordOutcome(existed, answer) {
  if (answer.rule === 'outcome-unknown') return 'unknown';
  if (!existed) return 'did not exist';
  return answer === 'deleted' ? 'deleted' : 'not deleted';
}

/** Wraps a storage so that its deletes fail with an error of this kind, if there is one. */
function failDeletes(storage, kind) {
  if (!kind) return storage;
  const fail = () => {
    throw new ContractError({ kind, message: 'selected in the form' });
  };
  return { ...storage, delete: fail, deleteIfOwnedBy: fail, deleteIfUnchanged: fail };
}

/** Wraps a storage so that it appends each call and its result to `calls`. */
function recordCalls(storage, calls) {
  const wrap = (name, act) => (argument) => {
    const call = { name: `storage.${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, argument };
    calls.push(call);
    try {
      const answer = act(argument);
      call.answer = typeof answer === 'string' ? answer : 'found';
      return answer;
    } catch (error) {
      call.answer = error.payload.kind;
      throw error;
    }
  };
  return Object.fromEntries(Object.entries(storage).map(([name, act]) => [name, wrap(name, act)]));
}

function requestLine({ learningId, dbId, table }, repeated) {
  const query = new URLSearchParams();
  if (dbId) query.append('db_id', dbId);
  if (repeated) query.append('db_id', dbId);
  if (table) query.append('table', table);
  return `DELETE /learnings/${encodeURIComponent(learningId)}${query.size ? `?${query}` : ''}`;
}

/** Runs every conformance case. Stores the results in `window.conformanceResults`, where the test reads them. */
async function runAll() {
  const cases = await (await fetch('host/cases.json')).json();
  const all = cases.map((test) => {
    const got = run(policy, test);
    return { test, got, passed: passes(test, got) };
  });
  const failed = all.filter(({ passed }) => !passed).length;
  $('summary').textContent = `${cases.length - failed} passed, ${failed} failed`;
  $('results').hidden = false;
  // Failed cases first.
  const rows = [...all].sort((a, b) => a.passed - b.passed);
  $('results').querySelector('tbody').replaceChildren(
    ...rows.map(({ test, got, passed }) => {
      const row = element('tr', '');
      row.className = passed ? 'passed' : 'failed';
      const answer = got.answer === 'deleted' ? 'deleted' : `${got.answer.status} ${got.answer.rule}`;
      row.append(...[passed ? 'passed' : 'failed', test.name, answer, test.why].map((text) => element('td', text)));
      return row;
    }),
  );
  window.conformanceResults = all;
}

function element(name, text) {
  const created = document.createElement(name);
  created.textContent = text;
  return created;
}
