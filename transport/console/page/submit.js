// submit.js: a job as text, and everything that is wrong with it, by place.

import * as api from './api.js';
import { fill, h, say } from './dom.js';
import { icon } from './icons.js';
import { toast } from './toast.js';

const examples = {
  Cron: `role: www
environment: prod
name: nightly-report
description: Counts yesterday's visits and mails the table
command: echo "report for $(date +%F)"
cron: "30 2 * * *"
zone: Europe/Vienna
retries: 2
`,
  Service: `role: www
environment: prod
name: frontend
service: true
instances: 2
command: |
  echo "listening on $PORT_http"
  exec sleep infinity
ports: [http]
cpus: 0.5
mem: 256
`,
  Interval: `role: ops
environment: prod
name: heartbeat
command: echo alive
schedule: R/2026-01-01T00:00:00Z/PT10S
catch_up: {policy: none}
`,
  Once: `role: ops
environment: test
name: hello
command: echo "hello from $(hostname)"
`,
  JSON: `{
  "role": "ops",
  "environment": "prod",
  "name": "cleanup",
  "command": "find /tmp -name '*.old' -delete",
  "cron": "@hourly",
  "overlap": { "policy": "skip" }
}
`,
};

/** `key`: the job that is edited; a new one when left out. `back`: where Cancel leads. */
export function submitView({ feed, key, back, go }) {
  let etag;
  const text = h('textarea', {
    spellcheck: 'false',
    autocapitalize: 'off',
    autocomplete: 'off',
    'aria-label': 'Job document',
    rows: '18',
  });
  const problems = h('div.problems', { role: 'alert', hidden: true });
  const send = h('button.primary', { type: 'submit' }, key === undefined ? 'Submit job' : 'Save changes');
  const form = h(
    'form.submit',
    {
      onsubmit: event => {
        event.preventDefault();
        void submit();
      },
    },
    h('a.back', { href: back }, icon('back'), key === undefined ? 'Jobs' : key),
    h('h1', {}, key === undefined ? 'New job' : 'Edit job'),
    h('p.about', {}, 'YAML or JSON. ', h('kbd', {}, 'Ctrl'), ' ', h('kbd', {}, 'Enter'), ' submits.'),
    key === undefined &&
      h(
        'div.examples',
        {},
        h('span', {}, 'Begin with'),
        Object.entries(examples).map(([name, example]) =>
          h(
            'button.small',
            {
              type: 'button',
              onclick: () => {
                text.value = example;
                problems.hidden = true;
                text.focus();
              },
            },
            name,
          ),
        ),
      ),
    text,
    problems,
    h('div.actions', {}, send, h('a.button', { href: back }, 'Cancel')),
  );

  const submit = async () => {
    send.disabled = true;
    problems.hidden = true;
    const answer = key === undefined ? await api.createJob(text.value) : await api.replaceJob(key, text.value, etag);
    send.disabled = false;
    if (!answer.ok) return show(answer);
    const made = answer.body?.key ?? key;
    toast('good', key === undefined ? `${made} was submitted` : `${made} was changed`);
    go(made === undefined ? '#/' : api.jobHash(made));
  };

  const show = answer => {
    problems.hidden = false;
    fill(
      problems,
      h(
        'p',
        {},
        icon('alert'),
        answer.problems.length > 1 ? `${answer.problems.length} things are wrong` : answer.message,
      ),
      answer.problems.length > 0 &&
        h(
          'ul',
          {},
          answer.problems.map(({ place, message, expected }) =>
            h(
              'li',
              {},
              h(
                'button.plain.place',
                { type: 'button', title: 'Show it in the text', onclick: () => point(place) },
                place === '' ? 'document' : place,
              ),
              h('span', {}, message),
              expected !== '' && !message.includes(expected) && h('small', {}, `expected ${expected}`),
            ),
          ),
        ),
    );
    problems.scrollIntoView({ block: 'nearest' });
  };

  /** Selects the line that a place speaks of: a JSON pointer, or `line 3, column 5`. */
  const point = place => {
    const lines = text.value.split('\n');
    const [, line] = /^line (\d+)/.exec(place) ?? [];
    const names = place.split('/').filter(part => part !== '' && !/^\d+$/.test(part));
    const wanted = names.at(-1)?.replaceAll('~1', '/').replaceAll('~0', '~');
    const at =
      line === undefined
        ? lines.findIndex(
            each => wanted !== undefined && new RegExp(`(^|[\\s{,"'-])${escaped(wanted)}["']?\\s*:`).test(each),
          )
        : Number(line) - 1;
    if (at < 0) return text.focus();
    const from = lines.slice(0, at).join('\n').length + (at > 0 ? 1 : 0);
    text.focus();
    text.setSelectionRange(from, from + (lines[at]?.length ?? 0));
  };

  text.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  return {
    element: form,
    title: key === undefined ? 'New job – Horae' : `${key} – Horae`,
    async begin() {
      // Nothing is looked at here but the text: a window of no rows.
      feed.watch({ watch: 'list', search: '', filter: 'all', sort: 'key', descending: false, offset: 0, limit: 0 });
      if (key === undefined) {
        text.value = examples.Cron;
        return text.focus();
      }
      const answer = await api.readJob(key);
      if (!answer.ok) return show(answer);
      etag = answer.body.etag;
      text.value = `${JSON.stringify(answer.body.job, null, 2)}\n`;
      say(send, 'Save changes');
      text.focus();
      text.setSelectionRange(0, 0);
    },
    frame: () => undefined,
    key(event) {
      if (event.key === 'Escape') go(back);
    },
    end: () => undefined,
  };
}

const escaped = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
