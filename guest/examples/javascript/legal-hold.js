// The legal hold: a guard that retains records under legal hold, which administrators cannot delete either. This file imports nothing, so that its tests
// run in Node; guard.js connects it to the imports and exports of the component.
//
// A function of the contract returns the value of its `result`, or throws. A thrown object is the error itself.

const MAX_RETRIES = 3;

/**
 * Creates the export `storage` of the guard.
 *
 * @param storage - the import `learnings:plugin/storage`
 * @param getSetting - the function `get` of the import `wasi:config/store`
 */
export function createLegalHold(storage, getSetting) {
  /**
   * Deletes the record if it meets the condition of the call and is not held.
   *
   * @param unmetOutcome - the outcome of the call for a record that does not meet its condition; nothing for another
   */
  function deleteIf(unmetOutcome) {
    for (let attempt = 0; attempt <= MAX_RETRIES; attempt++) {
      const { learning } = storage.find();
      if (!learning) return 'absent';
      const unmet = unmetOutcome(learning);
      if (unmet) return unmet;
      // Only now: a caller that cannot delete the record must not learn that it is held.
      if (isHeld(learning, getSetting)) throw { kind: 'denied', message: 'This learning is under a legal hold' };
      const outcome = storage.deleteIfUnchanged(learning.revision);
      if (outcome !== 'changed') return outcome;
    }
    throw { kind: 'unavailable', message: 'the record kept changing while a guard checked it' };
  }

  return {
    locate: () => storage.locate(),
    find: () => storage.find(),
    delete: () => deleteIf(() => undefined),
    deleteIfOwnedBy: (userId) =>
      deleteIf((learning) => {
        // Not `!learning.userId`: an empty owner is an owner.
        if (isNone(learning.userId)) return 'unowned';
        // `===` compares UTF-16 code units, which are equal if and only if the bytes of the UTF-8 strings are.
        return learning.userId === userId ? undefined : 'owned-by-another';
      }),
    deleteIfUnchanged: (revision) =>
      deleteIf((learning) => (learning.revision === revision ? undefined : 'changed')),
  };
}

/** Whether a record must be retained. What cannot be read counts as a hold. */
function isHeld({ userId, sessionId, metadata }, getSetting) {
  try {
    return hasHold(metadata) || isListed(userId, 'held_users') || isListed(sessionId, 'held_sessions');
  } catch {
    return true;
  }

  function isListed(id, setting) {
    const value = getSetting(setting);
    const ids = isNone(value) ? [] : JSON.parse(value);
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) throw new TypeError(`${setting} is no list`);
    return !isNone(id) && ids.includes(id);
  }
}

/** Whether metadata has `"legal_hold": true` at its top level, or a value that is neither a hold nor none. */
function hasHold(metadata) {
  const value = isNone(metadata) ? null : JSON.parse(metadata);
  // Agno stores the JSON text `null` for a record without metadata.
  if (value === null) return false;
  if (typeof value !== 'object' || Array.isArray(value)) throw new TypeError('the metadata is no object');
  return (value.legal_hold ?? false) !== false;
}

/** Whether an optional value is none: `null` in this runtime, `undefined` in others. */
function isNone(value) {
  return value === null || value === undefined;
}
