// sync.ts: a directory of job files against an empty scheduler: how long until it has them all, and until nothing is found to do.
//
// The program as people start it, and `horae sync` as people run it: a process of its own, its start counted. The jobs are
// families as ETL has them: one in ten has a schedule, every other follows one to three that were drawn before it, so that the
// files, which stand in another order, must be brought into theirs. Both layouts, the native one and Chronos's; and the worst
// there is, one long chain, of which only one job can be written at a time. In the end one file in the middle is broken and
// another changed.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { main, withProgram } from './program.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { files: 1_000 });
const run = promisify(execFile);

/** The same family each time: what is drawn depends on the place alone. */
const drawn = (index: number, salt: number) => (Math.imul(index + 1, 2_654_435_761) + salt * 40_503) >>> 0;
const nameOf = (index: number) => `j${(drawn(index, 7) % 65_536).toString(16)}-${index}`;
const family = (index: number): readonly string[] => {
  if (index % 10 === 0) return [];
  const wanted = 1 + (drawn(index, 1) % 3);
  return [...new Set(Array.from({ length: wanted }, (_, n) => nameOf(drawn(index, n + 2) % index)))];
};

const chain = (index: number): readonly string[] => (index === 0 ? [] : [nameOf(index - 1)]);

type Directory = { readonly file: (index: number) => string; readonly text: (index: number, more: string) => string };
const native = (parentsOf: (index: number) => readonly string[]): Directory => ({
  file: index => `bench/sync/${nameOf(index)}.yaml`,
  text: (index, more) => {
    const parents = parentsOf(index);
    const when = parents.length === 0 ? 'cron: "0 3 1 1 *"' : `parents: [${parents.join(', ')}]`;
    return `command: echo ${index}${more}\n${when}\nenv: {A: "1", B: two}\nowner: etl@example.com\n`;
  },
});
const chronos: Directory = {
  file: index => `${family(index).length === 0 ? 'scheduled' : 'dependent'}/${nameOf(index)}.yaml`,
  text: (index, more) => {
    const parents = family(index);
    const when = parents.length === 0 ? 'schedule: R/2090-01-01T00:00:00Z/P1D' : `parents:\n- ${parents.join('\n- ')}`;
    const common = 'owner: etl@example.com\ncpus: 0.1\ndisk: 10\nmem: 64\nrunAsUser: nobody';
    return `name: ${nameOf(index)}\ncommand: echo ${index}${more}\n${common}\n${when}\n`;
  },
};

const dir = mkdtempSync(join(tmpdir(), 'horae-sync-'));
const figures: Record<string, number> = { files: options.files };
try {
  for (const [name, { file, text }] of Object.entries({ native: native(family), chronos, chain: native(chain) }))
    await withProgram('sync', [], async ({ url }) => {
      const files = join(dir, name);
      for (const folder of name === 'chronos' ? ['scheduled', 'dependent'] : ['bench/sync'])
        mkdirSync(join(files, folder), { recursive: true });
      const put = (index: number, more = '') => writeFileSync(join(files, file(index)), text(index, more));
      for (let index = 0; index < options.files; index++) put(index);

      const empty = await sync(url, files);
      expect(empty.status === 0 && empty.said.match(/^created /gm)?.length === options.files, empty);
      const again = await sync(url, files);
      expect(again.status === 0 && again.said.startsWith(`Nothing to do: ${options.files} `), again);
      const middle = Math.floor(options.files / 2);
      writeFileSync(join(files, file(middle)), 'command: [\n');
      put(middle + 1, ' anew');
      const broken = await sync(url, files);
      expect(broken.status === 1 && /^changed \S+\n$/m.test(broken.said) && !/^created/m.test(broken.said), broken);
      figures[`${name}_empty_ms`] = empty.took_ms;
      figures[`${name}_again_ms`] = again.took_ms;
      figures[`${name}_broken_ms`] = broken.took_ms;
    });
  const most = { at_most: 10_000 };
  report(
    { name: 'sync', figures, floors: { native_empty_ms: most, chronos_empty_ms: most, chain_empty_ms: most } },
    options,
  );
} finally {
  rmSync(dir, { recursive: true });
}

type Ended = { readonly status: number; readonly said: string; readonly wrong: string; readonly took_ms: number };

async function sync(url: string, files: string): Promise<Ended> {
  const began = performance.now();
  const flags = process.execArgv.filter(flag => flag !== '--expose-gc');
  const ended = await run(process.execPath, [...flags, main, 'sync', files, '--url', url], { maxBuffer: 2 ** 28 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  return { status: ended.code, said: ended.stdout, wrong: ended.stderr, took_ms: performance.now() - began };
}

function expect(right: boolean, { status, said, wrong }: Ended): void {
  if (!right) throw new Error(`a sync ended with ${status}:\n${said.slice(-2_000)}\n${wrong.slice(-2_000)}`);
}
