// cli-leader.test.ts: `horae leader`: a line becomes a request, an answer becomes lines.

import { join } from 'node:path';
import test from 'ava';
import { printLeader, readLeader } from '../transport/cli/leader.ts';
import { serve } from './http/support/serve.ts';
import { startChild } from './support/child.ts';

test('a line asks who leads, or for another leader', t => {
  const env = { HORAE_URL: 'https://horae.example.com/', HORAE_TOKEN: 'secret' };
  t.deepEqual(readLeader(['--json'], env), {
    ok: true,
    value: {
      method: 'GET',
      url: 'https://horae.example.com/api/v1/leader',
      headers: { authorization: 'Bearer secret' },
      json: true,
    },
  });
  t.like(readLeader(['transfer'], {}), {
    value: { method: 'POST', url: 'http://127.0.0.1:8080/api/v1/leader/transfer' },
  });
  t.like(readLeader(['transfer', '--to', 'a b'], {}), {
    value: { url: 'http://127.0.0.1:8080/api/v1/leader/transfer?to=a%20b' },
  });
});

test('a line that cannot be asked is refused with what would be right', t => {
  for (const [argv, said] of [
    [['transfr'], /expected "transfer", or flags alone/],
    [['transfer', 'b'], /expected "transfer", or flags alone/],
    [['--to', 'b'], /--to is given without "transfer"/],
    [['--url', 'horae'], /--url is horae: expected an address/],
    [['transfer', '--too', 'b'], /unknown flag --too: expected --to/],
  ] as const) {
    const read = readLeader(argv, {});
    t.regex(read.ok ? '' : (read.problems[0]?.message ?? ''), said);
  }
});

test('answers are told in words', t => {
  const node = { id: 'b', mode: 'standing', position: 7 };
  t.is(
    printLeader({ leader: { id: 'a', url: 'http://a:1' }, node }),
    'a leads, at http://a:1\nb is standing, at position 7\n',
  );
  t.is(printLeader({ leader: null, node }), 'nobody leads\nb is standing, at position 7\n');
  t.is(printLeader({ from: 'a' }), 'a hands leadership over to whoever is next in line\n');
  t.is(printLeader({ from: 'a', to: 'c' }), 'a hands leadership over to c\n');
});

test('the program asks a scheduler that runs, and says what it refuses', async t => {
  const { url } = await serve(t);
  const main = join(import.meta.dirname, '..', 'main.ts');
  const asking = startChild(t, { command: process.execPath, argv: [main, 'leader', '--url', url] });
  t.is((await asking.ended).status, 0);
  t.regex(asking.output(), /^local leads, at http/);
  const transfer = startChild(t, { command: process.execPath, argv: [main, 'leader', 'transfer', '--url', url] });
  t.is((await transfer.ended).status, 1);
  t.regex(transfer.output(), /horae: the scheduler answered 422: this scheduler runs alone/);
});
