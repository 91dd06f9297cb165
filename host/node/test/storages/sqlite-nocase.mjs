// A storage with defects on purpose: it ignores the case of owners, and its revision leaves out the metadata.
import { adapter, SqliteStorage } from './sqlite.mjs';

class Careless extends SqliteStorage {
  find() {
    const { learning } = super.find();
    return learning ? { learning: { ...learning, revision: learning.content } } : {};
  }

  deleteIfOwnedBy(userId) {
    const outcome = super.deleteIfOwnedBy(userId);
    const { learning } = this.find();
    const isOwner = learning?.userId?.toLowerCase() === userId.toLowerCase();
    return outcome === 'owned-by-another' && isOwner ? this.delete() : outcome;
  }
}

export default () => adapter(Careless);
