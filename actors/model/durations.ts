// durations.ts: how long a job's runs took, all of them, in a few hundred bytes.
//
// A histogram with high dynamic range: every duration is kept to two digits that count, whether it was ten milliseconds or ten
// days, so a percentile is never off by more than 0.8 %. Nearly all of its buckets are empty and only the others are written
// down, as text beside the job's other counts: it goes where they go, through restarts and failovers, and costs no record.

/** Part of a job's tally. */
export type Durations = {
  readonly count: number;
  readonly sum_ms: number;
  readonly max_ms: number;
  /** Buckets that are not empty: in base 36, how far each is from the one before, and `*` how many where there are several. */
  readonly buckets: string;
};

export type Figures = {
  readonly count: number;
  readonly mean_ms: number;
  readonly max_ms: number;
} & { readonly [P in Percentile as `${P}_ms`]: number };
export const percentiles = ['p50', 'p75', 'p95', 'p98', 'p99'] as const;
export type Percentile = (typeof percentiles)[number];

/** Below this every millisecond has its own bucket; from there on each doubling has half as many. */
const fine = 256;
const half = fine / 2;
/** About 35 years. What is longer counts as this long. */
const longest_ms = 2 ** 40 - 1;

export function withDuration(before: Durations | undefined, took_ms: number): Durations {
  const ms = Math.min(longest_ms, Math.max(0, Math.round(took_ms)));
  const bucket = bucketOf(ms);
  const { count = 0, sum_ms = 0, max_ms = 0, buckets = '' } = before ?? {};
  return { count: count + 1, sum_ms: sum_ms + ms, max_ms: Math.max(max_ms, ms), buckets: added(buckets, bucket) };
}

export function figuresOf(durations: Durations): Figures {
  const { count, sum_ms, max_ms, buckets } = durations;
  const known = read(buckets);
  const at = (percent: number): number => {
    let left = Math.max(1, Math.ceil((percent / 100) * count - 1e-9));
    for (const [bucket, many] of known) {
      left -= many;
      if (left <= 0) return Math.min(max_ms, longestIn(bucket));
    }
    return max_ms;
  };
  const [p50_ms, p75_ms, p95_ms, p98_ms, p99_ms] = [at(50), at(75), at(95), at(98), at(99)] as const;
  return { count, mean_ms: sum_ms / count, max_ms, p50_ms, p75_ms, p95_ms, p98_ms, p99_ms };
}

export function bucketOf(ms: number): number {
  let steps = 0;
  let value = ms;
  while (value >= fine) {
    value = Math.floor(value / 2);
    steps++;
  }
  return steps * half + value;
}

/** The longest duration that falls into a bucket. */
export function longestIn(bucket: number): number {
  if (bucket < fine) return bucket;
  const steps = Math.floor(bucket / half) - 1;
  return (bucket - steps * half + 1) * 2 ** steps - 1;
}

/** The text with one more in a bucket. What stands before and behind that is left as it is. */
function added(buckets: string, bucket: number): string {
  let from = 0;
  let last = 0;
  while (from < buckets.length) {
    const space = buckets.indexOf(' ', from);
    const to = space < 0 ? buckets.length : space;
    const star = buckets.indexOf('*', from);
    const several = star >= 0 && star < to;
    const gap = Number.parseInt(buckets.slice(from, several ? star : to), 36);
    const here = last + gap;
    const before = buckets.slice(0, from);
    const behind = buckets.slice(to);
    if (here === bucket) {
      const many = several ? Number.parseInt(buckets.slice(star + 1, to), 36) : 1;
      return `${before}${entry(gap, many + 1)}${behind}`;
    }
    if (here > bucket) {
      const own = several ? buckets.slice(star, to) : '';
      return `${before}${entry(bucket - last, 1)} ${(here - bucket).toString(36)}${own}${behind}`;
    }
    last = here;
    from = to + 1;
  }
  return `${buckets}${buckets === '' ? '' : ' '}${entry(bucket - last, 1)}`;
}

const entry = (gap: number, many: number): string =>
  many === 1 ? gap.toString(36) : `${gap.toString(36)}*${many.toString(36)}`;

function read(buckets: string): (readonly [bucket: number, many: number])[] {
  let last = 0;
  return buckets.split(' ').map(text => {
    const [gap = '0', many] = text.split('*');
    last += Number.parseInt(gap, 36);
    return [last, many === undefined ? 1 : Number.parseInt(many, 36)];
  });
}
