// A storage with a defect on purpose: it reads the owner, and then deletes by id.
import { adapter, SqliteStorage } from './sqlite.mjs';

class Racy extends SqliteStorage {
  deleteIfOwnedBy(userId) {
    const { learning } = this.find();
    if (!learning) return 'absent';
    if (learning.userId === undefined) return 'unowned';
    return learning.userId === userId ? this.delete() : 'owned-by-another';
  }
}

export default () => adapter(Racy);
