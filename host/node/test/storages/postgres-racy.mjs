// A storage with a defect on purpose: it reads the owner, and then deletes by id.
import { adapter, PostgresStorage } from './postgres.mjs';

class Racy extends PostgresStorage {
  async deleteIfOwnedBy(userId) {
    const { learning } = await this.find();
    if (!learning) return 'absent';
    if (learning.userId === undefined) return 'unowned';
    return learning.userId === userId ? this.delete() : 'owned-by-another';
  }
}

export default () => adapter(Racy);
