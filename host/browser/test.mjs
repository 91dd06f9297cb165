// Drives the page in a real browser, as a person would: `node test.mjs [--json] [--screenshot FILE]`, after
// `npm run build`. The browser is Debian's; CHROMIUM names another.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, screenshot: { type: 'string' } } });
const say = options.json ? console.error : console.log;

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
const folder = new URL('./', import.meta.url);
const server = createServer(async ({ url }, response) => {
  // A URL's path cannot leave the folder: `URL` has resolved its dots.
  const { pathname } = new URL(url, 'http://localhost');
  const name = pathname === '/' ? 'index.html' : pathname.slice(1);
  const content = await readFile(new URL(`./${name}`, folder)).catch(() => undefined);
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
    say(`${name}\n  ${error.message}`);
  }
}

try {
  const page = await browser.newPage();
  const [complaints, foreign] = [[], []];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => /^(data:|http:\/\/127\.0\.0\.1:)/.test(request.url()) || foreign.push(request.url()));
  await page.goto(origin);

  const choose = (name) => page.getByRole('button', { name, exact: true }).click();
  const shows = async (status, rule, fate) =>
    assert.deepEqual(await page.locator('#status, #rule, #fate').allTextContents(), [status, rule, fate]);

  await check('her own record', async () => {
    await choose('Her own record');
    await shows('204 No Content', '—', 'is deleted');
    assert.deepEqual(await page.locator('#calls li').allTextContents(), [
      'identity.current → jwt',
      'storage.delete-if-owned-by "alice" → deleted',
    ]);
  });
  await check('the record of another, and none', async () => {
    await page.getByLabel('is Bob’s').check();
    await shows('404 Not Found', 'learning-owned-by-another', 'stands');
    await page.getByLabel('is not there').check();
    await shows('404 Not Found', 'learning-absent', 'was not there');
  });
  await check('a shared record, and an admin', async () => {
    await page.getByLabel('has no owner').check();
    await shows('403 Forbidden', 'learning-unowned', 'stands');
    await page.getByLabel('Scopes', { exact: true }).fill('agent_os:admin');
    await shows('204 No Content', '—', 'is deleted');
  });
  await check('no scope', async () => {
    await choose('No scope');
    await shows('403 Forbidden', 'missing-scope', 'stands');
    await page.getByLabel('Scopes are enforced').uncheck();
    await shows('204 No Content', '—', 'is deleted');
  });
  await check('no credential', async () => {
    await choose('No credential');
    await shows('401 Unauthorized', 'identity-missing', 'stands');
  });
  await check('the target', async () => {
    await choose('Which database?');
    await shows('400 Bad Request', 'database-required', 'stands');
    await page.getByLabel('db_id').fill('elsewhere');
    await shows('404 Not Found', 'unknown-database', 'stands');
    await page.getByLabel('db_id').fill('main');
    await shows('204 No Content', '—', 'is deleted');
    await page.getByLabel('A parameter is given twice').check();
    await shows('400 Bad Request', 'repeated-parameter', 'stands');
  });
  await check('a delete that breaks off', async () => {
    await choose('Her own record');
    await page.getByLabel('Storage').selectOption('breaks off during the delete');
    await shows('500 Internal Server Error', 'outcome-unknown', 'may be gone, or not');
  });
  say(`by hand: ${passed} passed, ${failed} failed`);

  await choose('Another’s record');
  await choose('Run all conformance cases');
  await page.waitForFunction(() => window.conformanceResults);
  const results = await page.evaluate(() => window.conformanceResults);
  assert.ok(results.length > 0, 'there are no conformance cases');
  for (const { test, got, passed } of results) {
    if (options.json) console.log(JSON.stringify(got));
    const differs = `expected ${JSON.stringify(test.expect)}\n  got      ${JSON.stringify(got)}`;
    await check(test.name, () => assert.ok(passed, differs));
  }
  await check('what the page shows', async () => {
    const bad = results.filter(({ passed }) => !passed).length;
    assert.equal(await page.locator('#summary').textContent(), `${results.length - bad} passed, ${bad} failed`);
    assert.equal(await page.locator('#results tbody tr').count(), results.length);
  });
  if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });

  await check('no complaint, and no network', () => assert.deepEqual([complaints, foreign], [[], []]));
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
