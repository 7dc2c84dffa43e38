// pending.ts: a list of reasons as the scheduler tells of those that wait.

import type { Pending, PendingReason } from '../../actors/model/views.ts';

export const pendingOf = (reasons: readonly PendingReason[]): Pending => ({
  keys: () => reasons.map(one => one.instance),
  why: key => reasons.find(one => one.instance === key),
});
