// main.js: the frame around the views: the bar, the address, the keyboard.

import { jobHash } from './api.js';
import { calendarsView } from './calendars.js';
import { isAsking } from './dialog.js';
import { fill, h, say } from './dom.js';
import { connect } from './feed.js';
import { browsing } from './files.js';
import { icon } from './icons.js';
import { jobView } from './job.js';
import { lettersView } from './letters.js';
import { listView } from './list.js';
import { sandboxesView } from './sandboxes.js';
import { submitView } from './submit.js';
import { live, startTicking } from './time.js';
import { count } from './words.js';

const page = document.getElementById('page');
const link = h('button.link', { type: 'button', onclick: () => feed.hurry() });
/** Who leads, where several nodes make one scheduler. */
const leading = h('a.leading', { hidden: true });
/** Letters that were given up: somebody does not know what he should. */
const undelivered = h('b.badge.failed.undelivered', { hidden: true });
fill(
  document.getElementById('bar'),
  h(
    'div.inside',
    {},
    h('a.brand', { href: '#/' }, h('img', { src: '/console/icon.svg', alt: '', width: '28', height: '28' }), 'Horae'),
    link,
    leading,
    h('a.nav', { href: '#/calendars', 'aria-label': 'Calendars' }, icon('cron'), h('span', {}, 'Calendars')),
    h(
      'a.nav',
      { href: '#/notifications', 'aria-label': 'Notifications' },
      icon('letter'),
      h('span', {}, 'Notifications'),
      undelivered,
    ),
    h('a.nav', { href: '#/sandboxes', 'aria-label': 'Sandboxes' }, icon('trash'), h('span', {}, 'Sandboxes')),
    h('a.button.primary', { href: '#/new' }, icon('plus'), h('span', {}, 'New job')),
  ),
);

let view;
/** The list as it was last searched and filtered: where Esc and the way back lead. */
let list_hash = '#/';
const feed = connect({
  onFrame: frame => view?.frame(frame),
  onLetters(letters) {
    undelivered.hidden = letters.dead === 0;
    say(undelivered, letters.dead.toLocaleString());
    undelivered.title = `${count(letters.dead, 'letter')} could not be delivered`;
    view?.letters?.(letters);
  },
  onCluster({ node, leader }) {
    leading.hidden = false;
    leading.classList.toggle('nobody', leader === null);
    fill(
      leading,
      leader === null ? 'Nobody leads' : leader.id === node ? `${node} leads` : `${node} follows ${leader.id}`,
    );
    leading.title =
      leader === null
        ? 'Nothing is started, and nothing can be changed, until a node leads again'
        : 'This page is shown by a node of a cluster; changes are carried to the leader';
    if (leader === null) leading.removeAttribute('href');
    else leading.href = leader.url;
  },
  onState({ state, retry_at }) {
    link.className = `link ${state}`;
    document.body.classList.toggle('offline', state !== 'live');
    if (state === 'live') fill(link, h('span.dot', {}), 'Live');
    if (state === 'connecting') fill(link, h('span.dot', {}), 'Connecting');
    if (state === 'waiting') fill(link, h('span.dot', {}), 'Offline, trying again ', live(retry_at));
    link.title = state === 'waiting' ? 'Try now' : 'Changes appear by themselves';
  },
});

const go = hash => {
  if (location.hash === hash) route();
  else location.hash = hash;
};

/**
 * `#/`, `#/?filter=failing`, `#/new`, `#/calendars[/NAME]`, `#/notifications[/STATE]`, `#/sandboxes`,
 * `#/jobs/ROLE/ENV/NAME`, `.../edit`,
 * `.../runs/RUN/INDEX[/life|/stderr]`, `.../runs/RUN/INDEX/stdout/PROCESS`, `.../runs/RUN/INDEX/files[/FOLDER][?attempt=2]`,
 * `.../runs/RUN/INDEX/file/PATH`, `.../runs/RUN/INDEX/link/PATH`: a path is one part, its slashes encoded.
 */
function route() {
  const [path, query = ''] = location.hash.slice(1).split('?');
  const parts = path.split('/').filter(Boolean).map(decoded);
  const [place, role, environment, name, what, run, index, stream = 'stdout', within] = parts;
  if (place === 'calendars') return show(calendarsView({ feed, back: list_hash, go, name: role }));
  if (place === 'notifications') return show(lettersView({ feed, back: list_hash, go, state: role }));
  if (place === 'sandboxes') return show(sandboxesView({ feed, back: list_hash, go }));
  if (place === 'new') return show(submitView({ feed, back: list_hash, go }));
  if (place !== 'jobs' || name === undefined) {
    const onQuery = next => {
      list_hash = next.size > 0 ? `#/?${next}` : '#/';
      history.replaceState(null, '', list_hash);
    };
    list_hash = query === '' ? '#/' : `#/?${query}`;
    return show(listView({ feed, query: new URLSearchParams(query), onQuery, open: key => go(jobHash(key)) }));
  }
  const key = [role, environment, name].join('/');
  if (what === 'edit') return show(submitView({ feed, key, back: jobHash(key), go }));
  const log =
    what === 'runs' && index !== undefined
      ? { run, index: Number(index), ...lookedAt(stream, within, new URLSearchParams(query).get('attempt')) }
      : undefined;
  if (view?.key_of === key) return view.move(log);
  return show(jobView({ feed, key, log, back: list_hash, go }));
}

/** What of an instance an address means. */
function lookedAt(stream, within, attempt) {
  if (browsing.has(stream)) return { stream, path: within ?? '', ...(attempt === null ? {} : { attempt }) };
  return { stream: ['life', 'stderr'].includes(stream) ? stream : 'stdout', process: within };
}

function show(next) {
  view?.end();
  view = next;
  document.title = next.title;
  fill(page, next.element);
  scrollTo(0, 0);
  void next.begin();
}

/** A `%` that somebody typed is no reason to show nothing. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

addEventListener('hashchange', route);
document.addEventListener('keydown', event => {
  if (isAsking() || event.isComposing) return;
  const writing = event.target.closest?.('textarea, input:not([type=search]):not([type=checkbox]), select') !== null;
  if ((writing && event.key !== 'Escape') || event.altKey || event.ctrlKey || event.metaKey) return;
  view?.key(event);
});
startTicking();
route();
