// Starts a PostgreSQL of its own for tests, from the programs of Debian. PostgreSQL refuses to run as root.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the URL of a database and a function that stops it; undefined if PostgreSQL is not installed. */
export function startPostgres() {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort() : [];
  if (versions.length === 0) return undefined;
  const bin = `/usr/lib/postgresql/${versions.at(-1)}/bin`;
  const directory = mkdtempSync('/tmp/delete-learning-postgres-');
  const isRoot = process.getuid() === 0;
  if (isRoot) spawnSync('chown', ['postgres', directory]);
  chmodSync(directory, 0o700);
  const run = (program, ...values) => {
    const command = isRoot ? ['runuser', '-u', 'postgres', '--', join(bin, program)] : [join(bin, program)];
    // The server keeps the standard output of the program that starts it.
    const { status, stderr } = spawnSync(command[0], [...command.slice(1), ...values], {
      cwd: directory,
      stdio: ['ignore', 'ignore', program === 'pg_ctl' ? 'ignore' : 'pipe'],
    });
    if (status !== 0) throw new Error(`${program} failed: ${stderr}`);
  };
  const data = join(directory, 'data');
  run('initdb', '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync');
  run('pg_ctl', '-D', data, '-w', '-l', join(directory, 'log'), '-o', `-c listen_addresses= -k ${directory}`, 'start');
  return {
    url: `postgres://postgres@/postgres?host=${encodeURIComponent(directory)}`,
    stop() {
      run('pg_ctl', '-D', data, '-m', 'immediate', 'stop');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
