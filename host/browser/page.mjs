// The page: a form that describes a situation, and what the policy makes of it.
import { passes, run } from './host/cases.mjs';
import { Failure, Policy } from './host/host.mjs';
import { storageOf } from './host/memory.mjs';

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

/** The situation that the page opens with; each preset says what is different. */
const FIRST = {
  identity: '',
  credential: 'jwt',
  subject: 'alice',
  scopes: 'learnings:delete',
  'enforce-scopes': true,
  'user-isolation': true,
  'admin-scope': 'agent_os:admin',
  databases: 'one',
  fault: '',
  'learning-id': 'user_profile_alice@example.com',
  'db-id': '',
  table: '',
  repeated: false,
  record: 'alice',
};
const PRESETS = {
  'Her own record': {},
  'Another’s record': { record: 'bob' },
  'A shared record': { record: 'shared' },
  'A shared record, by an admin': { subject: 'root', scopes: 'agent_os:admin', record: 'shared' },
  'No scope': { scopes: 'learnings:read' },
  'No credential': { identity: 'missing' },
  'A token without subject': { subject: '' },
  'Isolation off, another’s record': { 'user-isolation': false, record: 'bob' },
  'A service account': { credential: 'service-account', subject: 'sa:cleaner', 'user-isolation': false },
  'The security key': { credential: 'security-key', subject: '', scopes: '', record: 'bob' },
  'Which database?': { databases: 'two' },
  'A table without its database': { table: 'agno_learnings' },
  'The database is busy': { fault: 'unavailable' },
};

const form = document.querySelector('#situation');
const $ = (id) => document.getElementById(id);
const policy = await Policy.load();

for (const [name, change] of Object.entries(PRESETS)) {
  const button = element('button', name);
  button.type = 'button';
  button.addEventListener('click', () => fill({ ...FIRST, ...change }));
  $('presets').append(button);
}
form.addEventListener('input', show);
form.addEventListener('submit', (event) => event.preventDefault());
fill(FIRST);

$('run-all').addEventListener('click', runAll);
if (new URLSearchParams(location.search).has('conformance')) runAll();

function fill(situation) {
  for (const [name, value] of Object.entries(situation)) {
    const control = form.elements[name];
    if (control.type === 'checkbox') control.checked = value;
    else control.value = value;
  }
  show();
}

/** Shows what is decided on the situation in the form. */
function show() {
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
      if (kind) throw new Failure({ kind, credential, message: 'chosen on the page' });
      return {
        credential,
        subject: value('subject') || undefined,
        scopes: value('scopes').split(' ').filter(Boolean),
        enforceScopes: checked('enforce-scopes'),
        userIsolation: checked('user-isolation'),
        adminScope: value('admin-scope'),
      };
    },
  };
  const named = { ...request, isValid: true, isRepeated: repeated };
  const storage = told(faulty(storageOf(databases, named), value('fault')), calls);

  const answer = policy.decide(request, identity, storage);
  const { status, code, detail, rule } = answer === 'deleted' ? { status: 204 } : answer;
  $('request').firstChild.textContent = requestLine(request, repeated);
  $('status').textContent = `${status} ${REASONS[status]}`;
  $('decision').dataset.kind = status < 300 ? 'done' : status < 500 ? 'refused' : 'failed';
  $('detail').textContent = detail ?? '';
  $('code').textContent = code ? code.toUpperCase().replaceAll('-', '_') : '—';
  $('rule').textContent = rule ?? '—';
  $('fate').textContent = fate(record.length > 0, answer);
  $('calls').replaceChildren(
    ...calls.map(({ name, argument, answer }) => {
      const item = element('li', '');
      const call = argument === undefined ? name : `${name} ${JSON.stringify(argument)}`;
      item.append(element('code', call), ` → ${answer}`);
      return item;
    }),
  );
}

function fate(wasThere, answer) {
  if (answer.rule === 'outcome-unknown') return 'may be gone, or not';
  if (!wasThere) return 'was not there';
  return answer === 'deleted' ? 'is deleted' : 'stands';
}

/** A storage of which deletes fail. */
function faulty(storage, kind) {
  if (!kind) return storage;
  const fail = () => {
    throw new Failure({ kind, message: 'chosen on the page' });
  };
  return { ...storage, delete: fail, deleteIfOwnedBy: fail, deleteIfUnchanged: fail };
}

/** A storage that tells which calls it got, and how each ended. */
function told(storage, calls) {
  const telling = (name, act) => (argument) => {
    const call = { name: `storage.${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, argument };
    calls.push(call);
    try {
      const answer = act(argument);
      call.answer = typeof answer === 'string' ? answer : 'found';
      return answer;
    } catch (failure) {
      call.answer = failure.payload.kind;
      throw failure;
    }
  };
  return Object.fromEntries(Object.entries(storage).map(([name, act]) => [name, telling(name, act)]));
}

function requestLine({ learningId, dbId, table }, repeated) {
  const query = new URLSearchParams();
  if (dbId) query.append('db_id', dbId);
  if (repeated) query.append('db_id', dbId);
  if (table) query.append('table', table);
  return `DELETE /learnings/${encodeURIComponent(learningId)}${query.size ? `?${query}` : ''}`;
}

/** Runs every conformance case; `conformanceResults` on the window is what each came to, for a test to read. */
async function runAll() {
  const cases = await (await fetch('host/cases.json')).json();
  const all = cases.map((test) => {
    const got = run(policy, test);
    return { test, got, passed: passes(test, got) };
  });
  const failed = all.filter(({ passed }) => !passed).length;
  $('summary').textContent = `${cases.length - failed} passed, ${failed} failed`;
  $('results').hidden = false;
  // The failed first: they are what one looks for.
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
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
