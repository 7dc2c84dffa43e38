// sandboxes.js: what became of the folders of ended tasks: for whoever looks for a log that is not there any more.

import * as api from './api.js';
import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { local } from './time.js';
import { toast } from './toast.js';
import { count, instant, size } from './words.js';

const whys = { age: 'too old', count: 'too many', disk: 'the disk was filling up' };

export function sandboxesView({ feed, back, go }) {
  const body = h('div', {});
  const element = h(
    'section.sandboxes',
    { 'aria-busy': 'true' },
    h('a.back', { href: back }, icon('back'), 'Jobs'),
    h(
      'div.title',
      {},
      h('h1', {}, 'Sandboxes'),
      h('p', {}, 'Each attempt has a folder, with its output in it. It stays for a while when the attempt has ended.'),
    ),
    body,
  );
  const draw = ({ kept_by, free_bytes, total_bytes, rules, swept }) => {
    if (kept_by === 'mesos')
      return fill(
        body,
        h(
          'div.notice',
          {},
          h('h2', {}, 'The agents of Mesos keep them'),
          h(
            'p',
            {},
            'Each for its --gc_delay, a week if nobody set it, and shorter when its disk fills up. They tell nobody what went.',
          ),
        ),
      );
    fill(
      body,
      h(
        'section.card',
        {},
        h('h2', {}, 'What stays'),
        h(
          'p',
          {},
          `The latest ${rules.sandboxes_max.toLocaleString()}, for ${count(rules.days, 'day')}, as long as ${rules.free_percent} % of the disk are free. `,
          `Of ${size(total_bytes)} now ${size(free_bytes)} are (${Math.floor((free_bytes / total_bytes) * 100)} %).`,
        ),
      ),
      h(
        'section.card',
        {},
        h('h2', {}, 'What went'),
        swept.length === 0 && h('p.empty', {}, 'Nothing yet.'),
        swept.length > 0 &&
          h(
            'table',
            {},
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ['When', 'Whose', 'Why', 'Ended', 'Size'].map(text => h('th', { scope: 'col' }, text)),
              ),
            ),
            h('tbody', {}, swept.map(row)),
          ),
      ),
    );
  };
  const row = ({ at, why, ended_at, bytes, tasks }) =>
    h(
      'tr',
      {},
      h('td', {}, local(instant(at))),
      h(
        'td',
        {},
        tasks.map(({ job, run, index, attempt }) =>
          h(
            'div',
            {},
            h('a', { href: api.jobHash(job) }, job),
            ' ',
            h('small', {}, `${run}, instance ${index}, attempt ${attempt}`),
          ),
        ),
      ),
      h('td', {}, whys[why] ?? why),
      h('td', {}, local(instant(ended_at))),
      h('td.number', {}, size(bytes)),
    );

  return {
    element,
    title: 'Sandboxes – Horae',
    async begin() {
      // Nothing is looked at here that the feed tells of: a window of no rows.
      feed.watch({ watch: 'list', search: '', filter: 'all', sort: 'key', descending: false, offset: 0, limit: 0 });
      const answer = await api.readSwept();
      element.setAttribute('aria-busy', 'false');
      if (answer.ok) draw(answer.body);
      else toast('bad', 'What became of sandboxes could not be read', answer.message);
    },
    frame: () => undefined,
    key(event) {
      if (event.key === 'Escape') go(back);
    },
    end: () => undefined,
  };
}
