// file.js: one file: a page of it, or its end as it grows.
//
// A file may be larger than any page should be, so a part of it is asked for by its place in bytes. A character that lies
// across the border of two parts belongs to the first. What is no text is shown as bytes, sixteen to a line, and whoever
// wants it otherwise says so.

import { readBytes, refusalOf } from './api.js';
import { fill, h, say } from './dom.js';
import { icon } from './icons.js';
import { cleaner, outputPane } from './output.js';
import { size as sized } from './words.js';

const text_page_bytes = 131_072;
const raw_page_bytes = 8_192;
/** How far before the end following begins. */
const followed_bytes = 262_144;
const try_again_ms = 2_000;
/** Bytes of a character in UTF-8 after its first. */
const character_rest_max = 3;

/** Draws into `place`, `tools` and `note`. `url`: the content, with its query begun. */
export function fileView({ url, label, place, tools, note }) {
  let from = 0;
  let total = 0;
  /** undefined: what it is has not been seen yet. */
  let raw;
  let binary = false;
  let following;
  let ended = false;
  /** A page that is asked for counts no more when another is. */
  let turn = 0;
  let notThere;

  const pane = outputPane(label);
  const where = h('span', {});
  const turner = (words, drawing, to) =>
    h('button.small', { type: 'button', onclick: () => void open(to()), 'aria-label': words }, drawing);
  const page_bytes = () => (raw ? raw_page_bytes : text_page_bytes);
  const last_at = () => Math.max(0, Math.ceil(total / page_bytes()) - 1) * page_bytes();
  const pager = {
    first: turner('First part', 'Start', () => 0),
    earlier: turner('Part before', 'Earlier', () => Math.max(0, from - page_bytes())),
    later: turner('Part after', 'Later', () => from + page_bytes()),
    last: turner('Last part', 'End', last_at),
  };
  const pages = h('span.pager', { hidden: true }, Object.values(pager));
  const follow = h('input', { type: 'checkbox', onchange: () => (follow.checked ? watch() : unwatch()) });
  const wrap = h('input', { type: 'checkbox', onchange: () => pane.wrap(wrap.checked) });
  const as_bytes = h('input', {
    type: 'checkbox',
    onchange() {
      raw = as_bytes.checked;
      unwatch(Math.floor(from / page_bytes()) * page_bytes());
    },
  });
  const toggle = (input, words) => h('label.switch', {}, input, h('span', {}, words));
  fill(
    tools,
    toggle(follow, 'Follow'),
    toggle(wrap, 'Wrap'),
    toggle(as_bytes, 'Bytes'),
    h('a.button.small', { href: `${url}&download=true` }, icon('download'), 'Download'),
  );
  fill(place, pane.element);
  fill(note, where, pages);
  pane.element.focus({ preventScroll: true });

  const stopWatching = () => {
    following?.abort();
    following = undefined;
    note.classList.remove('live');
  };
  const unwatch = (at = last_at()) => {
    follow.checked = false;
    stopWatching();
    void open(at);
  };

  async function open(at) {
    const mine = ++turn;
    say(where, 'Reading');
    const answer = await readBytes(url, at, text_page_bytes + character_rest_max);
    if (ended || mine !== turn) return;
    if (!answer.ok) return refuse(answer);
    total = answer.size;
    if (raw === undefined) {
      binary = isBinary(answer.bytes);
      raw = binary;
      as_bytes.checked = raw;
    }
    // It has become shorter since.
    if (at >= total && at > 0) return open(last_at());
    from = at;
    const page = raw ? answer.bytes.subarray(0, raw_page_bytes) : wholeCharacters(answer.bytes, at === 0);
    pane.show(raw ? bytesInLines(page, at) : new TextDecoder().decode(page));
    const end = Math.min(total, at + page_bytes());
    const size = total < 1024 ? '' : ` (${sized(total)})`;
    say(
      where,
      `${binary ? 'Not text. ' : ''}${
        total === 0
          ? 'Empty'
          : at === 0 && end === total
            ? `${number(total)} bytes${size}`
            : `Bytes ${number(at)} to ${number(end)} of ${number(total)}${size}`
      }`,
    );
    pages.hidden = total <= page_bytes();
    pager.first.disabled = pager.earlier.disabled = at === 0;
    pager.later.disabled = pager.last.disabled = end === total;
  }

  const refuse = answer => {
    stopWatching();
    follow.checked = false;
    pages.hidden = true;
    if (answer.status === 404 && notThere !== undefined) return notThere();
    pane.clear();
    say(where, answer.message.charAt(0).toUpperCase() + answer.message.slice(1));
  };

  /** Follows what is written, from a little before the end, and over broken connections. */
  async function watch() {
    stopWatching();
    const mine = new AbortController();
    following = mine;
    turn++;
    raw = false;
    as_bytes.checked = false;
    pages.hidden = true;
    say(where, 'Connecting');
    pane.clear();
    let position;
    while (!mine.signal.aborted) {
      const known = await readBytes(url, 0, 1);
      if (mine.signal.aborted) return;
      if (!known.ok && known.status !== 0) return refuse(known);
      if (known.ok) {
        // Shorter than what was read already: it was begun anew.
        if (position === undefined) position = Math.max(0, known.size - followed_bytes);
        else if (known.size < position) position = 0;
        const poured = await pour(mine, position);
        if (mine.signal.aborted) return;
        if (poured.refused !== undefined) return refuse(poured.refused);
        // An answer that ends in good order is the end of the attempt, unless the scheduler itself has gone.
        if (!poured.broken && (await readBytes(url, 0, 1)).ok) {
          stopWatching();
          return say(where, pane.empty() ? 'Nothing was written to it' : 'The attempt is over');
        }
        position = poured.position;
      }
      note.classList.remove('live');
      say(where, 'Connection lost, trying again');
      await rested(try_again_ms, mine.signal);
    }
  }

  /** Shows what comes, until nothing more does: where it stopped, and whether that was in the middle. */
  async function pour({ signal }, begin) {
    let position = begin;
    try {
      const response = await fetch(`${url}&follow=true&offset=${begin}`, { signal });
      if (!response.ok) return { position, refused: await refusalOf(response) };
      note.classList.add('live');
      say(where, 'Following');
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      let fresh = begin > 0 && pane.empty();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { position, broken: false };
        position += value.length;
        pane.append(
          decoder.decode(fresh ? wholeCharacters(value, false, value.length) : value, { stream: true }),
          true,
        );
        fresh = false;
      }
    } catch {
      return { position, broken: true };
    }
  }

  void open(0);
  return {
    /** What is to be done when there is no such file, other than to say so. */
    whenNotThere(work) {
      notThere = work;
    },
    end() {
      ended = true;
      stopWatching();
    },
  };
}

const number = n => n.toLocaleString();

const rested = (ms, signal) =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

const isRest = byte => byte !== undefined && (byte & 0xc0) === 0x80;

/** A page without the rest of the character that began before it, and with the rest of the one that began in it. */
export function wholeCharacters(bytes, is_first, page = text_page_bytes) {
  let start = 0;
  if (!is_first) while (start < character_rest_max && isRest(bytes[start])) start++;
  let end = Math.min(page, bytes.length);
  while (end < page + character_rest_max && isRest(bytes[end])) end++;
  return bytes.subarray(start, end);
}

/** More than a tenth of it can only be shown as a picture. */
export function isBinary(bytes) {
  const looked_at = wholeCharacters(bytes, false, raw_page_bytes);
  const text = cleaner()(new TextDecoder().decode(looked_at));
  const strange = text.match(/[\u2400-\u2421\ufffd]/g)?.length ?? 0;
  return strange * 10 > text.length;
}

/** `00000010  48 6f 72 61 65 0a 00 ff  ...  |Horae...|` */
export function bytesInLines(bytes, at) {
  const lines = [];
  for (let line = 0; line < bytes.length; line += 16) {
    const row = [...bytes.subarray(line, line + 16)];
    const numbers = row.map(byte => byte.toString(16).padStart(2, '0'));
    const halves = `${numbers.slice(0, 8).join(' ').padEnd(23)}  ${numbers.slice(8).join(' ').padEnd(23)}`;
    const letters = row.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${(at + line).toString(16).padStart(8, '0')}  ${halves}  |${letters}|\n`);
  }
  return lines.join('');
}
