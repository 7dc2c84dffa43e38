// zone.ts: which offset holds where and when, fast enough to be asked a million times a second.
//
// Between two transitions a zone is nothing but an offset. So we ask ICU (through Intl) once where the transitions of a
// stretch of about four years lie, by sampling and bisection, and keep the *segments* between them. From then on a
// question about an instant is a look into a small sorted array. Stretches are read when somebody first asks about them.
//
// The tables are a cache of facts that never change while the process lives, so functions of them are still pure.

import { day_ms, hour_ms, minute_ms, printOffset, printWall, second_ms } from './civil.ts';
import type { Instant } from './clock.ts';

/** A stretch of time with one offset, and what was and will be on either side of it. */
export type Segment = {
  readonly start: Instant;
  /** The first instant that no longer belongs to it. */
  readonly end: Instant;
  readonly offset_ms: number;
  /** The offset that held just before `start`; equal to `offset_ms` where nothing changed. */
  readonly before_ms: number;
  /** The offset that holds from `end` on. */
  readonly after_ms: number;
};

export interface Zone {
  /** As the document wrote it, the letter case mended: `Europe/Vienna`, `UTC`, `+02:00`. */
  readonly name: string;
  segmentAt(at: Instant): Segment;
}

/** A zone that never changes its offset. */
export function fixedZone(name: string, offset_ms: number): Zone {
  const always: Segment = { start: -Infinity, end: Infinity, offset_ms, before_ms: offset_ms, after_ms: offset_ms };
  return { name, segmentAt: () => always };
}

export const utc: Zone = fixedZone('UTC', 0);

/** The length of a stretch, about 4.4 years. */
const stretch_ms = 1600 * day_ms;
/** How far we look beyond both ends of a stretch: no change of offset ever reached further than a day and two hours. */
const margin_ms = 3 * day_ms;
/**
 * Samples lie this far apart; two changes that cancel out between two samples would go unseen. The shortest such pair
 * known took a week since 1970 (Recife, 2000) and four days before (Freetown, 1939).
 */
const sample_ms = 6 * day_ms;
const sample_ms_before_1970 = 3 * day_ms;

/** Stretches kept per zone, some three centuries; beyond that somebody is asking about all of history. */
const stretches_max = 64;

type Stretch = { readonly starts: Float64Array; readonly segments: readonly Segment[] };

/** A zone known to ICU. Throws a RangeError for a name that ICU does not know. */
export function intlZone(name: string): Zone {
  const offsetAt = intlOffsets(name);
  const stretches = new Map<number, Stretch>();
  let recent: Segment = { start: Infinity, end: -Infinity, offset_ms: 0, before_ms: 0, after_ms: 0 };

  function find(at: Instant): Segment {
    const index = Math.floor(at / stretch_ms);
    let stretch = stretches.get(index);
    if (stretch === undefined) {
      stretch = readStretch(offsetAt, index * stretch_ms);
      if (stretches.size >= stretches_max) stretches.clear();
      stretches.set(index, stretch);
    }
    const { starts, segments } = stretch;
    let i = starts.length - 1;
    while (i > 0 && starts[i]! > at) i--;
    recent = segments[i]!;
    return recent;
  }
  return {
    name,
    segmentAt(at) {
      return at >= recent.start && at < recent.end ? recent : find(at);
    },
  };
}

function readStretch(offsetAt: (at: Instant) => number, from: Instant): Stretch {
  const start = from - margin_ms;
  const end = from + stretch_ms + margin_ms;
  const changes: { at: Instant; before_ms: number; after_ms: number }[] = [];
  let known = start;
  let known_offset = offsetAt(start);
  const step_ms = start < 0 ? sample_ms_before_1970 : sample_ms;
  while (known < end) {
    const probe = Math.min(known + step_ms, end);
    const probe_offset = offsetAt(probe);
    // More than one change may lie between two samples: mend them one at a time, from the left.
    while (known_offset !== probe_offset) {
      let low = known;
      let high = probe;
      while (high - low > second_ms) {
        const middle = low + Math.floor((high - low) / 2 / second_ms) * second_ms;
        if (offsetAt(middle) === known_offset) low = middle;
        else high = middle;
      }
      const after_ms = offsetAt(high);
      changes.push({ at: high, before_ms: known_offset, after_ms });
      known = high;
      known_offset = after_ms;
    }
    known = probe;
  }
  // A segment keeps its true ends where they lie in the margin, because the rules of a clock change reach across; an end
  // that was not found is the stretch's own, so that walking from segment to segment sees every instant once.
  const stretch_end = from + stretch_ms;
  const segments: Segment[] = [];
  for (let i = 0; i <= changes.length; i++) {
    const opening = changes[i - 1];
    const closing = changes[i];
    if ((closing !== undefined && closing.at <= from) || (opening !== undefined && opening.at >= stretch_end)) continue;
    const offset_ms = opening?.after_ms ?? closing?.before_ms ?? known_offset;
    segments.push({
      start: opening?.at ?? from,
      end: closing?.at ?? stretch_end,
      offset_ms,
      before_ms: opening?.before_ms ?? offset_ms,
      after_ms: closing?.after_ms ?? offset_ms,
    });
  }
  return { starts: Float64Array.from(segments, segment => segment.start), segments };
}

function intlOffsets(name: string): (at: Instant) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset', second: 'numeric' });
  return at => {
    const text = format.format(at);
    const cut = text.indexOf('GMT');
    if (cut < 0) throw new Error(`ICU wrote "${text}" for an offset of ${name}: expected GMT+hh:mm`);
    if (text.length === cut + 3) return 0;
    const [hours = 0, minutes = 0, seconds = 0] = text
      .slice(cut + 4)
      .split(':')
      .map(Number);
    const size_ms = hours * hour_ms + minutes * minute_ms + seconds * second_ms;
    return text[cut + 3] === '-' ? -size_ms : size_ms;
  };
}

export const offsetAt = (zone: Zone, at: Instant): number => zone.segmentAt(at).offset_ms;
export const wallAt = (zone: Zone, at: Instant): number => at + zone.segmentAt(at).offset_ms;

/** `2026-03-29T03:00:00+02:00`: an instant as the zone's wall shows it, with its offset. */
export function printInstant(at: Instant, zone: Zone = utc): string {
  const offset_ms = offsetAt(zone, at);
  return printWall(at + offset_ms) + printOffset(offset_ms);
}
