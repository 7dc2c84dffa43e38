// log.js: the output of one instance, as it is written.
//
// Output is anybody's bytes. It becomes text nodes; control characters are shown as the pictures that Unicode has for them,
// colours of terminals are left out, and what is far back is dropped, so that a job that talks for days fits in a page.

import { logPath, readLog } from './api.js';
import { h, say } from './dom.js';
import { icon } from './icons.js';
import { tabs } from './instance.js';

const first_bytes = 262_144;
const shown_characters_max = 2_000_000;
/** A piece of output becomes text nodes of at most this many characters, so that old ones can go one by one. */
const node_characters_max = 65_536;

/** Begins at `first_bytes` from the end, and follows until it is told not to. */
/** `process`: of one process of the task alone. */
export function logView({ key, name, run, index, stream, process, close, hash }) {
  let source;
  let offset;
  let shown = 0;
  let clean = cleaner();

  const text = h('pre.output', { tabindex: '0', 'aria-label': `${stream} of ${name}` });
  const note = h('p.log-note', {}, 'Connecting');
  const follow = h('input', {
    type: 'checkbox',
    checked: true,
    onchange: () => (follow.checked ? open() : stop('Not following')),
  });
  const wrap = h('input', { type: 'checkbox', onchange: () => text.classList.toggle('wrapped', wrap.checked) });
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
      tabs(stream, which => hash(which, which === 'life' ? undefined : process)),
      attempt,
      h('label.switch', {}, follow, h('span', {}, 'Follow')),
      h('label.switch', {}, wrap, h('span', {}, 'Wrap')),
      h('a.button.small', { href: `${path}?${of}`, target: '_blank', rel: 'noopener' }, 'Raw'),
    ),
    text,
    note,
  );

  const atEnd = () => text.scrollHeight - text.scrollTop - text.clientHeight < 40;
  const append = piece => {
    const stick = atEnd();
    const cleaned = clean(piece);
    for (let from = 0; from < cleaned.length; from += node_characters_max)
      text.append(cleaned.slice(from, from + node_characters_max));
    shown += cleaned.length;
    while (shown > shown_characters_max && text.childNodes.length > 1) {
      shown -= text.firstChild.length;
      text.firstChild.remove();
    }
    if (stick && follow.checked) text.scrollTop = text.scrollHeight;
  };
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
      append(piece.text);
    };
    mine.addEventListener('end', () => stop(shown === 0 ? `Nothing was written to ${stream}` : 'The attempt is over'));
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
    shown = 0;
    clean = cleaner();
    text.replaceChildren();
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
      text.focus({ preventScroll: true });
    },
    end() {
      source?.close();
      element.remove();
    },
  };
}

const escape_character = String.fromCharCode(27);
const terminal_sequence = new RegExp(`${escape_character}\\[[0-9;?]{0,20}[A-Za-z]`, 'g');
/** A sequence may be cut in two between pieces. */
const begun_sequence = new RegExp(`${escape_character}(?:\\[[0-9;?]{0,20})?$`);

/** Text without the colours of terminals, and with every other control character visible. */
export function cleaner() {
  let held = '';
  return piece => {
    const all = held + piece;
    held = begun_sequence.exec(all)?.[0] ?? '';
    return all
      .slice(0, all.length - held.length)
      .replace(terminal_sequence, '')
      .replace(/\r\n?/g, '\n')
      .replace(/[\p{Cc}--[\t\n]]/gv, picture);
  };
}

/** Unicode has pictures of the first 32 control characters, and of delete. */
function picture(character) {
  const code = character.charCodeAt(0);
  if (code === 127) return '\u2421';
  return code < 32 ? String.fromCharCode(0x2400 + code) : '\ufffd';
}
