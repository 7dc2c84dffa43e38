// nanoseconds.ts: instants and lengths as Mesos writes them, and as we count them.

/**
 * A number of nanoseconds as milliseconds. Those of today lie above 2^53, so JSON.parse has already rounded the last two
 * digits: as milliseconds they are exact.
 */
export const millisecondsOf = ({ nanoseconds }: { readonly nanoseconds: number }): number =>
  Math.round(nanoseconds / 1_000_000);
