// tidy.test.ts: the rules of the house hold, and each of them can be seen to fail.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { isPure, rules, type SourceFile } from './support/tidy.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folders = ['actors', 'bench', 'mesos', 'programs', 'schedules', 'test', 'transport'];
const is_source = /\.(ts|mts|js|mjs)$/;

/** All source files of the repository, tests and their helpers among them; recorded data is not source. */
function sources(): SourceFile[] {
  const inside = folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1)),
  );
  const at_top = readdirSync(root, { withFileTypes: true }).filter(entry => entry.isFile());
  return [...inside, ...at_top.map(entry => entry.name)]
    .filter(path => is_source.test(path) && !path.startsWith('test/data/'))
    .sort()
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

const all = sources();

test('the rules look at the whole tree', t => {
  for (const path of [
    'settings.ts',
    'schedules/clock.ts',
    'actors/model/ids.ts',
    'test/tidy.test.ts',
    'test/install.mjs',
  ])
    t.true(
      all.some(file => file.path === path),
      path,
    );
});

for (const [name, rule] of Object.entries(rules))
  test(name, t => {
    const complaints = all.flatMap(file => rule(file));
    t.is(complaints.length, 0, `\n${complaints.join('\n')}`);
  });

test('a pure file is one that no shell is named after', t => {
  for (const path of ['actors/job.ts', 'actors/model/ids.ts', 'mesos/match.ts', 'schedules/cron.ts', 'settings.ts'])
    t.true(isPure(path), path);
  for (const path of [
    'actors/job.actor.ts',
    'actors/runtime/nact.ts',
    'mesos/http-link.ts',
    'schedules/clock.ts',
    'main.ts',
  ])
    t.false(isPure(path), path);
});

/** Rule, file, text, and the complaint; undefined where there must be none. */
const examples: readonly (readonly [keyof typeof rules, string, string, RegExp | undefined])[] = [
  [
    'each folder imports only what it may',
    'schedules/a.ts',
    "import { b } from '../actors/b.ts';",
    /actors\/b\.ts: schedules\/ may import itself/,
  ],
  [
    'each folder imports only what it may',
    'actors/a.ts',
    "import { b } from '../transport/b.ts';",
    /actors\/ knows only its types/,
  ],
  ['each folder imports only what it may', 'actors/a.ts', "import type { b } from '../transport/b.ts';", undefined],
  [
    'each folder imports only what it may',
    'actors/model/a.ts',
    "import { b } from '../b.ts';",
    /actors\/model\/ may import/,
  ],
  [
    'each folder imports only what it may',
    'transport/http/a.ts',
    "import {\n  b,\n} from '../../actors/job.ts';",
    /^transport\/http\/a\.ts:1: imports actors\/job\.ts/,
  ],
  [
    'each folder imports only what it may',
    'transport/http/a.ts',
    "export * from '../../actors/model/job.ts';",
    undefined,
  ],
  [
    'each folder imports only what it may',
    'mesos/a.ts',
    "const b = await import('../settings.ts');",
    /imports settings\.ts/,
  ],
  ['each folder imports only what it may', 'actors/a.ts', "import '../test/b.ts';", /nothing that ships imports/],
  ['each folder imports only what it may', 'main.ts', "import '../x/bench/b.ts';", undefined],
  ['each folder imports only what it may', 'main.ts', "import './bench/b.ts';", /nothing that ships imports/],
  ['each folder imports only what it may', 'main.ts', "import { b } from './programs/b.ts';", undefined],
  ['each folder imports only what it may', 'programs/a.ts', "import { b } from '../actors/b.ts';", undefined],
  ['each folder imports only what it may', 'transport/a.ts', "import '../programs/b.ts';", /only main\.ts programs/],
  [
    'each folder imports only what it may',
    'bench/a.ts',
    "import '../test/b.ts';\nimport '../actors/job/job.ts';",
    undefined,
  ],
  ['each folder imports only what it may', 'lib/a.ts', '', /outside the known folders/],
  [
    'each package is imported only where it belongs',
    'actors/job.actor.ts',
    "import { spawn } from 'nact';",
    /imports nact: it lives in actors\/actor\.ts/,
  ],
  [
    'each package is imported only where it belongs',
    'actors/runtime/nact.ts',
    "import { spawn } from 'nact';",
    undefined,
  ],
  [
    'each package is imported only where it belongs',
    'transport/http/a.ts',
    "import { DateTime } from 'luxon';",
    /it lives in schedules/,
  ],
  [
    'each package is imported only where it belongs',
    'transport/http/a.ts',
    "import express from 'express';",
    /give it a home/,
  ],
  [
    'pure files import pure files only',
    'actors/job.ts',
    "import { spawnJob } from './job.actor.ts';",
    /return an effect/,
  ],
  ['pure files import pure files only', 'actors/job.ts', "import type { Job } from './job.actor.ts';", undefined],
  [
    'pure files import pure files only',
    'mesos/match.ts',
    "import { hash } from 'node:crypto';",
    /leave it to its shell/,
  ],
  [
    'pure files ask nobody for the time, for chance or for anything outside',
    'actors/job.ts',
    'setTimeout(retry, 5);',
    /"setTimeout\(" in a pure file/,
  ],
  [
    'pure files ask nobody for the time, for chance or for anything outside',
    'actors/job.ts',
    'const home = process.env.HOME;',
    /take what is needed/,
  ],
  [
    'pure files ask nobody for the time, for chance or for anything outside',
    'actors/job.ts',
    '  // setTimeout( is never called',
    undefined,
  ],
  [
    'pure files ask nobody for the time, for chance or for anything outside',
    'actors/job.actor.ts',
    'setTimeout(retry, 5);',
    undefined,
  ],
  ['the time comes from a Clock everywhere', 'transport/http/a.ts', 'const at = Date.now();', /"Date\.now\("/],
  ['the time comes from a Clock everywhere', 'actors/a.ts', 'const at = new Date();', /"new Date\(\)"/],
  ['the time comes from a Clock everywhere', 'actors/a.ts', 'const at = new Date(now);', undefined],
  ['the time comes from a Clock everywhere', 'mesos/a.ts', 'const dice = Math.random();', /take the number/],
  ['the time comes from a Clock everywhere', 'programs/scheduler.ts', 'const dice = Math.random();', undefined],
  [
    'only a program that talks to a person writes to the console',
    'actors/a.ts',
    "console.log('here');",
    /log through the logger/,
  ],
  ['only a program that talks to a person writes to the console', 'main.ts', "console.log('here');", undefined],
  ['every file begins by saying what it is', 'actors/a.ts', '// b.ts: another file.\n', /begins without its header/],
  ['every file begins by saying what it is', 'actors/a.ts', "import 'x';\n", /"\/\/ a\.ts: what this file is/],
  [
    'every file begins by saying what it is',
    'transport/cli/a.mjs',
    '#!/usr/bin/env node\n// a.mjs: a program.\n',
    undefined,
  ],
  ['files and lines stay short', 'actors/a.ts', `${'\n'.repeat(600)}`, undefined],
  ['files and lines stay short', 'actors/a.ts', `${'\n'.repeat(601)}`, /601 lines: split it/],
  ['files and lines stay short', 'actors/a.ts', `\n${'x'.repeat(131)}`, /^actors\/a\.ts:2: 131 characters/],
  ['files and lines stay short', 'actors/a.ts', `  '${'x'.repeat(131)}',`, undefined],
  ['files and lines stay short', 'actors/a.ts', `// biome-${'ignore'} format: a table\n${'x'.repeat(131)}`, undefined],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'test/a.ts',
    `// ${'FIX'}ME: later`,
    /do it, or say/,
  ],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'actors/a.ts',
    `const a = b as ${'any'};`,
    /use unknown/,
  ],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'actors/a.ts',
    `// @ts-${'ignore'}`,
    /true type/,
  ],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'actors/a.ts',
    `// biome-${'ignore'} lint/x:`,
    /say the reason/,
  ],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'actors/a.ts',
    `// biome-${'ignore'} lint/x: as its caller needs it`,
    undefined,
  ],
  [
    'the compiler and the linter are not silenced, and nothing is left for later',
    'test/a.test.ts',
    `test.${'only'}('a', t => t.pass());`,
    /run one file/,
  ],
  [
    'tests wait for conditions, not for time',
    'test/a.test.ts',
    `await new Promise(resolve => ${'setTime'}out(resolve, 100));`,
    /wait for the condition/,
  ],
  [
    'tests wait for conditions, not for time',
    'test/support/a.ts',
    `await new Promise(resolve => ${'setTime'}out(resolve, 100));`,
    undefined,
  ],
];

test('each rule complains of what it forbids, saying where and what to do, and of nothing else', t => {
  for (const [name, path, text, complaint] of examples) {
    const complaints = rules[name]!({ path, text });
    if (complaint === undefined) t.deepEqual(complaints, [], `${name}: ${path}: ${text}`);
    else {
      t.is(complaints.length, 1, `${name}: ${path}: ${text}`);
      t.regex(complaints[0] ?? '', complaint);
    }
  }
  for (const name of Object.keys(rules))
    t.true(
      examples.some(([rule, , , complaint]) => rule === name && complaint),
      name,
    );
});
