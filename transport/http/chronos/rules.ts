// rules.ts: what an operator of Chronos could set and that shapes how its jobs are read.

export type ChronosRules = {
  /** Whose rules hold: 3 never drops a run, 2 drops what is later than epsilon. */
  readonly generation: 2 | 3;
  /** Refusals have the statuses that Chronos gave: 400 for whatever the client did wrong. */
  readonly strict: boolean;
  /** Of a job that names none (generation 2). */
  readonly epsilon_ms: number;
  readonly retry_delay_ms: number;
  /** Of a job that asks for none, or for 0. */
  readonly cpus: number;
  readonly mem: number;
  readonly disk: number;
  /** Failed runs in a row after which a job is held; 0: never. */
  readonly disable_after_failures: number;
  /** Tasks in the history that `job/stat` shows. */
  readonly history_limit: number;
};

/** As Chronos was without an option. */
export const chronos_rules_default: ChronosRules = {
  generation: 3,
  strict: false,
  epsilon_ms: 60_000,
  retry_delay_ms: 60_000,
  cpus: 0.1,
  mem: 128,
  disk: 256,
  disable_after_failures: 0,
  history_limit: 5,
};
