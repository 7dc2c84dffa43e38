// took.js: how long a job's runs take: the latest as a strip of bars, all of them as figures.

import { h } from './dom.js';
import { local, span } from './time.js';
import { states } from './words.js';

/** Bars in the strip: as many runs as the page has from the beginning. */
const bars_max = 25;

/** `durations`: of all runs that succeeded, where there were some; `finished`: the latest runs, newest first. */
export function took(durations, finished) {
  const latest = finished.slice(0, bars_max).reverse();
  if (durations === undefined && latest.length < 2) return [];
  return [
    latest.length > 1 && strip(latest),
    durations !== undefined &&
      h(
        'dl.durations',
        { 'aria-label': 'How long runs took that succeeded' },
        [
          ['half within', durations.p50_ms],
          ['95 % within', durations.p95_ms],
          ['99 % within', durations.p99_ms],
          ['longest', durations.max_ms],
          ['on average', durations.mean_ms],
        ].map(([words, ms]) => h('div', {}, h('dt', {}, words), h('dd', {}, span(ms)))),
      ),
  ];
}

function strip(runs) {
  const lasted = runs.map(({ started_at, created_at, ended_at }) => Math.max(0, ended_at - (started_at ?? created_at)));
  const most = Math.max(1, ...lasted);
  return h(
    'ol.strip',
    { 'aria-label': `The latest ${runs.length} runs, oldest first` },
    runs.map((run, n) => {
      const text = `${states[run.outcome] ?? run.outcome} after ${span(lasted[n])}, ${local(run.ended_at)}`;
      const bar = h(`li.${run.outcome}`, { title: text }, h('span', {}, text));
      bar.style.setProperty('--part', String(lasted[n] / most));
      return bar;
    }),
  );
}
