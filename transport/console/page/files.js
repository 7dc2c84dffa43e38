// files.js: the sandbox of an instance, folder by folder, and what is in a file of it.
//
// Names are what a task made of them. They come as text in which a byte that is no text is written as a number, and are shown
// with whatever would break a line made visible; what is asked for is always the name as it came. Where a link leads only the
// agent knows: it is opened to be seen, and one that leads out of the sandbox is told as what it is.

import { filesPath, readFolder } from './api.js';
import { fill, h, keyed, say } from './dom.js';
import { fileView } from './file.js';
import { icon } from './icons.js';
import { tabs } from './instance.js';
import { visible } from './output.js';
import { live, moveTo } from './time.js';
import { count, instant, size } from './words.js';

/** Rows that are shown before somebody asks for more, and how many more those are then. */
const rows_step = 1_000;
const look_again_ms = 2_000;
/** A folder of many pages is not read through every other second. */
const look_again_long_ms = 15_000;

/** Ways to look into a sandbox, as addresses have them: at a folder, at a file, at whatever a link leads to. */
export const browsing = new Set(['files', 'file', 'link']);

/** `path` is within the sandbox, as the scheduler writes it; `hash(stream, path, attempt)` is an address, `go` moves there. */
export function filesView({ key, name, run, index, stream, path, attempt, close, hash, go }) {
  const files = filesPath(key, run, index);
  let at = { stream, path, attempt };
  let shown = { end: () => undefined };
  const crumbs = h('nav.crumbs', { 'aria-label': 'Folder' });
  const tools = h('div.file-tools', {});
  const place = h('div.looked-at', {});
  const note = h('div.log-note', { role: 'status' });
  /** '' is the latest. */
  const attempts = h('select', {
    hidden: true,
    'aria-label': 'Attempt',
    onchange: () => go(hash(at.stream, at.path, attempts.value === '' ? undefined : attempts.value)),
  });
  attempts.append(h('option', { value: '' }, 'latest attempt'));
  const element = h(
    'aside.log.browser',
    { role: 'dialog', 'aria-label': `Files of ${name}` },
    h(
      'header',
      {},
      h('div', {}, h('h2', {}, name), h('small', {}, `files of instance ${index} of run `, h('code', {}, run))),
      h('button.plain', { type: 'button', 'aria-label': 'Close files', onclick: close }, icon('cross')),
    ),
    h('div.log-tools', {}, tabs('files', hash), attempts),
    h('div.where', {}, crumbs, tools),
    place,
    note,
  );

  const draw = () => {
    shown.end();
    fill(tools);
    fill(note);
    note.className = 'log-note';
    drawCrumbs(crumbs, at, hash);
    const common = { place, tools, note, at };
    const folder = () => folderView({ ...common, files, hash });
    const content = `${files}/content?path=${encodeURIComponent(at.path)}${of(at.attempt)}`;
    const file = () => fileView({ ...common, url: content, label: `${visible(nameIn(at.path))} of ${name}` });
    shown =
      at.stream === 'files' ? folder() : at.stream === 'file' ? file() : linkView({ ...common, files, folder, file });
  };
  return {
    element,
    tell(known) {
      const before = attempts.options.length;
      attempts.hidden = known < 2 && at.attempt === undefined;
      for (let n = before; n < known; n++) attempts.append(h('option', { value: String(n) }, `attempt ${n}`));
      if (at.attempt !== undefined) attempts.value = at.attempt;
    },
    begin: draw,
    /** Whether that is somewhere in the same sandbox: then this has moved there. */
    move(wanted) {
      if (wanted.run !== run || wanted.index !== index || !browsing.has(wanted.stream)) return false;
      at = wanted;
      attempts.value = at.attempt ?? '';
      draw();
      return true;
    },
    end() {
      shown.end();
      element.remove();
    },
  };
}

const of = attempt => (attempt === undefined ? '' : `&attempt=${attempt}`);
const nameIn = path => path.slice(path.lastIndexOf('/') + 1);

function drawCrumbs(nav, { path, attempt }, hash) {
  const parts = path.split('/').filter(part => part !== '');
  const steps = parts.map((part, n) => ({ name: visible(part), path: parts.slice(0, n + 1).join('/') }));
  const last = steps.pop();
  fill(
    nav,
    last === undefined
      ? h('span', { 'aria-current': 'page' }, 'sandbox')
      : h('a', { href: hash('files', '', attempt) }, 'sandbox'),
    steps.map(step => ['/', h('a', { href: hash('files', step.path, attempt) }, h('bdi', {}, step.name))]),
    last !== undefined && ['/', h('span', { 'aria-current': 'page' }, h('bdi', {}, last.name))],
  );
}

// --- a folder -----------------------------------------------------------------------------------------------------------

const looks_of = { folder: 'folder', file: 'file', link: 'link', other: 'other' };
const kind_words = { folder: 'Folder', file: 'File', link: 'Link', other: 'Neither file nor folder' };

/** Its entries, looked at again and again for as long as they are shown. */
function folderView({ files, at, place, note, hash }) {
  let ended = false;
  let timer;
  let rows_wanted = rows_step;
  const rows = h('tbody', {});
  const empty = h('p.empty', { hidden: true }, 'Nothing is in this folder.');
  const more = h('button.plain.small', { type: 'button', hidden: true }, icon('down'), 'Show more');
  more.addEventListener('click', () => {
    rows_wanted += rows_step;
    void look();
  });
  const table = h(
    'table',
    { hidden: true },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Name'),
        h('th.number', { scope: 'col' }, 'Size'),
        h('th.number', { scope: 'col' }, 'Changed'),
        h('th', { scope: 'col' }, h('span.unseen', {}, 'Download')),
      ),
    ),
    rows,
  );
  const body = h('div.folder', { tabindex: '0', 'aria-label': 'Files', 'aria-busy': 'true' }, table, empty, more);
  fill(place, body);
  body.focus({ preventScroll: true });

  const look = async () => {
    clearTimeout(timer);
    const answer = document.hidden && !table.hidden ? undefined : await readFolder(files, { ...at, rows: rows_wanted });
    if (ended) return;
    if (answer?.ok) draw(answer);
    else if (answer !== undefined) {
      body.removeAttribute('aria-busy');
      // What was there stays to be read.
      if (table.hidden) fill(body, h('p.empty', {}, capital(answer.message)));
      else say(note, capital(answer.message));
    }
    timer = setTimeout(look, rows_wanted > rows_step ? look_again_long_ms : look_again_ms);
  };
  const draw = ({ entries, is_all }) => {
    keyed(rows, entries, entry => `${entry.kind} ${entry.name}`, make, update);
    table.hidden = entries.length === 0;
    empty.hidden = entries.length > 0;
    more.hidden = is_all;
    say(
      note,
      is_all ? count(entries.length, 'entry', 'entries') : `The first ${entries.length.toLocaleString()} entries`,
    );
    if (!body.contains(table)) fill(body, table, empty, more);
    body.removeAttribute('aria-busy');
  };
  const make = ({ name, path, kind, mode, user, links }) =>
    h(
      `tr.${kind}`,
      {},
      h(
        'td',
        { title: `${kind_words[kind]}, ${mode}, of ${user}` },
        h('span.unseen', {}, `${kind_words[kind]} `),
        icon(looks_of[kind]),
        kind === 'other'
          ? h('bdi', {}, visible(name))
          : h('a', { href: hash(opened_as[kind], path, at.attempt) }, h('bdi', {}, visible(name))),
      ),
      h('td.number', {}),
      h('td.number', {}, live(0)),
      h(
        'td',
        {},
        kind === 'file' &&
          h(
            'a.button.small.plain',
            { href: `${links.content}&download=true`, 'aria-label': `Download ${visible(name)}`, title: 'Download' },
            icon('download'),
          ),
      ),
    );
  const update = (row, { kind, size: bytes, modified_at }) => {
    say(row.children[1], kind === 'file' ? size(bytes) : '');
    if (kind === 'file') row.children[1].title = count(bytes, 'byte');
    moveTo(row.querySelector('time'), instant(modified_at));
  };
  void look();
  return {
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

const opened_as = { folder: 'files', file: 'file', link: 'link' };
const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

// --- a link -------------------------------------------------------------------------------------------------------------

/** A folder, a file, or nothing that may be shown: which of them is seen when it is asked for. */
function linkView({ files, at, place, tools, note, folder, file }) {
  let shown;
  let ended = false;
  const look = async () => {
    const answer = await readFolder(files, { ...at, rows: 1 });
    if (ended) return;
    if (answer.ok) shown = folder();
    else if (answer.status === 404) {
      shown = file();
      shown.whenNotThere(() => {
        say(note, 'Not opened');
        fill(tools);
        fill(
          place,
          h(
            'div.notice.refused',
            {},
            icon('disabled'),
            h('h2', {}, 'This link is not followed'),
            h('p', {}, 'It leads out of the sandbox, or to nothing. Only what lies in the sandbox is shown.'),
          ),
        );
      });
    } else fill(place, h('p.empty', {}, capital(answer.message)));
  };
  fill(place, h('div.folder', { 'aria-busy': 'true' }));
  void look();
  return {
    end() {
      ended = true;
      shown?.end();
    },
  };
}
