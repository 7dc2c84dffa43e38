// toast.js: short notes on what became of an action.

import { h } from './dom.js';
import { icon } from './icons.js';

const shown_ms = { good: 4_000, bad: 10_000 };
const toasts_max = 4;

export function toast(kind, text, detail) {
  const place = document.getElementById('toasts');
  const note = h(
    `div.toast.${kind}`,
    {},
    icon(kind === 'good' ? 'check' : 'alert'),
    h('div', {}, h('strong', {}, text), detail && h('p', {}, detail)),
    h('button.plain', { type: 'button', 'aria-label': 'Dismiss', onclick: () => note.remove() }, icon('cross')),
  );
  place.append(note);
  while (place.children.length > toasts_max) place.firstElementChild.remove();
  setTimeout(() => note.remove(), shown_ms[kind]);
}

/** Says what became of an answer of api.js, and hands it on. */
export function report(answer, success, failure) {
  if (answer.ok) toast('good', success);
  else toast('bad', failure, answer.message);
  return answer;
}
