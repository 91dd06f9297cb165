import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLegalHold } from './legal-hold.js';

const HELD = '{"legal_hold": true}';
const DENIED = { kind: 'denied', message: 'This learning is under a legal hold' };

/** A record of `alice` in the session `s1`. */
function record(changes) {
  return { userId: 'alice', sessionId: 's1', metadata: null, revision: '1', ...changes };
}

/**
 * A storage with one record, and the guard in front of it.
 *
 * @param options.changes - how often the record changes before a delete
 * @param options.errors - errors that functions throw, by name
 */
function setUp(learning, { settings = {}, changes = 0, errors = {} } = {}) {
  const calls = [];
  const call = (name) => {
    calls.push(name);
    if (errors[name]) throw errors[name];
  };
  const storage = {
    locate() {
      call('locate');
      return { database: 'main', table: 'learnings' };
    },
    find() {
      call('find');
      return { learning };
    },
    deleteIfUnchanged(revision) {
      call('deleteIfUnchanged');
      if (!learning) return 'absent';
      if (changes-- > 0) learning = { ...learning, revision: `${learning.revision}+` };
      if (learning.revision !== revision) return 'changed';
      learning = null;
      return 'deleted';
    },
  };
  const guard = createLegalHold(storage, (key) => settings[key] ?? null);
  return { guard, calls, remains: () => learning !== null };
}

function assertDenied(learning, settings) {
  const { guard, remains } = setUp(learning, { settings });
  assert.throws(() => guard.delete(), DENIED);
  assert.ok(remains());
}

function assertDeleted(learning, settings) {
  const { guard, calls, remains } = setUp(learning, { settings });
  assert.equal(guard.delete(), 'deleted');
  assert.deepEqual(calls, ['find', 'deleteIfUnchanged']);
  assert.ok(!remains());
}

test('record_without_hold_is_deleted', () => {
  assertDeleted(record());
  assertDeleted(record({ userId: null, sessionId: null }));
  assertDeleted(record({ userId: undefined, sessionId: undefined, metadata: undefined }));
  for (const metadata of [
    'null',
    '{}',
    '{"legal_hold": false}',
    '{"legal_hold": null}',
    '{"a": {"legal_hold": true}}',
    '{"__proto__": {"legal_hold": true}}',
  ]) {
    assertDeleted(record({ metadata }));
  }
  assertDeleted(record(), { held_users: '["bob"]', held_sessions: '[]' });
});

test('held_record_is_denied', () => {
  for (const metadata of [HELD, '{"legal_hold": "true"}', '{"legal_hold": 0}']) assertDenied(record({ metadata }));
  assertDenied(record(), { held_users: '["bob", "alice"]' });
  assertDenied(record(), { held_sessions: '["s1"]' });
  assertDenied(record({ userId: '' }), { held_users: '[""]' });
});

test('unreadable_metadata_is_denied', () => {
  for (const metadata of ['', '{', '[]', '"legal_hold"', 'true', '1', '{"a": NaN}', '[{"legal_hold": true}]']) {
    assertDenied(record({ metadata }));
  }
});

test('unreadable_setting_is_denied', () => {
  for (const value of ['', 'alice', '"alice"', 'null', '{}', '[1]', '["a", null]']) {
    assertDenied(record(), { held_users: value });
    assertDenied(record({ sessionId: null }), { held_sessions: value });
  }
});

test('setting_that_cannot_be_read_is_denied', () => {
  const guard = createLegalHold({ find: () => ({ learning: record() }) }, () => {
    throw { payload: { tag: 'io', val: 'no such file' } };
  });
  assert.throws(() => guard.delete(), DENIED);
});

test('missing_record_is_absent', () => {
  const { guard, calls } = setUp(null);
  assert.equal(guard.delete(), 'absent');
  assert.equal(guard.deleteIfOwnedBy('alice'), 'absent');
  assert.equal(guard.deleteIfUnchanged('1'), 'absent');
  assert.deepEqual(calls, ['find', 'find', 'find']);
});

test('held_record_that_would_not_be_deleted_is_not_denied', () => {
  assert.equal(setUp(record({ userId: null, metadata: HELD })).guard.deleteIfOwnedBy('alice'), 'unowned');
  assert.equal(setUp(record({ metadata: HELD })).guard.deleteIfOwnedBy('bob'), 'owned-by-another');
  assert.equal(setUp(record({ metadata: HELD })).guard.deleteIfUnchanged('2'), 'changed');
});

test('condition_that_is_met_deletes', () => {
  assert.equal(setUp(record()).guard.deleteIfOwnedBy('alice'), 'deleted');
  assert.equal(setUp(record({ userId: '' })).guard.deleteIfOwnedBy(''), 'deleted');
  assert.equal(setUp(record()).guard.deleteIfUnchanged('1'), 'deleted');
});

test('owners_are_compared_byte_by_byte', () => {
  // Twice the same character for a reader: one code point, and a letter with a combining one.
  assert.equal(setUp(record({ userId: '\u00e9' })).guard.deleteIfOwnedBy('e\u0301'), 'owned-by-another');
  assert.equal(setUp(record({ userId: 'a\0b' })).guard.deleteIfOwnedBy('a\0c'), 'owned-by-another');
  assert.equal(setUp(record({ userId: '🦀' })).guard.deleteIfOwnedBy('🦀'), 'deleted');
});

test('unpaired_surrogate_in_a_setting_holds_nobody', () => {
  assertDeleted(record({ userId: '\ufffd' }), { held_users: '["\\ud83e"]' });
});

test('changed_record_is_read_again_three_times', () => {
  const { guard, calls } = setUp(record(), { changes: 3 });
  assert.equal(guard.delete(), 'deleted');
  assert.equal(calls.length, 8);
});

test('record_that_keeps_changing_is_unavailable', () => {
  const { guard, calls, remains } = setUp(record(), { changes: 4 });
  assert.throws(() => guard.delete(), { kind: 'unavailable' });
  assert.equal(calls.length, 8);
  assert.ok(remains());
});

test('record_that_changes_under_its_condition_is_changed', () => {
  assert.equal(setUp(record(), { changes: 1 }).guard.deleteIfUnchanged('1'), 'changed');
});

test('error_of_the_storage_is_thrown_as_it_is', () => {
  const error = new Error('outcome-unknown', { cause: 'the connection was lost' });
  for (const [name, functions] of [
    ['locate', ['locate']],
    ['find', ['find', 'delete', 'deleteIfOwnedBy', 'deleteIfUnchanged']],
    ['deleteIfUnchanged', ['delete']],
  ]) {
    for (const each of functions) {
      const { guard } = setUp(record(), { errors: { [name]: error } });
      assert.throws(
        () => guard[each]('1'),
        (thrown) => thrown === error,
      );
    }
  }
});

test('locate_and_find_are_forwarded', () => {
  const { guard } = setUp(record({ metadata: HELD }));
  assert.deepEqual(guard.locate(), { database: 'main', table: 'learnings' });
  assert.deepEqual(guard.find(), { learning: record({ metadata: HELD }) });
});
