// watch.ts: what takes longer than it should, told while it does.
export type WatchRules = {
  /** Where a job does not say; 0: never. */
  readonly late_after_ms: number;
  readonly long_running_after_ms: number;
  readonly pending_after_ms: number;
};
