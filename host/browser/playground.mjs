// Keeps form, address, presets and decision in step.
import { runCases, showResults } from './conformance.mjs';
import { decide } from './decide.mjs';
import { showDecision, showNoDecision } from './decision.mjs';
import { byId, element } from './dom.mjs';
import { fillForm, setUpForm, showProblems } from './form.mjs';
import { httpAnswer } from './http.mjs';
import { GROUPS, PRESETS } from './presets.mjs';
import { equal, fromFragment, INITIAL, problems, toFragment } from './situation.mjs';

/** Milliseconds without a change after which a decision is announced to screen readers. */
const ANNOUNCEMENT_DELAY = 500;

let latest = 0;
let announcement;

/** Decides on a situation and shows the decision. */
async function update(situation) {
  const number = ++latest;
  const wrong = problems(situation);
  showProblems(wrong);
  showActivePreset(situation);
  if (Object.keys(wrong).length) {
    showNoDecision();
    announce(
      Object.entries(wrong)
        .map(([name, problem]) => `${name} ${problem}`)
        .join(', '),
    );
    return;
  }
  const decision = await decide(situation);
  // Another change came first.
  if (number === latest) announce(showDecision(situation, decision));
}

/** Updates the address, without an entry in the history for every key. */
function remember(situation) {
  if (Object.keys(problems(situation)).length) return;
  const fragment = toFragment(situation);
  history.replaceState(null, '', fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Shows a situation that does not come from the form. */
function show(situation) {
  fillForm(situation);
  return update(situation);
}

/** Opens the situation in the address. A link with a mistake is refused as a whole. */
function openLink() {
  let situation = INITIAL;
  let mistake;
  try {
    situation = fromFragment(location.hash.slice(1));
  } catch (error) {
    mistake = `${error.message}. The page shows the initial situation instead.`;
  }
  const refusal = () => element('p', 'notice', element('strong', '', 'This link cannot be opened. '), mistake);
  byId('notice').replaceChildren(...(mistake ? [refusal()] : []));
  return show(situation);
}

function announce(sentence) {
  clearTimeout(announcement);
  announcement = setTimeout(() => (byId('announcement').textContent = sentence), ANNOUNCEMENT_DELAY);
}

function setUpPresets() {
  const list = byId('preset-list');
  for (const { title, presets } of GROUPS) {
    const choices = presets.map(({ name }) => {
      const radio = element('input');
      Object.assign(radio, { type: 'radio', name: 'preset', value: name });
      return element('label', '', radio, element('span', '', name));
    });
    list.append(element('fieldset', '', element('legend', '', title), ...choices));
  }
  list.addEventListener('input', () => {
    const { situation } = PRESETS.find(({ name }) => name === list.elements.preset.value);
    byId('notice').replaceChildren();
    remember(situation);
    show(situation);
  });
  list.addEventListener('submit', (event) => event.preventDefault());

  // Beside the form where there is room, otherwise closed above it.
  const isWide = matchMedia('(min-width: 72rem)');
  const layOut = () => (byId('presets').open = isWide.matches);
  isWide.addEventListener('change', layOut);
  layOut();
}

/** Shows the status of the answer beside each preset. */
async function addStatuses() {
  for (const radio of byId('preset-list').elements.preset) {
    const { situation } = PRESETS.find(({ name }) => name === radio.value);
    const { answer } = await decide(situation);
    const { status } = httpAnswer(answer, true);
    radio.parentElement.append(element('span', `badge kind-${Math.floor(status / 100)}`, String(status)));
  }
}

function showActivePreset(situation) {
  const active = PRESETS.find((preset) => equal(preset.situation, situation));
  byId('preset-name').textContent = active?.name ?? 'Custom situation';
  for (const radio of byId('preset-list').elements.preset) radio.checked = radio.value === active?.name;
}

/** Moves to the details, which are below the situation on a phone. */
function showDetails() {
  byId('details').focus({ preventScroll: true });
  byId('details').scrollIntoView();
}

async function copyLink() {
  const shown = byId('copied');
  try {
    await navigator.clipboard.writeText(location.href);
    shown.textContent = 'Copied';
  } catch {
    shown.textContent = 'Copy the address of this page';
  }
  setTimeout(() => (shown.textContent = ''), 4000);
}

setUpForm((situation) => {
  byId('notice').replaceChildren();
  remember(situation);
  update(situation);
});
setUpPresets();
await openLink();
addEventListener('hashchange', openLink);
byId('copy').addEventListener('click', copyLink);
byId('to-details').addEventListener('click', showDetails);
byId('run-all').addEventListener('click', async () => showResults(await runCases()));
await addStatuses();
document.documentElement.dataset.ready = 'yes';
