// The rules of a guard (`wit/world.wit`): a guard can only retain records. `host/sandbox/src/guard_rules.rs` has the
// same rules with the same messages.
import type { StorageFunction } from './checks.js';
import type { Learning, Outcome, StorageErrorKind, Target } from './contract.js';
import type { Result } from './host-calls.js';

/** The condition of a delete: a function that deletes, and its argument. */
interface Condition {
  name: StorageFunction;
  argument: string | undefined;
}

/** What decides whether a found record meets a condition. */
type Found = Pick<Learning, 'userId' | 'revision'>;

/** A rule that a guard violated. */
export class GuardViolation extends Error {}

/**
 * Records what the storage behind a guard returned in one request. From that it decides whether the guard can perform a
 * delete, before the delete is performed, and whether what the guard returns is true.
 */
export class GuardRules {
  #serving: Condition | undefined;
  /** The result of the last `find` of this request; undefined before it. */
  #found: { learning: Found | undefined } | undefined;
  // The rest is about the call that is being served.
  #located: Target | undefined;
  /** The whole result of the last `find`, if the guard serves `find`. */
  #foundToReturn: { learning: Learning | undefined } | undefined;
  #outcomes: { condition: Condition; outcome: Outcome }[] = [];
  #errors: StorageErrorKind[] = [];

  /** Begins a call to the guard. */
  begin(name: StorageFunction, argument: string | undefined): void {
    this.#serving = { name, argument };
    this.#located = undefined;
    this.#foundToReturn = undefined;
    this.#outcomes = [];
    this.#errors = [];
  }

  /** Checks a delete of the guard before it is performed. */
  checkDelete(name: StorageFunction, argument: string | undefined): void {
    const called = this.#serving;
    if (!called || called.name === 'locate' || called.name === 'find') {
      throw new GuardViolation('it deleted although no delete was called');
    }
    const isFoundRevision = name === 'deleteIfUnchanged' && this.#found?.learning?.revision === argument;
    const implies =
      called.name === 'delete' || isSame(called, { name, argument }) || (isFoundRevision && this.#foundMeets(called));
    if (!implies) throw new GuardViolation('its delete has a weaker condition than the delete that was called');
  }

  /** Records what the storage behind the guard returned. */
  record(name: StorageFunction, argument: string | undefined, result: Result): void {
    if (result.tag === 'err') {
      this.#errors.push((result.val as { kind: StorageErrorKind }).kind);
      if (name === 'locate') this.#located = undefined;
    } else if (name === 'locate') {
      this.#located = result.val as Target;
    } else if (name === 'find') {
      const learning = (result.val as { learning?: Learning | null }).learning ?? undefined;
      this.#found = { learning };
      this.#foundToReturn = this.#serving?.name === 'find' ? { learning } : undefined;
    } else {
      const outcome = result.val as Outcome;
      // The record that was found does not exist anymore.
      if (outcome === 'deleted') this.#found = undefined;
      this.#outcomes.push({ condition: { name, argument }, outcome });
    }
  }

  /** Checks what the guard returned for the call that it serves. */
  check(result: Result): void {
    const { name } = this.#serving!;
    if (name === 'locate') this.#checkLocate(result);
    else if (name === 'find') this.#checkFind(result);
    else this.#checkOutcome(this.#serving!, result);
  }

  #checkLocate(result: Result): void {
    if (result.tag === 'err') return this.#checkReadError(result);
    const target = result.val as Target;
    const located = this.#located;
    if (located?.database === target.database && located.table === target.table) return;
    throw new GuardViolation('its locate returned another target than the storage');
  }

  #checkFind(result: Result): void {
    if (result.tag === 'err') return this.#checkReadError(result);
    const { learning } = result.val as { learning?: Learning };
    if (this.#foundToReturn && isSameLearning(this.#foundToReturn.learning, learning)) return;
    throw new GuardViolation('its find returned another record than the storage');
  }

  #checkReadError(result: Result): void {
    const { kind } = result.val as { kind: StorageErrorKind };
    if (kind === 'unavailable' || kind === 'internal') return;
    if (kind === 'denied') throw new GuardViolation('it denied a call that deletes nothing');
    this.#checkError(kind);
  }

  #checkOutcome(condition: Condition, result: Result): void {
    const deleted = this.#outcomes.some(({ outcome }) => outcome === 'deleted');
    const unknown = this.#errors.includes('outcome-unknown');
    const kind = result.tag === 'err' ? (result.val as { kind: StorageErrorKind }).kind : undefined;
    if (deleted !== (result.tag === 'ok' && result.val === 'deleted')) {
      throw new GuardViolation(
        deleted
          ? 'it deleted the record and returned something else'
          : 'it returned deleted although nothing was deleted',
      );
    }
    if (!deleted && unknown !== (kind === 'outcome-unknown')) {
      throw new GuardViolation(
        unknown
          ? 'the outcome of its delete is unknown, and it returned something else'
          : 'it returned outcome-unknown although no outcome is unknown',
      );
    }
    if (kind === undefined) {
      if (this.#follows(condition, result.val as Outcome)) return;
      throw new GuardViolation('its outcome does not follow from what the storage returned');
    }
    if (kind === 'unavailable' || kind === 'internal') return;
    if (kind !== 'denied') return this.#checkError(kind);
    if (this.#errors.includes('denied') || this.#foundMeets(condition)) return;
    throw new GuardViolation('it denied a delete that it did not find would otherwise happen');
  }

  #checkError(kind: StorageErrorKind): void {
    if (!this.#errors.includes(kind)) throw new GuardViolation('it returned an error that the storage did not return');
  }

  /** Whether the last `find` returned a record that meets the condition. */
  #foundMeets({ name, argument }: Condition): boolean {
    const learning = this.#found?.learning;
    if (!learning) return false;
    if (name === 'deleteIfOwnedBy') return learning.userId === argument;
    if (name === 'deleteIfUnchanged') return learning.revision === argument;
    return name === 'delete';
  }

  /** Whether the outcome of a delete with this condition follows from what the storage returned. */
  #follows(condition: Condition, outcome: Outcome): boolean {
    const { name, argument } = condition;
    const wasReturned = this.#outcomes.some((done) => isSame(done.condition, condition) && done.outcome === outcome);
    if (wasReturned) return true;
    const found = this.#found;
    const learning = found?.learning;
    switch (outcome) {
      case 'deleted':
        return true;
      case 'absent':
        return (found !== undefined && !learning) || this.#outcomes.some((done) => done.outcome === 'absent');
      case 'unowned':
        return name === 'deleteIfOwnedBy' && learning !== undefined && isNone(learning.userId);
      case 'owned-by-another':
        return (
          name === 'deleteIfOwnedBy' &&
          learning !== undefined &&
          !isNone(learning.userId) &&
          learning.userId !== argument
        );
      case 'changed':
        return name === 'deleteIfUnchanged' && learning !== undefined && learning.revision !== argument;
    }
  }
}

function isNone(value: unknown): boolean {
  return value === undefined || value === null;
}

function isSame(left: Condition, right: Condition): boolean {
  return left.name === right.name && left.argument === right.argument;
}

/** Compares every column. A column without a value is null in the host's objects, and undefined in jco's. */
function isSameLearning(left: Learning | undefined, right: Learning | undefined): boolean {
  if (!left || !right) return !left && !right;
  const columns = new Set([...Object.keys(left), ...Object.keys(right)]) as Set<keyof Learning>;
  return [...columns].every((column) => (left[column] ?? undefined) === (right[column] ?? undefined));
}
