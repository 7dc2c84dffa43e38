// series.ts: what a container has used since it began, in a fixed number of points.
//
// A strip of paper of fixed length. When it is full every second point is rubbed out, and from then on half as many are
// written: a task of a minute is seen by the second, one of a year by the day, and both take the same room.

export type Usage = {
  readonly at: number;
  /** All of its processes, from its begin on. */
  readonly cpu_s: number;
  readonly rss_bytes: number;
  readonly disk_bytes: number;
};

const fields = 4;

export class Series {
  #points: Float64Array;
  #count = 0;
  /** Every how many samples one is kept. */
  #stride = 1;
  #since = 0;
  #latest: Usage | undefined;

  constructor(points_max: number) {
    this.#points = new Float64Array(Math.max(2, points_max) * fields);
  }

  get latest(): Usage | undefined {
    return this.#latest;
  }

  add(usage: Usage): void {
    this.#latest = usage;
    if (this.#since++ % this.#stride !== 0) return;
    if ((this.#count + 1) * fields > this.#points.length) {
      this.#thin();
      // The one at hand may be one of those that are not written any more.
      if ((this.#since - 1) % this.#stride !== 0) return;
    }
    this.#points.set([usage.at, usage.cpu_s, usage.rss_bytes, usage.disk_bytes], this.#count++ * fields);
  }

  /** Oldest first, the latest sample always among them. */
  all(): Usage[] {
    const found: Usage[] = [];
    for (let index = 0; index < this.#count; index++) {
      const [at, cpu_s, rss_bytes, disk_bytes] = this.#points.subarray(index * fields, (index + 1) * fields);
      found.push({ at: at!, cpu_s: cpu_s!, rss_bytes: rss_bytes!, disk_bytes: disk_bytes! });
    }
    const latest = this.#latest;
    if (latest !== undefined && found.at(-1)?.at !== latest.at) found.push(latest);
    return found;
  }

  #thin(): void {
    let kept = 0;
    for (let index = 0; index < this.#count; index += 2)
      this.#points.copyWithin(kept++ * fields, index * fields, (index + 1) * fields);
    this.#count = kept;
    this.#stride *= 2;
  }
}
