// The form: reads and shows a situation.
import { byId, element } from './dom.mjs';
import { FAULTS } from './situation.mjs';

const form = byId('situation');
const faults = Object.keys(FAULTS).map((name) => `fault-${name}`);

/** Adds the controls for faults, and calls `changed` with the situation whenever the user changes it. */
export function setUpForm(changed) {
  for (const [name, { errors, outcomes }] of Object.entries(FAULTS)) {
    const option = (value) => new Option(value, value);
    const group = (label, values) => {
      const created = element('optgroup', '', ...values.map(option));
      created.label = label;
      return created;
    };
    const groups = [group('error', errors), group('outcome, as after a race', outcomes)];
    const select = element('select', '', new Option('works', ''), ...groups.filter(({ children }) => children.length));
    select.name = `fault-${name}`;
    byId('fault-fields').append(element('label', '', element('code', '', name), select));
  }
  form.addEventListener('input', () => {
    showRelevant();
    changed(readForm());
  });
  form.addEventListener('submit', (event) => event.preventDefault());
}

/** Returns the situation in the form. */
export function readForm() {
  const situation = {};
  for (const control of form.elements) {
    if (!control.name) continue;
    if (control.type === 'radio') situation[control.name] = form.elements[control.name].value;
    else if (control.type === 'checkbox') situation[control.name] = control.checked ? control.value : '';
    else situation[control.name] = control.value;
  }
  return situation;
}

/** Shows a situation. */
export function fillForm(situation) {
  for (const [name, value] of Object.entries(situation)) {
    const control = form.elements[name];
    if (control.type === 'checkbox') control.checked = value === control.value;
    else control.value = value;
  }
  showRelevant();
  // A fault that nobody sees would make the decision inexplicable.
  if (faults.some((name) => situation[name])) byId('faults').open = true;
}

/** Shows what is wrong with the fields, each message below its control. */
export function showProblems(problems) {
  for (const shown of form.querySelectorAll('.problem')) shown.remove();
  for (const control of form.querySelectorAll('[aria-invalid]')) {
    control.removeAttribute('aria-invalid');
    control.removeAttribute('aria-describedby');
  }
  for (const [name, problem] of Object.entries(problems)) {
    const control = form.elements[name];
    const message = element('span', 'problem', problem);
    message.id = `problem-${name}`;
    control.setAttribute('aria-invalid', 'true');
    control.setAttribute('aria-describedby', message.id);
    control.after(message);
  }
}

/** Hides the controls that have no effect. They keep their values. */
function showRelevant() {
  const situation = readForm();
  for (const part of form.querySelectorAll('[data-when]')) {
    const [name, values] = part.dataset.when.split('=');
    part.hidden = !values.split(',').includes(situation[name]);
  }
  const count = faults.filter((name) => situation[name]).length;
  byId('fault-count').textContent = count ? `${count} active` : 'none';
  byId('faults').classList.toggle('active', count > 0);

  const days = Math.floor((Date.parse(`${situation.now}Z`) - Date.parse(situation.created)) / 86_400_000);
  byId('age').textContent = Number.isNaN(days) ? '' : `Age of the record: ${days} ${days === 1 ? 'day' : 'days'}`;
}
