import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertCorrect, checkStorage } from 'delete-learning/testkit';
import { startPostgres } from './postgres.mjs';

const check = (name) => checkStorage(new URL(`storages/${name}.mjs`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'delete-learning-'));
process.env.DATABASE = join(directory, 'test.db');
const postgres = startPostgres();
process.env.DATABASE_URL = postgres?.url;
after(() => {
  postgres?.stop();
  rmSync(directory, { recursive: true });
});

const hasSqlite = await import('node:sqlite').then(
  () => true,
  () => false,
);
const databases = {
  sqlite: { skip: !hasSqlite && 'this version of Node has no node:sqlite' },
  postgres: { skip: !postgres && 'PostgreSQL is not installed' },
};

for (const [name, options] of Object.entries(databases)) {
  test(`a correct storage on ${name} passes`, options, async () => {
    const report = await check(name);
    assertCorrect(report);
    assert.ok(report.checks > 500, `${report.checks} checks`);
  });

  test(`a racy storage on ${name} fails`, options, async () => {
    const { problems } = await check(`${name}-racy`);
    const found = problems.map(({ message, guarantee }) => `${message} ${guarantee}`).join('\n');
    assert.match(
      found,
      /deleteIfOwnedBy, while userId was changed, returned 'deleted', and the changed record is gone/,
    );
    assert.match(found, /A delete checks its condition and deletes in one atomic step/);
    // Each round of a change that is held open must find it, so that no run passes by chance.
    assert.ok(
      problems.every(({ message, times }) => !/is gone$/.test(message) || times >= 5),
      found,
    );
  });
}

test('a storage that ignores case and columns fails', databases.sqlite, async () => {
  const { problems } = await check('sqlite-nocase');
  const found = problems.map(({ message, guarantee }) => `${message} ${guarantee}`).join('\n');
  assert.match(found, /a record of "alice", for "Alice",.*returned 'deleted'.*compared byte by byte/);
  assert.match(found, /the revision did not change when metadata was changed/);
  assert.doesNotMatch(found, /when content was changed/);
});
