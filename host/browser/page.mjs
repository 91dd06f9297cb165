// Starts the playground, and reports if it cannot be started: an engine without WebAssembly, or a file that is missing.
import { byId, element } from './dom.mjs';

try {
  await import('./playground.mjs');
} catch (error) {
  const advice = 'Load the page again. If you serve it yourself, run `npm run build` first.';
  const reason = `${error.message}. ${advice}`;
  byId('notice').replaceChildren(
    element('p', 'notice', element('strong', '', 'The policy cannot be loaded. '), reason),
  );
  byId('status').textContent = 'No decision';
}
