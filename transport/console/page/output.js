// output.js: a pane of text that somebody else wrote: logs and files.
//
// It is anybody's bytes. It becomes text nodes; control characters are shown as the pictures that Unicode has for them,
// colours of terminals are left out, and what is far back is dropped, so that a job that talks for days fits in a page.

import { h } from './dom.js';

const shown_characters_max = 2_000_000;
/** A piece of output becomes text nodes of at most this many characters, so that old ones can go one by one. */
const node_characters_max = 65_536;

export function outputPane(label) {
  let shown = 0;
  let clean = cleaner();
  const element = h('pre.output', { tabindex: '0', 'aria-label': label });
  const atEnd = () => element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  const clear = () => {
    shown = 0;
    clean = cleaner();
    element.replaceChildren();
  };
  return {
    element,
    empty: () => shown === 0,
    clear,
    wrap: on => element.classList.toggle('wrapped', on),
    /** `stick`: whoever looks at the end goes on looking at the end. */
    append(piece, stick) {
      const sticks = stick && atEnd();
      const cleaned = clean(piece);
      for (let from = 0; from < cleaned.length; from += node_characters_max)
        element.append(cleaned.slice(from, from + node_characters_max));
      shown += cleaned.length;
      while (shown > shown_characters_max && element.childNodes.length > 1) {
        shown -= element.firstChild.length;
        element.firstChild.remove();
      }
      if (sticks) element.scrollTop = element.scrollHeight;
    },
    /** Another text in the place of what is there, from its beginning. */
    show(text) {
      clear();
      this.append(text, false);
      element.scrollTop = 0;
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

/**
 * A name of a file as it can be read: what would break its line, or turn it round, is written as its bytes, as the scheduler
 * writes bytes that are no text.
 */
export const visible = name =>
  name.replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, character =>
    [...new TextEncoder().encode(character)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
