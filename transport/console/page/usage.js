// usage.js: what an instance uses, as three small drawings: CPU, memory, disk; the latest in figures, the limit as a line.

import { fill, h } from './dom.js';
import { instant, size } from './words.js';

const namespace = 'http://www.w3.org/2000/svg';
const width = 180;
const height = 36;

/** An element that stays, and `tell(usage)`: what was read, or undefined where nothing is known. */
export function usageView() {
  const element = h('section.usage', { hidden: true });
  return {
    element,
    tell(usage) {
      element.hidden = usage === undefined || usage.points.length === 0;
      if (element.hidden) return;
      const { limits, since } = usage;
      const last = usage.points.at(-1);
      // The last look at one that has ended sees nobody: what it had before that is worth telling.
      const ended = usage.points.length > 1 && last.rss_bytes === 0;
      const points = ended ? usage.points.slice(0, -1) : usage.points;
      const of = (field, limit) => ({ values: points.map(one => one[field]), limit });
      fill(
        element,
        h('header', {}, h('h3', {}, 'Uses'), since === 'watched' && h('small', {}, 'since you look')),
        h(
          'div.sparks',
          {},
          spark('CPU', { values: rates(points), limit: limits.cpus }, cpus),
          spark('Memory', of('rss_bytes', limits.mem_bytes), size),
          spark('Disk', of('disk_bytes', limits.disk_bytes), size),
        ),
        h(
          'small',
          {},
          `${last.cpu_s.toFixed(1)} s of CPU in all`,
          // Or 64 MB would be read in a job that asked for 32.
          limits.mem_bytes !== undefined && '; limits are the job’s and its executor’s together',
        ),
      );
    },
  };
}

const cpus = value => `${value.toFixed(value < 0.995 ? 2 : 1)} cpus`;

/** CPU seconds for each second between two points. */
const rates = points =>
  points.slice(1).map((one, n) => {
    const seconds = (instant(one.at) - instant(points[n].at)) / 1000;
    return seconds > 0 ? Math.max(0, one.cpu_s - points[n].cpu_s) / seconds : 0;
  });

function spark(name, { values, limit }, write) {
  const last = values.at(-1) ?? 0;
  const text = limit === undefined ? write(last) : `${write(last)} of ${write(limit)}`;
  return h('figure', {}, h('figcaption', {}, h('span', {}, name), h('strong', {}, text)), drawing(values, limit, text));
}

function drawing(values, limit, text) {
  const svg = document.createElementNS(namespace, 'svg');
  const set = (element, properties) => {
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, String(value));
    return element;
  };
  set(svg, { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': text });
  // A limit far above what is used would flatten it to a line: then it is left out of the picture.
  const most = Math.max(...values, 0);
  const shown = limit !== undefined && most > limit / 20;
  const top = Math.max(most, shown ? limit : 0) || 1;
  const y = value => (height - 2 - (value / top) * (height - 4)).toFixed(1);
  const line = set(document.createElementNS(namespace, 'polyline'), {
    class: 'used',
    points: values
      .map((value, n) => `${((n / Math.max(1, values.length - 1)) * width).toFixed(1)},${y(value)}`)
      .join(' '),
  });
  if (shown)
    svg.append(
      set(document.createElementNS(namespace, 'line'), {
        class: 'limit',
        x1: 0,
        x2: width,
        y1: y(limit),
        y2: y(limit),
      }),
    );
  svg.append(line);
  return svg;
}
