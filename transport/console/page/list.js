// list.js: all jobs, as many of them on the screen as fit.
//
// The page is as tall as the whole list, but only the rows in sight exist: the feed is asked for a window around them and
// keeps that window true. Scrolling moves the window.

import { jobHash } from './api.js';
import { fill, h, keyed, say } from './dom.js';
import { icon } from './icons.js';
import { live, local } from './time.js';
import { count, filters, kinds, nameOf, states } from './words.js';

const margin_rows = 20;
const window_rows_max = 200;
const cached_rows_max = 1_000;
const search_delay_ms = 120;
const narrow = matchMedia('(max-width: 760px)');

const columns = [
  ['state', 'State'],
  ['key', 'Job'],
  [undefined, 'Runs'],
  ['next', 'Next run'],
  ['last', 'Last run'],
  [undefined, 'So far'],
];

/** What outlives the view, so that coming back finds the list as it was left. */
const remembered = { scroll: 0, selected: undefined };

/** `query`: `{ q, filter, sort, desc }` from the address; `onQuery` is told when it changes. */
export function listView({ feed, query, onQuery, open }) {
  const asked = {
    search: query.get('q') ?? '',
    filter: query.get('filter') in filters ? query.get('filter') : 'all',
    sort: ['state', 'next', 'last'].includes(query.get('sort')) ? query.get('sort') : 'key',
    descending: query.get('desc') === '1',
  };
  let total;
  let counters = {};
  /** Rows by their place in the whole list. */
  const cache = new Map();
  let window_shown = { offset: 0, keys: [] };
  let range_asked = '';
  let question_asked = '';
  let question_shown = '';
  let restore = remembered.scroll;
  let typing;

  const search = h('input', {
    type: 'search',
    placeholder: 'Search jobs',
    'aria-label': 'Search jobs',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: '200',
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => change({ search: search.value }), search_delay_ms);
    },
  });
  search.value = asked.search;
  const chips = h('nav.chips', { 'aria-label': 'Filters' });
  const heads = h('div.heads', {});
  const sizer = h('div.rows', { role: 'list', 'aria-label': 'Jobs' });
  const notice = h('div.notice', { hidden: true });
  const sort_choice = h('select', {
    'aria-label': 'Order',
    onchange: () => change({ sort: sort_choice.value, descending: sort_choice.value === 'last' }),
  });
  sort_choice.append(
    ...columns
      .filter(([sort]) => sort !== undefined)
      .map(([sort, name]) => h('option', { value: sort }, `By ${name.toLowerCase()}`)),
  );
  const element = h(
    'section.list',
    {},
    h('div.tools', {}, h('label.search', {}, icon('search'), search, h('kbd', {}, '/')), sort_choice),
    chips,
    h('div.table', {}, heads, sizer, notice),
  );

  const row_px = () => (narrow.matches ? 84 : 68);

  /** First and last place in sight, with some to spare. */
  const inSight = () => {
    const top = sizer.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / row_px()));
    const shown = Math.ceil(innerHeight / row_px()) + 1;
    return { first: Math.max(0, first - 4), last: Math.min(total ?? shown, first + shown + 4) };
  };

  const ask = () => {
    const { first, last } = inSight();
    const inside = first >= window_shown.offset && last <= window_shown.offset + window_shown.keys.length;
    const question = JSON.stringify(asked);
    if (question === question_asked && question === question_shown && inside) return;
    const offset = Math.max(0, Math.floor((first - margin_rows) / margin_rows) * margin_rows);
    const limit = Math.min(window_rows_max, Math.ceil((last - offset + margin_rows) / margin_rows) * margin_rows);
    if (question === question_asked && range_asked === `${offset} ${limit}`) return;
    question_asked = question;
    range_asked = `${offset} ${limit}`;
    feed.watch({ watch: 'list', ...asked, offset, limit });
  };

  const change = what => {
    Object.assign(asked, what);
    remembered.selected = undefined;
    if (scrollY > 0) scrollTo(0, 0);
    const next = new URLSearchParams();
    if (asked.search !== '') next.set('q', asked.search);
    if (asked.filter !== 'all') next.set('filter', asked.filter);
    if (asked.sort !== 'key') next.set('sort', asked.sort);
    if (asked.descending) next.set('desc', '1');
    onQuery(next);
    drawTools();
    ask();
  };

  const drawTools = () => {
    sort_choice.value = asked.sort;
    keyed(
      chips,
      Object.keys(filters),
      filter => filter,
      filter =>
        h(
          `button.chip.${filter}`,
          { type: 'button', onclick: () => change({ filter: asked.filter === filter ? 'all' : filter }) },
          h('span.count', {}, '–'),
          h('span', {}, filters[filter]),
        ),
      (chip, filter) => {
        const n = counters[filter];
        chip.setAttribute('aria-pressed', String(asked.filter === filter));
        chip.classList.toggle('none', n === 0);
        say(chip.firstElementChild, n === undefined ? '–' : n.toLocaleString());
      },
    );
    keyed(
      heads,
      columns,
      ([, name]) => name,
      ([sort, name]) =>
        sort === undefined
          ? h('span', {}, name)
          : h(
              'button',
              {
                type: 'button',
                onclick: () => change({ sort, descending: asked.sort === sort ? !asked.descending : sort === 'last' }),
              },
              name,
              icon('down'),
            ),
      (head, [sort]) => {
        if (sort === undefined) return;
        const active = asked.sort === sort;
        head.classList.toggle('active', active);
        head.classList.toggle('up', active && !asked.descending);
        head.title = active ? 'Turn the order round' : 'Sort by this';
      },
    );
  };

  const draw = () => {
    if (total === undefined) return;
    sizer.style.height = `${total * row_px()}px`;
    const { first, last } = inSight();
    const places = Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n);
    keyed(
      sizer,
      places.map(place => ({ place, row: cache.get(place) })),
      ({ place, row }) => row?.key ?? `#${place}`,
      ({ row }) =>
        row === undefined
          ? h('div.row.blank', { 'aria-hidden': 'true' }, h('span.bone', {}), h('span.bone', {}))
          : rowElement(row),
      (line, { place, row }) => {
        const y = `translateY(${place * row_px()}px)`;
        if (line.style.transform !== y) line.style.transform = y;
        if (row === undefined) return;
        line.dataset.place = String(place);
        line.classList.toggle('selected', row.key === remembered.selected);
        if (line.shown_row !== row) {
          line.shown_row = row;
          fill(line, ...cells(row));
        }
      },
    );
    drawNotice();
  };

  const rowElement = row => {
    const line = h('a.row', {
      href: jobHash(row.key),
      role: 'listitem',
      onfocus: () => select(row.key),
      onclick: () => select(row.key),
    });
    return line;
  };

  const select = key => {
    remembered.selected = key;
    for (const line of sizer.children) line.classList.toggle('selected', line.dataset.key === key);
  };

  const drawNotice = () => {
    notice.hidden = total > 0;
    if (total > 0) return;
    const empty = asked.search === '' && asked.filter === 'all';
    const key = empty ? 'empty' : 'none';
    if (notice.dataset.shown === key) return;
    notice.dataset.shown = key;
    if (empty)
      fill(
        notice,
        h('h2', {}, 'No jobs yet'),
        h('p', {}, 'A job is a command with a schedule, a service that is kept running, or something to run once.'),
        h('a.button.primary', { href: '#/new' }, icon('plus'), 'Submit the first one'),
      );
    else
      fill(
        notice,
        h('h2', {}, 'Nothing matches'),
        h('p', {}, 'No job fits this search and filter.'),
        h(
          'button',
          {
            type: 'button',
            onclick: () => {
              search.value = '';
              change({ search: '', filter: 'all' });
            },
          },
          'Show all jobs',
        ),
      );
  };

  const step = by => {
    if (total === undefined || total === 0) return;
    const known = [...cache].find(([, row]) => row.key === remembered.selected)?.[0];
    const place = known === undefined ? inSight().first : Math.max(0, Math.min(total - 1, known + by));
    const row = cache.get(place);
    if (row === undefined) return;
    const top = sizer.getBoundingClientRect().top + place * row_px();
    const bar_px = 72;
    if (top < bar_px) scrollBy(0, top - bar_px);
    else if (top + row_px() > innerHeight) scrollBy(0, top + row_px() - innerHeight + 8);
    select(row.key);
    draw();
    [...sizer.children].find(line => line.dataset.key === row.key)?.focus({ preventScroll: true });
  };

  const onScroll = () => {
    remembered.scroll = scrollY;
    ask();
    draw();
  };
  addEventListener('scroll', onScroll, { passive: true });
  addEventListener('resize', onScroll);
  drawTools();

  return {
    element,
    title: 'Horae',
    begin: ask,
    frame(frame) {
      if (frame.type !== 'list') return;
      if (frame.fresh) {
        if (question_shown !== question_asked || cache.size > cached_rows_max) cache.clear();
        question_shown = question_asked;
        window_shown = { offset: frame.offset, keys: frame.keys };
      } else if (frame.keys !== undefined) window_shown = { ...window_shown, keys: frame.keys };
      const known = new Map([...cache.values(), ...frame.rows].map(row => [row.key, row]));
      for (const [n, key] of window_shown.keys.entries()) {
        const row = known.get(key);
        if (row !== undefined) cache.set(window_shown.offset + n, row);
      }
      // A job that moved up or left must not be on the screen twice.
      const inside = new Set(window_shown.keys);
      const end = window_shown.offset + window_shown.keys.length;
      for (const [place, row] of cache)
        if ((place < window_shown.offset || place >= end) && inside.has(row.key)) cache.delete(place);
      total = frame.total ?? total;
      for (const place of cache.keys()) if (place >= total) cache.delete(place);
      if (frame.counters !== undefined) {
        counters = frame.counters;
        drawTools();
      }
      draw();
      if (restore > 0) {
        scrollTo(0, restore);
        restore = 0;
      }
      ask();
    },
    key(event) {
      const in_search = document.activeElement === search;
      if (event.key === '/' && !in_search) {
        event.preventDefault();
        search.focus();
        search.select();
      } else if (event.key === 'ArrowDown' || (event.key === 'j' && !in_search)) {
        event.preventDefault();
        step(1);
      } else if (event.key === 'ArrowUp' || (event.key === 'k' && !in_search)) {
        event.preventDefault();
        step(-1);
      } else if (event.key === 'Enter' && !event.target.closest?.('a, button') && remembered.selected !== undefined) {
        open(remembered.selected);
      } else if (event.key === 'Escape') {
        if (search.value !== '') {
          search.value = '';
          change({ search: '' });
        }
        search.blur();
      }
    },
    end() {
      clearTimeout(typing);
      removeEventListener('scroll', onScroll);
      removeEventListener('resize', onScroll);
    },
  };
}

/** A state as shape, colour and word. */
export function badge(state, text = states[state] ?? state, look = state) {
  return h(`span.badge.${look}`, {}, icon(look), h('span', {}, text));
}

function cells(row) {
  const [role, environment] = row.key.split('/');
  const several = row.kind === 'service' || row.live > 1;
  const details = [
    row.state === 'running' && several && `${row.running.toLocaleString()} of ${row.live.toLocaleString()}`,
    row.waiting > 0 && row.state !== 'waiting' && `${row.waiting.toLocaleString()} waiting`,
    !row.enabled && row.state !== 'disabled' && 'disabled',
  ].filter(Boolean);
  return [
    h('span.cell.state', {}, badge(row.state), details.length > 0 && h('small', {}, details.join(', '))),
    h(
      'span.cell.name',
      {},
      h('strong', {}, nameOf(row.key)),
      h(
        'small',
        {},
        h('span.place', {}, `${role} / ${environment}`),
        row.description && h('span.about', {}, row.description),
      ),
    ),
    h(
      'span.cell.plan',
      {},
      icon(row.kind),
      h('span', {}, h('span.words', {}, planOf(row)), row.schedule && h('small.code', {}, row.schedule)),
    ),
    h(
      'span.cell.next',
      {},
      row.next_at === undefined ? h('span.dash', {}, '–') : [live(row.next_at), h('small', {}, local(row.next_at))],
    ),
    h(
      'span.cell.last',
      {},
      row.last_at === undefined
        ? h('span.dash', {}, '–')
        : [
            h(
              `span.outcome.${row.last_outcome}`,
              {},
              icon(row.last_outcome === 'succeeded' ? 'check' : 'alert'),
              states[row.last_outcome],
            ),
            h('small', {}, live(row.last_at)),
          ],
    ),
    h(
      'span.cell.tally',
      {},
      row.successes + row.failures === 0
        ? h('span.dash', {}, '–')
        : [
            h('span', {}, `${row.successes.toLocaleString()} ok`),
            row.failures > 0 &&
              h(
                `small${row.failures_in_a_row > 0 ? '.streak' : ''}`,
                {},
                row.failures_in_a_row > 1
                  ? `${row.failures_in_a_row} failed in a row`
                  : `${row.failures.toLocaleString()} failed`,
              ),
          ],
    ),
  ];
}

function planOf(row) {
  if (row.kind === 'service') return row.live > 1 ? `Service, ${count(row.live, 'instance')}` : 'Service';
  if (row.kind === 'once') return 'Once';
  // The zone has its place on the job's page.
  const words = (row.words ?? kinds[row.kind]).replace(/, in [\w+/-]+$/, '').replace(/ from \d{4}-\S+/, '');
  const more = row.schedules_more === undefined ? '' : `, and ${row.schedules_more} more`;
  return words.charAt(0).toUpperCase() + words.slice(1) + more;
}
