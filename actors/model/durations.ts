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

export function figuresOf({ count, sum_ms, max_ms, buckets }: Durations): Figures {
  const found: number[] = [];
  let seen = 0;
  walk(buckets, ({ bucket, many }) => {
    seen += many;
    while (found.length < ranks.length && seen >= rankIn(count, ranks[found.length]!))
      found.push(Math.min(max_ms, longestIn(bucket)));
    return found.length === ranks.length;
  });
  const [p50_ms, p75_ms, p95_ms, p98_ms, p99_ms] = found as [number, number, number, number, number];
  return { count, mean_ms: sum_ms / count, max_ms, p50_ms, p75_ms, p95_ms, p98_ms, p99_ms };
}
const ranks = percentiles.map(name => Number(name.slice(1)));
/** How many runs are within that percentile; the nearest whole number from above, but not for a rounding error. */
const rankIn = (count: number, percent: number): number => Math.max(1, Math.ceil((percent / 100) * count - 1e-9));

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
  let last = 0;
  let made: string | undefined;
  walk(buckets, ({ bucket: here, many, from, to }) => {
    if (here < bucket) {
      last = here;
      return false;
    }
    const before = buckets.slice(0, from);
    made =
      here === bucket
        ? `${before}${entry(here - last, many + 1)}${buckets.slice(to)}`
        : `${before}${entry(bucket - last, 1)} ${entry(here - bucket, many)}${buckets.slice(to)}`;
    return true;
  });
  return made ?? `${buckets}${buckets === '' ? '' : ' '}${entry(bucket - last, 1)}`;
}

const entry = (gap: number, many: number): string =>
  many === 1 ? gap.toString(36) : `${gap.toString(36)}*${many.toString(36)}`;

/** A bucket that is not empty, and where in the text it stands. */
type Entry = { bucket: number; many: number; from: number; to: number };

/** Shows one entry after the other until `visit` has seen enough. By characters: this happens at the end of every run. */
function walk(buckets: string, visit: (entry: Readonly<Entry>) => boolean): void {
  const at: Entry = { bucket: 0, many: 1, from: 0, to: 0 };
  for (let n = 0; n < buckets.length; n = at.to + 1) {
    at.from = n;
    let value = 0;
    let gap = -1;
    let code = 0;
    for (; n < buckets.length; n++) {
      code = buckets.charCodeAt(n);
      if (code === space) break;
      if (code === star) {
        gap = value;
        value = 0;
      } else value = value * 36 + (code < letter_a ? code - digit_0 : code - letter_a + 10);
    }
    at.bucket += gap < 0 ? value : gap;
    at.many = gap < 0 ? 1 : value;
    at.to = n;
    if (visit(at)) return;
  }
}
const space = 32;
const star = 42;
const digit_0 = 48;
const letter_a = 97;
