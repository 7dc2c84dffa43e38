// run.ts: one command that tells the truth.
//
// `npm test` runs it whole: what tests need beyond npm (test/setup.sh), then the types, the formatter and linter, and
// every test. `node test/run.ts settings cli` runs the test files whose names hold one of those words. The stages for
// types and for lint each count as one test. The last line is the verdict, alone: `12 passed, 0 failed`, with
// `, 1 skipped` after it where something was.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tapReader } from './support/tap.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');
const env: NodeJS.ProcessEnv = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };

const failures: string[] = [];
const skips: string[] = [];
let passed = 0;

const words = process.argv.slice(2);
await prepare();
if (words.length === 0) {
  await stage('types', 'tsc', ['-p', '.']);
  await stage('format and lint', 'biome', ['check', '--error-on-warnings', '--max-diagnostics=100', '.']);
}
await tests(words);
conclude();

/** Installs or finds what tests need beyond npm, and tells them by variables. */
async function prepare(): Promise<void> {
  console.log('# setup');
  const ended = await run('sh', ['test/setup.sh'], line => {
    const [, name, value] = /^(HORAE_TEST_[A-Z_]+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) env[name] = value;
    console.log(`  ${line}`);
  });
  // Its tests are then skipped by name; that it broke must not pass unseen either.
  if (ended !== 0) fail(`test/setup.sh ended with ${ended}: expected 0`);
}

/** A program that is right when it ends with 0, counted as one test. What it says is shown when it is not. */
async function stage(name: string, program: string, argv: readonly string[]): Promise<void> {
  console.log(`# ${name}`);
  const lines: string[] = [];
  const ended = await run(program, argv, line => lines.push(line), true);
  if (ended === 0) return pass(name);
  for (const line of lines) console.log(`    ${line}`);
  fail(`${name}: ${program} ended with ${ended}`);
}

async function tests(selection: readonly string[]): Promise<void> {
  const files = selection.flatMap(word => {
    const found = filesFor(word);
    if (found.length === 0) fail(`no test file matches "${word}": expected a part of a name under test/`);
    return found;
  });
  if (selection.length > 0 && files.length === 0) return;
  console.log('# tests');
  const read = tapReader();
  let failed = 0;
  let summary: number | undefined;
  const ended = await run('ava', ['--tap', ...new Set(files)], line => {
    const event = read(line);
    if (event?.type === 'detail') console.log(`      ${event.text}`);
    if (event?.type === 'summary') summary = event.failed;
    if (event?.type !== 'test') return;
    if (event.verdict === 'passed') pass(event.title);
    if (event.verdict === 'skipped') skip(event.title);
    if (event.verdict === 'failed') {
      failed++;
      fail(event.title);
    }
  });
  // AVA counts tests that never came to their end, and names none of them.
  for (let told = failed; told < (summary ?? 0); told++)
    fail('a test that began and never ended, in a file named above');
  // A test that calls process.exit() takes AVA 7.0.0 itself down, and with it the tests that were still to come.
  if (summary === undefined) fail(`ava ended with ${ended} before its summary: what was still to come did not run`);
  else if (ended !== 0 && failed === 0 && summary === 0) fail(`ava ended with ${ended}: expected 0, or a failed test`);
}

function filesFor(word: string): string[] {
  const pattern = word.includes('/') || word.endsWith('.ts') ? word : `test/**/*${word}*.test.ts`;
  return globSync(pattern, { cwd: root }).filter(file => file.endsWith('.test.ts'));
}

function pass(title: string): void {
  passed++;
  console.log(`  ok    ${title}`);
}

function fail(title: string): void {
  failures.push(title);
  console.log(`  FAIL  ${title}`);
}

function skip(title: string): void {
  skips.push(title);
  console.log(`  skip  ${title}`);
}

function conclude(): void {
  if (passed + failures.length + skips.length === 0) fail('nothing was tested');
  if (skips.length > 0) console.log(['', 'Skipped:', ...skips.map(title => `  ${title}`)].join('\n'));
  if (failures.length > 0) console.log(['', 'Failed:', ...failures.map(title => `  ${title}`)].join('\n'));
  console.log(`\n${passed} passed, ${failures.length} failed${skips.length > 0 ? `, ${skips.length} skipped` : ''}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

/** Runs a program in the root and hands over its lines. Resolves with its status, or the signal that ended it. */
function run(
  program: string,
  argv: readonly string[],
  onLine: (line: string) => void,
  with_stderr = false,
): Promise<number | string> {
  return new Promise(resolve => {
    const child = spawn(program, argv, { cwd: root, env, stdio: ['ignore', 'pipe', with_stderr ? 'pipe' : 'inherit'] });
    const streams = [child.stdout, child.stderr].filter(stream => stream !== null);
    const read = streams.map(input => {
      const lines = createInterface({ input });
      lines.on('line', onLine);
      return new Promise(done => lines.once('close', done));
    });
    child.once('error', error => resolve(error.message));
    child.once(
      'close',
      (status, signal) => void Promise.all(read).then(() => resolve(status ?? signal ?? 'no status')),
    );
  });
}
