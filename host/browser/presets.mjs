// The situations that the page offers, in the order of the rules. Each changes some fields of the initial situation.
import { INITIAL } from './situation.mjs';

const preset = (name, change) => ({ name, situation: { ...INITIAL, ...change } });
const ADMIN = { subject: 'root', scopes: 'agent_os:admin' };
const BOBS = { owner: 'bob', 'learning-id': 'user_profile_bob' };
const SHARED = { record: 'shared', 'learning-id': 'entity_global_person_ada' };

export const GROUPS = [
  {
    title: 'Ownership',
    presets: [
      preset('Own record', {}),
      preset('Another owner', BOBS),
      preset('Absent record', { record: 'absent' }),
      preset('Shared record', SHARED),
      preset('Shared, by an admin', { ...ADMIN, ...SHARED }),
    ],
  },
  {
    title: 'Caller',
    presets: [
      preset('No credential', { identity: 'missing' }),
      preset('Expired token', { identity: 'expired' }),
      preset('Too many attempts', { identity: 'rate-limited' }),
      preset('No scope', { scopes: 'learnings:read' }),
      preset('No subject', { subject: '' }),
      preset('Service account', { credential: 'service-account', subject: 'sa:cleaner', 'all-owners': 'yes' }),
      preset('Security key', { credential: 'security-key', subject: '', scopes: '', ...BOBS }),
    ],
  },
  {
    title: 'Target',
    presets: [
      preset('Ambiguous database', { databases: 'main-and-archive' }),
      preset('Unknown database', { 'db-id': 'archive' }),
      preset('Unknown table', { databases: 'main-and-archive', 'db-id': 'archive', table: 'agno_sessions' }),
      preset('Repeated parameter', { 'db-id': 'main', repeated: 'yes' }),
    ],
  },
  {
    title: 'Guards',
    presets: [
      preset('Record on legal hold', { 'legal-hold': 'yes', metadata: 'held' }),
      preset('Held user, by an admin', { 'legal-hold': 'yes', 'held-users': 'alice', ...ADMIN }),
      preset('Record too young', { retention: 'yes', created: '2026-01-01' }),
      preset('Passes both guards', { 'legal-hold': 'yes', retention: 'yes' }),
      preset('Hidden hold', { 'legal-hold': 'yes', metadata: 'held', ...BOBS }),
    ],
  },
  {
    title: 'Failure',
    presets: [
      preset('Database unavailable', { 'fault-delete-if-owned-by': 'unavailable' }),
      preset('Outcome unknown', { 'fault-delete-if-owned-by': 'outcome-unknown' }),
      preset('Record keeps changing', { 'legal-hold': 'yes', 'fault-delete-if-unchanged': 'changed' }),
    ],
  },
];

/** All presets. */
export const PRESETS = GROUPS.flatMap(({ presets }) => presets);
