// picture.ts: a chaos run at a glance: every target as a window, green or red, over the faults that fell on it. Pure.
//
// One row per job: a window is green where its run began in time, red where it did not; below it a thin line shows when
// the run really was, however late. A target without a run is black. Below the jobs one row per kind of fault, and the
// reigns, each node in its own shade.

import { type Target, window_ms } from './check.ts';
import type { Reign } from './field.ts';
import type { Failover, Stall } from './figures.ts';
import type { Event } from './weather.ts';

export type Scene = {
  readonly title: string;
  readonly targets: readonly Target[];
  readonly events: readonly Event[];
  readonly reigns: readonly Reign[];
  readonly failovers: readonly Failover[];
  readonly stalls: readonly Stall[];
  readonly from_ms: number;
  readonly to_ms: number;
};

const width = 1_600;
const margin = { left: 170, right: 20, top: 46, bottom: 34 };
const row = { job: 34, fault: 16, gap: 14 };
const colors = {
  green: '#2f9e44',
  red: '#e03131',
  black: '#000000',
  run: '#495057',
  fault: '#868e96',
  stall: '#ffe8cc',
  nodes: ['#1c7ed6', '#ae3ec9', '#f08c00'],
};
const minute_ms = 60_000;

export function picture({ title, targets, events, reigns, failovers, stalls, from_ms, to_ms }: Scene): string {
  const jobs = [...new Set(targets.map(({ job }) => job))];
  const kinds = [...new Set(events.map(({ fault }) => fault.kind))].sort();
  const x = (at_ms: number) =>
    margin.left +
    ((Math.min(Math.max(at_ms, from_ms), to_ms) - from_ms) / (to_ms - from_ms)) * (width - margin.left - margin.right);
  const jobs_height = jobs.length * row.job;
  const reigns_y = margin.top + jobs_height + row.gap;
  const faults_y = reigns_y + row.fault + row.gap;
  const bottom = faults_y + kinds.length * row.fault;
  const height = bottom + margin.bottom;
  const parts: string[] = [];
  const bar = (from: number, to: number, y: number, tall: number, color: string, told: string) => {
    const wide = Math.max(x(to) - x(from), 1);
    const text = told === '' ? '' : `<title>${escaped(told)}</title>`;
    parts.push(
      `<rect x="${x(from).toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${tall}" fill="${color}">${text}</rect>`,
    );
  };
  const label = (at: number, y: number, text: string, anchor = 'end') =>
    parts.push(`<text x="${at.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped(text)}</text>`);

  for (const { from_ms: from, to_ms: to } of stalls)
    bar(from, to, margin.top, bottom - margin.top, colors.stall, 'the machine stood still');
  for (let at = from_ms; at <= to_ms; at += minute_ms) {
    parts.push(
      `<line x1="${x(at).toFixed(1)}" y1="${margin.top}" x2="${x(at).toFixed(1)}" y2="${bottom}" stroke="#dee2e6"/>`,
    );
    label(x(at), bottom + 16, `${Math.round((at - from_ms) / minute_ms)} min`, 'middle');
  }
  for (const [n, job] of jobs.entries()) {
    const y = margin.top + n * row.job;
    label(margin.left - 8, y + 16, job);
    const own = targets.filter(target => target.job === job);
    const step_ms = own.length > 1 ? own[1]!.at_ms - own[0]!.at_ms : window_ms;
    for (const target of own) {
      const late_ms = target.begun_ms === undefined ? undefined : target.begun_ms - target.at_ms;
      const color = late_ms === undefined ? colors.black : late_ms > window_ms ? colors.red : colors.green;
      const told = late_ms === undefined ? 'not run' : `began ${late_ms} ms after its target, ${target.starts} time(s)`;
      bar(
        target.at_ms,
        target.at_ms + step_ms * 0.85,
        y,
        18,
        color,
        `${new Date(target.at_ms).toISOString()}: ${told}`,
      );
      if (target.begun_ms !== undefined)
        bar(target.begun_ms, target.ended_ms ?? target.begun_ms, y + 20, 6, colors.run, '');
    }
  }
  label(margin.left - 8, reigns_y + 11, 'leads');
  for (const [n, { node, epoch, at_ms }] of reigns.entries()) {
    const ends = failovers[n]?.since_ms ?? reigns[n + 1]?.at_ms ?? to_ms;
    const shade = colors.nodes[Number(node.replace(/\D/g, '')) % colors.nodes.length]!;
    bar(at_ms, Math.max(at_ms, ends), reigns_y, 12, shade, `${node}, epoch ${epoch}`);
  }
  for (const [n, kind] of kinds.entries()) {
    const y = faults_y + n * row.fault;
    label(margin.left - 8, y + 10, kind);
    for (const event of events)
      if (event.fault.kind === kind)
        bar(event.from_ms, event.to_ms, y, 11, colors.fault, `${event.node ?? ''} ${event.fault.kind}`);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${margin.left}" y="18" font-size="15">${escaped(title)}</text>`,
    `<text x="${margin.left}" y="36" fill="#495057">${escaped(legend)}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

const legend =
  `green: its run began within ${window_ms / 1_000} s; red: later (caught up); black: no run; thin line: the run; ` +
  'blue, violet, orange: which node leads; grey: faults';

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
