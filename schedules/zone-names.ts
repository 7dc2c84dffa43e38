// zone-names.ts: from what a document calls a zone to the zone itself.
//
// Horae's own documents use the names of the IANA database. Chronos ran on Java, whose ids are a superset with traps in
// it: `PST` is Los Angeles with its summer time, `BST` is not British Summer Time but Bangladesh, and an unknown id was
// silently Greenwich. We take Java's ids where a Chronos document uses them, and refuse what nobody knows.

import { hour_ms, minute_ms } from './civil.ts';
import { bad, good, type Problem, type Result } from './problem.ts';
import { fixedZone, intlZone, utc, type Zone } from './zone.ts';

/** Java's three-letter ids that the IANA database does not have. */
const java_ids: { readonly [id: string]: string } = {
  ACT: 'Australia/Darwin',
  AET: 'Australia/Sydney',
  AGT: 'America/Argentina/Buenos_Aires',
  ART: 'Africa/Cairo',
  AST: 'America/Anchorage',
  BET: 'America/Sao_Paulo',
  BST: 'Asia/Dhaka',
  CAT: 'Africa/Harare',
  CNT: 'America/St_Johns',
  CST: 'America/Chicago',
  CTT: 'Asia/Shanghai',
  EAT: 'Africa/Addis_Ababa',
  ECT: 'Europe/Paris',
  IET: 'America/Indiana/Indianapolis',
  IST: 'Asia/Kolkata',
  JST: 'Asia/Tokyo',
  MIT: 'Pacific/Apia',
  NET: 'Asia/Yerevan',
  NST: 'Pacific/Auckland',
  PLT: 'Asia/Karachi',
  PNT: 'America/Phoenix',
  PRT: 'America/Puerto_Rico',
  PST: 'America/Los_Angeles',
  SST: 'Pacific/Guadalcanal',
  VST: 'Asia/Ho_Chi_Minh',
};
/** Names of fixed offsets that every tz database has. `Z` is ISO 8601's, and what a start in UTC carries. */
const of_utc = new Set(['UTC', 'Etc/UTC', 'UCT', 'Etc/UCT', 'Zulu', 'Etc/Zulu', 'Universal', 'Etc/Universal', 'GMT']);

/** Zones that have been asked for, by name and dialect. Bounded by the number of zones there are. */
const known = new Map<string, Zone>();

/** The zone of that name, or a problem with near spellings in it. `java` also admits Java's ids and `GMT+08:00`. */
export function findZone(name: string, place: string, java = false): Result<Zone> {
  const prefix = java ? 'java ' : '';
  const hit = known.get(prefix + name);
  if (hit !== undefined) return good(hit);
  const read = readZone(name, java);
  if (read === undefined) return bad(unknownZone(name, place));
  // `EUROPE/vienna` finds the zone but earns no entry of its own: nobody shall fill the memory with spellings.
  const key = prefix + (read.name.toLowerCase() === name.toLowerCase() ? read.name : name);
  const zone = known.get(key) ?? read;
  known.set(key, zone);
  return good(zone);
}

function readZone(name: string, java: boolean): Zone | undefined {
  if (of_utc.has(name)) return name === 'UTC' ? utc : fixedZone(name, 0);
  if (java) {
    const mapped = java_ids[name];
    if (mapped !== undefined) return intlZone(mapped);
    const offset = /^(?:GMT|UTC|UT)?([+-])(\d{1,2})(?::?([0-5]\d))?$/.exec(name);
    if (offset !== null && Number(offset[2]) <= 18) return offsetZone(offset[1]!, offset[2]!, offset[3]);
  }
  // Intl also takes offsets and ids that only ICU has; a document that means one of those should say so in IANA's words.
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name) || name.length > 64) return undefined;
  if (Object.hasOwn(java_ids, name.toUpperCase()) || /^SystemV\//i.test(name)) return undefined;
  try {
    const resolved = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
    return intlZone(resolved.toLowerCase() === name.toLowerCase() ? resolved : name);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The zone of an offset in a text: `+02:00`, `-0530`, `+02`. */
export function offsetZone(sign: string, hours: string, minutes: string | undefined): Zone {
  const size_ms = Number(hours) * hour_ms + Number(minutes ?? 0) * minute_ms;
  const name = `${sign}${hours.padStart(2, '0')}:${minutes ?? '00'}`;
  return fixedZone(size_ms === 0 ? 'UTC' : name, sign === '-' ? -size_ms : size_ms);
}

function unknownZone(name: string, place: string): Problem {
  const near = nearSpellings(name);
  const hint = near.length === 0 ? 'an IANA time zone such as Europe/Vienna' : near.join(' or ');
  const shown = name.length > 64 ? `${name.slice(0, 64)}...` : name;
  return { place, value: shown, message: `unknown time zone "${shown}": expected ${hint}`, expected: hint };
}

/** Up to three names of zones that somebody may have meant. */
export function nearSpellings(name: string): readonly string[] {
  if (name.length > 64) return [];
  const java = java_ids[name.toUpperCase()];
  if (java !== undefined) return [java];
  const wanted = name.toLowerCase().replaceAll(' ', '_');
  const scored: { zone: string; distance: number }[] = [];
  for (const zone of ['UTC', ...Intl.supportedValuesOf('timeZone')]) {
    const whole = zone.toLowerCase();
    const city = whole.slice(whole.lastIndexOf('/') + 1);
    // `Vienna`, `Europe/Viena` and `Austria/Vienna` all mean the same place.
    const wanted_city = wanted.slice(wanted.lastIndexOf('/') + 1);
    const distance = Math.min(
      editDistance(wanted, whole),
      editDistance(wanted_city, city) + (wanted === city ? 0 : 0.5),
    );
    if (distance <= Math.max(1.5, city.length / 3)) scored.push({ zone, distance });
  }
  scored.sort((a, b) => a.distance - b.distance || (a.zone < b.zone ? -1 : 1));
  return scored.slice(0, 3).map(entry => entry.zone);
}

/** How many letters must be added, dropped or changed to get from one word to the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[to.length]!;
}
