// Serves the page and opens it in one browser for all tests: Debian's chromium, or the one that CHROMIUM names.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};
const directory = new URL('../', import.meta.url);

/**
 * Starts the server and the browser. Returns `{ page, origin, open, change, complaints, close }`: `open` loads the page
 * with a fragment and waits until it shows a decision; `change` does the same without loading the page again, which is
 * faster; `complaints` collects what no test can cause: messages of the console, exceptions, violations of the
 * Content-Security-Policy, and requests to other hosts.
 */
export async function start() {
  const server = createServer(async ({ url }, response) => {
    // A path cannot leave the directory, because `URL` resolves `..`.
    const { pathname } = new URL(url, 'http://localhost');
    const name = pathname === '/' ? 'index.html' : pathname.slice(1);
    const content = await readFile(new URL(`./${name}`, directory)).catch(() => undefined);
    response.writeHead(content ? 200 : 404, { 'content-type': TYPES[extname(name)] ?? 'text/plain' }).end(content);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;

  const profile = await mkdtemp(join(tmpdir(), 'delete-learning-browser-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    viewport: { width: 1280, height: 800 },
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const page = await browser.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) complaints.push(`request: ${request.url()}`);
  });
  await page.exposeFunction('complain', (complaint) => complaints.push(complaint));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
      window.complain(`Content-Security-Policy: ${violatedDirective} ${blockedURI} ${sample}`),
    );
  });

  return {
    page,
    origin,
    complaints,
    async open(fragment = '') {
      // Without this, a new fragment would not load the page again.
      await page.goto('about:blank');
      await page.goto(`${origin}/${fragment && `#${fragment}`}`);
      await page.waitForFunction(() => document.documentElement.dataset.ready);
    },
    async change(fragment) {
      await page.evaluate(async (fragment) => {
        history.replaceState(null, '', `#${fragment}`);
        dispatchEvent(new HashChangeEvent('hashchange'));
        // The page decides in the tasks that follow.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }, fragment);
    },
    async close() {
      await browser.close();
      server.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Returns the control of the situation with this name. */
export const field = (page, name) => page.locator(`#situation [name="${name}"]`);

/** Waits until this rule is shown. */
export const decided = (page, rule) =>
  page.waitForFunction((rule) => document.getElementById('rule-name').textContent === rule, rule);

/** Returns the shown decision. */
export async function shown(page) {
  const read = (id) => page.locator(`#${id}`).innerText();
  const [status, outcome, title, rule, response] = await Promise.all(
    ['status', 'outcome', 'title', 'rule-name', 'response'].map(read),
  );
  const [head, body = ''] = response.split('\n\n');
  return { status, outcome, title, rule, head: head.trimEnd().split('\n'), body };
}
