// log.test.ts: what a letter quotes of what a task wrote: its last whole lines, within a limit, as text that does no harm.

import test from 'ava';
import type { Sandboxes, SandboxFile } from '../../actors/model/views.ts';
import { lettersOf } from '../../programs/letters.ts';
import type { Channels } from '../../transport/notify/open.ts';

const channels: Channels = { get: () => undefined, standing: [], close: async () => undefined };

/** A task that wrote this, on an agent that tells at most `piece` bytes at a time. */
function quoted(
  written: { readonly stdout?: string | Buffer; readonly stderr?: string | Buffer },
  max: number,
  piece = 1_000,
) {
  const open: SandboxFile[] = [];
  const sandboxes: Pick<Sandboxes, 'open'> = {
    async open(_agent, _task, name) {
      const given = written[name as 'stdout' | 'stderr'];
      if (given === undefined) return undefined;
      const bytes = Buffer.from(given);
      const file: SandboxFile = {
        size: async () => bytes.length,
        read: async (position, length) => bytes.subarray(position, position + Math.min(length, piece)),
        async close() {
          open.splice(open.indexOf(file), 1);
        },
      };
      open.push(file);
      return file;
    },
  };
  const letters = lettersOf(channels, { ...sandboxes, list: async () => undefined }, max);
  return letters.readLog('a1', 'www:prod:x:1.once:0:1').then(text => ({ text, open: open.length }));
}

test('the last whole lines of a long log are quoted, whatever an agent tells at a time', async t => {
  const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n}`).join('\n');
  for (const piece of [1, 7, 100_000]) {
    const { text, open } = await quoted({ stdout: `${lines}\n` }, 100, piece);
    t.is(
      text,
      Array.from({ length: 9 }, (_, n) => `line ${19_991 + n}`)
        .join('\n')
        .slice(-98),
    );
    t.true(Buffer.byteLength(text!) <= 100);
    t.is(open, 0);
  }
});

test('a log that fits is quoted whole, and both have their part where there are two', async t => {
  t.is((await quoted({ stdout: 'one\ntwo\n' }, 100)).text, 'one\ntwo');
  t.is((await quoted({ stdout: 'out\n', stderr: '' }, 100)).text, 'out');
  t.is((await quoted({ stderr: 'err\n' }, 100)).text, 'err');
  t.is((await quoted({ stdout: 'out\n', stderr: 'err\n' }, 100)).text, 'stdout:\nout\nstderr:\nerr');
  const long = `${'x'.repeat(40)}\n`.repeat(100);
  const { text } = await quoted({ stdout: long, stderr: 'short\n' }, 200);
  t.regex(text!, /^stdout:\n(x{40}\n){4}stderr:\nshort$/);
});

test('nothing is quoted of a task that wrote nothing, is gone, or is not to be quoted', async t => {
  t.is((await quoted({}, 100)).text, undefined);
  t.is((await quoted({ stdout: '', stderr: '\n\n' }, 100)).text, undefined);
  t.is((await quoted({ stdout: 'secret' }, 0)).text, undefined);
});

test('colours go, what cannot be printed is seen as such, and a line that is cut begins with a whole character', async t => {
  t.is(
    (await quoted({ stdout: '\u001b[31mred\u001b[0m\r\nnul\u0000 bell\u0007\ttab\n' }, 100)).text,
    'red\nnul\ufffd bell\ufffd\ttab',
  );
  const { text } = await quoted({ stdout: '\u00e4'.repeat(1_000) }, 101);
  t.is(text, '\u00e4'.repeat(50));
  t.is((await quoted({ stdout: Buffer.from([0xff, 0xfe, 0x41]) }, 100)).text, '\ufffd\ufffdA');
});
