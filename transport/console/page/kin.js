// kin.js: whom a job follows and who follows it: lists with how each stands, and a small drawing of the way through this job.

import * as api from './api.js';
import { askFor } from './dialog.js';
import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { badge } from './list.js';
import { report } from './toast.js';
import { count, nameOf } from './words.js';

const rules = {
  all_success: 'when all have succeeded',
  all_done: 'however they ended',
  any_success: 'when one of them has succeeded',
};
const ways = { each: 'their runs paired in order', latest: 'with all that has ended since it last began' };

/** `own`: name and state of the job itself; `kin`: null where it follows nobody and nobody follows it. */
export function drawKin(card, own, kin, key) {
  card.hidden = kin === null || kin === undefined;
  if (card.hidden) return;
  const { parents, children, parents_count, children_count, join, trigger_rule } = kin;
  const lies = parents.reduce((sum, one) => sum + one.waiting, 0);
  fill(
    card,
    h('h2', {}, 'Before and after'),
    drawing(own, parents, children),
    parents_count > 0 && [
      h('h3', {}, `After ${count(parents_count, 'job')}`),
      h(
        'p.line',
        {},
        parents_count === 1
          ? `It runs ${trigger_rule === 'all_success' ? 'when that has succeeded' : 'however that ended'}.`
          : `It runs ${rules[trigger_rule]}, ${ways[join]}.`,
      ),
      list(
        parents,
        parents_count,
        waiting => `${count(waiting, 'run')} of it ${waiting === 1 ? 'waits' : 'wait'} here`,
      ),
      lies > 0 &&
        h('button.plain.small', { type: 'button', onclick: () => clear(key) }, icon('trash'), 'Forget what waits'),
    ],
    children_count > 0 && [
      h('h3', {}, `Before ${count(children_count, 'job')}`),
      list(
        children,
        children_count,
        waiting => `${count(waiting, 'run')} of this ${waiting === 1 ? 'waits' : 'wait'} there`,
      ),
    ],
  );
}

function list(relatives, total, words) {
  return h(
    'ul.kin',
    {},
    relatives.map(({ key, state, waiting }) =>
      h(
        'li',
        {},
        h('a', { href: api.jobHash(key), title: key }, nameOf(key)),
        state !== undefined && badge(state),
        waiting > 0 && h('small', {}, words(waiting)),
      ),
    ),
    total > relatives.length && h('li', {}, h('small', {}, `and ${(total - relatives.length).toLocaleString()} more`)),
  );
}

const namespace = 'http://www.w3.org/2000/svg';
const shown_max = 6;
const step = 26;
const width = 320;
const node = 96;

function svg(tag, attributes, ...inside) {
  const made = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...inside);
  return made;
}

/** Three columns: parents, this, children. A line on which something waits is drawn thick. The lists say it all in words. */
function drawing(own, parents, children) {
  const [before, after] = [parents.slice(0, shown_max), children.slice(0, shown_max)];
  const rows = Math.max(before.length, after.length, 1);
  const height = rows * step;
  const middle = height / 2;
  const place = (n, of) => middle + (n - (of - 1) / 2) * step;
  const box = (x, y, text, look) =>
    svg(
      'g',
      { class: look },
      svg('rect', { x, y: y - 9, width: node, height: 18, rx: 9 }),
      svg('text', { x: x + node / 2, y: y + 4 }, text.length > 14 ? `${text.slice(0, 13)}…` : text),
    );
  const line = (x1, y1, x2, y2, waiting) => {
    const half = (x1 + x2) / 2;
    return svg('path', {
      d: `M${x1} ${y1}C${half} ${y1} ${half} ${y2} ${x2} ${y2}`,
      class: waiting > 0 ? 'waits' : 'empty',
    });
  };
  const left = (width - node) / 2;
  return svg(
    'svg',
    { class: 'kin-drawing', viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
    ...before.map((one, n) => line(node, place(n, before.length), left, middle, one.waiting)),
    ...after.map((one, n) => line(left + node, middle, width - node, place(n, after.length), one.waiting)),
    ...before.map((one, n) => box(0, place(n, before.length), nameOf(one.key), one.state ?? '')),
    box(left, middle, own, 'own'),
    ...after.map((one, n) => box(width - node, place(n, after.length), nameOf(one.key), one.state ?? '')),
  );
}

async function clear(key) {
  const sure = await askFor({
    title: 'Forget the runs that wait?',
    text: 'What its parents have done so far is forgotten; what ends from now on is paired anew.',
    fields: [],
    action: 'Forget them',
  });
  if (sure !== undefined) report(await api.clearTokens(key), 'Forgotten', 'Nothing was forgotten');
}

/** What becomes of those that follow a job that is deleted; undefined when it was thought better of. */
export async function askChildren(name, children_count, text) {
  const policy = h(
    'select',
    {},
    [
      ['detach', 'follow it no more'],
      ['reschedule', 'run when it would have'],
      ['delete', 'are deleted too'],
    ].map(([value, words]) => h('option', { value }, words)),
  );
  const given = await askFor({
    title: `Delete ${name}?`,
    text: `${count(children_count, 'job follows', 'jobs follow')} it. ${text}`,
    fields: [{ name: 'children', label: 'Those that follow it', input: policy }],
    action: 'Delete job',
  });
  return given?.children;
}
