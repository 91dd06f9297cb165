// The columns of Agno's table, and a row as a learning.
import { createHash } from 'node:crypto';
import { columnName } from 'delete-learning/testkit';

export const COLUMNS = `learningType namespace userId agentId teamId workflowId sessionId entityId entityType content
  metadata createdAt updatedAt`.split(/\s+/);

/** Any change of the row changes the revision. Drivers return large integers as numbers, texts or bigints. */
export function learning(row) {
  const values = COLUMNS.map((name) => {
    const value = row[columnName(name)] ?? undefined;
    return [name, name.endsWith('At') && value !== undefined ? BigInt(value) : value];
  });
  const text = JSON.stringify(values, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
  return { ...Object.fromEntries(values), revision: createHash('sha256').update(text).digest('hex') };
}
