// Tests the page in a real browser: `node test.mjs [--json] [--screenshot FILE]`, after `npm run build`.
// It uses Debian's chromium; CHROMIUM selects another one.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, screenshot: { type: 'string' } } });
const print = options.json ? console.error : console.log;

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
const directory = new URL('./', import.meta.url);
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
  viewport: { width: 1280, height: 900 },
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

let [passed, failed] = [0, 0];
async function check(name, act) {
  try {
    await act();
    passed += 1;
  } catch (error) {
    failed += 1;
    print(`${name}\n  ${error.message}`);
  }
}

try {
  const page = await browser.newPage();
  const [messages, external] = [[], []];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  page.on('request', (request) => {
    if (!/^(data:|http:\/\/127\.0\.0\.1:)/.test(request.url())) external.push(request.url());
  });
  await page.goto(origin);

  const clickButton = (name) => page.getByRole('button', { name, exact: true }).click();
  const assertDecision = async (status, rule, outcome) =>
    assert.deepEqual(await page.locator('#status, #rule, #outcome').allTextContents(), [status, rule, outcome]);

  await check('own record', async () => {
    await clickButton('Own record');
    await assertDecision('204 No Content', '—', 'deleted');
    assert.deepEqual(await page.locator('#calls li').allTextContents(), [
      'identity.current → jwt',
      'storage.delete-if-owned-by "alice" → deleted',
    ]);
  });
  await check('record of another owner, absent record', async () => {
    await page.getByLabel('belongs to Bob').check();
    await assertDecision('404 Not Found', 'learning-owned-by-another', 'not deleted');
    await page.getByLabel('does not exist').check();
    await assertDecision('404 Not Found', 'learning-absent', 'did not exist');
  });
  await check('shared record, by a user and by an admin', async () => {
    await page.getByLabel('has no owner').check();
    await assertDecision('403 Forbidden', 'learning-unowned', 'not deleted');
    await page.getByLabel('Scopes', { exact: true }).fill('agent_os:admin');
    await assertDecision('204 No Content', '—', 'deleted');
  });
  await check('no scope', async () => {
    await clickButton('No scope');
    await assertDecision('403 Forbidden', 'missing-scope', 'not deleted');
    await page.getByLabel('Tokens need no scope').check();
    await assertDecision('204 No Content', '—', 'deleted');
  });
  await check('no credential', async () => {
    await clickButton('No credential');
    await assertDecision('401 Unauthorized', 'identity-missing', 'not deleted');
  });
  await check('target', async () => {
    await clickButton('Ambiguous database');
    await assertDecision('400 Bad Request', 'database-required', 'not deleted');
    await page.getByLabel('db_id').fill('elsewhere');
    await assertDecision('404 Not Found', 'unknown-database', 'not deleted');
    await page.getByLabel('db_id').fill('main');
    await assertDecision('204 No Content', '—', 'deleted');
    await page.getByLabel('A parameter is repeated').check();
    await assertDecision('400 Bad Request', 'repeated-parameter', 'not deleted');
  });
  await check('connection lost during the delete', async () => {
    await clickButton('Own record');
    await page.getByLabel('Storage').selectOption('disconnects during the delete');
    await assertDecision('500 Internal Server Error', 'outcome-unknown', 'unknown');
  });
  print(`page: ${passed} passed, ${failed} failed`);

  await clickButton('Record of another owner');
  await clickButton('Run all conformance cases');
  await page.waitForFunction(() => window.conformanceResults);
  const results = await page.evaluate(() => window.conformanceResults);
  assert.ok(results.length > 0, 'no conformance cases');
  for (const { test, got, passed } of results) {
    if (options.json) console.log(JSON.stringify(got));
    const difference = `expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`;
    await check(test.name, () => assert.ok(passed, difference));
  }
  await check('table of conformance results', async () => {
    const failing = results.filter(({ passed }) => !passed).length;
    assert.equal(await page.locator('#summary').textContent(), `${results.length - failing} passed, ${failing} failed`);
    assert.equal(await page.locator('#results tbody tr').count(), results.length);
  });
  if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });

  await check('no warnings, no external requests', () => assert.deepEqual([messages, external], [[], []]));
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
print(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
