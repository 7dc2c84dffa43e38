// log.js: the output of one instance, as it is written.
//
// What was read stays on the page; where the connection breaks, it goes on at the byte after.

import { logPath, readLog } from './api.js';
import { h, say } from './dom.js';
import { icon } from './icons.js';
import { tabs } from './instance.js';
import { outputPane } from './output.js';

const first_bytes = 262_144;

/** Begins at `first_bytes` from the end, and follows until it is told not to. */
/** `process`: of one process of the task alone. */
export function logView({ key, name, run, index, stream, process, close, hash }) {
  let source;
  let offset;

  const text = outputPane(`${stream} of ${name}`);
  const note = h('p.log-note', {}, 'Connecting');
  const follow = h('input', {
    type: 'checkbox',
    checked: true,
    onchange: () => (follow.checked ? open() : stop('Not following')),
  });
  const wrap = h('input', { type: 'checkbox', onchange: () => text.wrap(wrap.checked) });
  const path = logPath(key, run, index, stream);
  const of = process === undefined ? '' : `process=${encodeURIComponent(process)}`;
  /** Earlier attempts can be read too; '' is the latest. */
  const attempt = h('select', { hidden: true, 'aria-label': 'Attempt', onchange: () => restart() });
  attempt.append(h('option', { value: '' }, 'latest attempt'));
  const element = h(
    'aside.log',
    { role: 'dialog', 'aria-label': `Log of ${name}` },
    h(
      'header',
      {},
      h(
        'div',
        {},
        h('h2', {}, name),
        h(
          'small',
          {},
          process !== undefined && ['process ', h('code', {}, process), ' of '],
          `instance ${index} of run `,
          h('code', {}, run),
        ),
      ),
      h('button.plain', { type: 'button', 'aria-label': 'Close log', onclick: close }, icon('cross')),
    ),
    h(
      'div.log-tools',
      {},
      tabs(stream, which => hash(which, which.startsWith('std') ? process : undefined)),
      attempt,
      h('label.switch', {}, follow, h('span', {}, 'Follow')),
      h('label.switch', {}, wrap, h('span', {}, 'Wrap')),
      h('a.button.small', { href: `${path}?${of}`, target: '_blank', rel: 'noopener' }, 'Raw'),
    ),
    text.element,
    note,
  );

  const stop = why => {
    source?.close();
    source = undefined;
    say(note, why);
    note.classList.remove('live');
  };
  const open = () => {
    source?.close();
    const chosen = attempt.value === '' ? '' : `&attempt=${attempt.value}`;
    const mine = new EventSource(`${path}?follow=true&offset=${offset ?? -first_bytes}${chosen}&${of}`);
    source = mine;
    mine.onopen = () => {
      say(note, 'Following');
      note.classList.add('live');
    };
    mine.onmessage = ({ data }) => {
      const piece = JSON.parse(data);
      offset = piece.offset;
      text.append(piece.text, follow.checked);
    };
    mine.addEventListener('end', () => stop(text.empty() ? `Nothing was written to ${stream}` : 'The attempt is over'));
    mine.onerror = async () => {
      note.classList.remove('live');
      if (mine.readyState !== EventSource.CLOSED) return say(note, 'Connection lost, trying again');
      // An event source does not say why it was refused; a plain request does.
      const answer = await readLog(`${path}?${of}`);
      stop(answer.ok ? 'The log ended early' : answer.message);
    };
  };

  const restart = () => {
    offset = undefined;
    text.clear();
    follow.checked = true;
    open();
  };

  return {
    element,
    /** How many attempts there have been. */
    tell(attempts) {
      attempt.hidden = attempts < 2;
      for (let n = attempt.options.length; n < attempts; n++)
        attempt.append(h('option', { value: String(n) }, `attempt ${n}`));
    },
    begin() {
      open();
      text.element.focus({ preventScroll: true });
    },
    end() {
      source?.close();
      element.remove();
    },
  };
}
