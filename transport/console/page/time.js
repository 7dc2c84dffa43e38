// time.js: what time it is at the scheduler, and how instants and spans are said.
//
// Countdowns run to the scheduler's instants, so they run on its clock: every frame says what it shows, and between frames
// the time that has passed here is added. A laptop whose clock is wrong still counts down right.

let ahead_ms = performance.timeOrigin;

export const now = () => performance.now() + ahead_ms;
/** Takes the scheduler's word for what time it is. */
export function synchronize(at) {
  ahead_ms = at - performance.now();
}

const clock_time = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day_time = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const year_time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const full_time = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

/** Local time, as much of it as tells it from now: `14:05:00`, `Tue, 5 May, 14:05`, `5 May 2031, 14:05`. */
export function local(at) {
  const date = new Date(at);
  const today = new Date(now());
  if (date.toDateString() === today.toDateString()) return clock_time.format(date);
  return date.getFullYear() === today.getFullYear() ? day_time.format(date) : year_time.format(date);
}

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** `in 12 s`, `4 min ago`, `now`. */
export function relative(at) {
  const ms = at - now();
  const [size, unit] = units.find(([each]) => Math.abs(ms) >= each * 1.5) ?? units.at(-1);
  const count = Math.round(Math.abs(ms) / size);
  if (count === 0) return 'now';
  return ms > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

/** `850 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`. */
export function span(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const first = units.findIndex(([size]) => ms >= size);
  const [size, unit] = units[first];
  const count = Math.floor(ms / size);
  const next = units[first + 1];
  if (next === undefined) return `${count} ${unit}`;
  const rest = Math.floor((ms - count * size) / next[0]);
  return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${rest} ${next[1]}`;
}

/** A `<time>` that keeps itself true. `how`: `relative`, or `since` for a span that grows. */
export function live(at, how = 'relative') {
  const element = document.createElement('time');
  element.className = 'live';
  moveTo(element, at, how);
  return element;
}

export function moveTo(element, at, how = element.dataset.how ?? 'relative') {
  if (element.dataset.at === String(at)) return;
  element.dataset.at = String(at);
  element.dataset.how = how;
  element.dateTime = new Date(at).toISOString();
  element.title = full_time.format(new Date(at));
  refresh(element);
}

function refresh(element) {
  const at = Number(element.dataset.at);
  const text = element.dataset.how === 'since' ? span(Math.max(0, now() - at)) : relative(at);
  if (element.textContent !== text) element.textContent = text;
}

/** Once a second, all of them. */
export const startTicking = () =>
  setInterval(() => {
    for (const element of document.querySelectorAll('time.live')) refresh(element);
  }, 1_000);
