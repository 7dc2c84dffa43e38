// checks.ts: asking a task how it is, and asking it to go: over HTTP, by a knock on a port, or by a shell line.

import { spawn } from 'node:child_process';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Clock, Instant } from '../../schedules/clock.ts';
import { isGone } from '../local/processes.ts';
import { textOfExit } from '../local/signals.ts';
import type { Checker } from './document.ts';
import { type Checked, type Snooze, snooze_file, snoozeOf } from './health.ts';

export type CheckOptions = {
  readonly ports: Readonly<Record<string, number>>;
  readonly timeout_ms: number;
  readonly home: string;
  readonly environment: Record<string, string>;
  readonly clock: Clock;
};

/** A healthy answer is a word; of a longer one this much is read, and nothing more is kept of it. */
const answer_bytes_max = 64 * 1024;
const quoted_max = 60;
const host = '127.0.0.1';

/** One attempt. Never fails: what goes wrong is an answer. */
export function performCheck(checker: Checker, options: CheckOptions): Promise<Checked> {
  switch (checker.type) {
    case 'http':
      return checkHttp(checker, options);
    case 'tcp':
      return checkTcp(checker.port, options);
    case 'shell':
      return checkShell(checker.command, options);
  }
}

/** The snooze that is in force in a sandbox, if there is one. */
export function readSnooze(home: string, now: Instant): Snooze | undefined {
  const path = join(home, snooze_file);
  try {
    const { mtimeMs, size } = statSync(path);
    return snoozeOf(size > 1_024 ? 'too long to be an instant' : readFileSync(path, 'utf8'), mtimeMs, now);
  } catch (error) {
    if (isGone(error)) return undefined;
    // It is there, whatever it is.
    return {};
  }
}

/** POSTs nothing to a path; whether anybody answered, whatever the answer. */
export async function askToGo(port: number, path: string, timeout_ms: number, clock: Clock): Promise<boolean> {
  const answer = await exchange({ method: 'POST', port, path }, timeout_ms, clock);
  return 'status' in answer;
}

/** Writes down a snooze as a file in the sandbox, or takes whatever file there is away. */
export function writeSnooze(home: string, snooze: Snooze | undefined): void {
  const path = join(home, snooze_file);
  if (snooze === undefined) {
    rmSync(path, { force: true });
    return;
  }
  // Whole or not at all: the next check reads it, and half an instant would be no end.
  writeFileSync(`${path}.new`, snooze.until === undefined ? '' : new Date(snooze.until).toISOString());
  renameSync(`${path}.new`, path);
}

async function checkHttp(
  { port, path, expected_code, expected_response }: Extract<Checker, { type: 'http' }>,
  { ports, timeout_ms, clock }: CheckOptions,
): Promise<Checked> {
  const answer = await exchange({ method: 'GET', port: ports[port]!, path }, timeout_ms, clock);
  if (!('status' in answer)) return { ok: false, why: `GET ${path} on port ${port}: ${answer.why}` };
  if (expected_code !== 0 && answer.status !== expected_code)
    return { ok: false, why: `GET ${path} on port ${port}: code ${answer.status}, expected ${expected_code}` };
  const said = answer.body.trim();
  if (expected_response !== '' && said.toLowerCase() !== expected_response.trim().toLowerCase())
    return {
      ok: false,
      why: `GET ${path} on port ${port}: "${said.slice(0, quoted_max)}", expected "${expected_response}"`,
    };
  return { ok: true };
}

type Answer = { readonly status: number; readonly body: string } | { readonly why: string };

function exchange(
  question: { readonly method: string; readonly port: number; readonly path: string },
  timeout_ms: number,
  clock: Clock,
): Promise<Answer> {
  return new Promise(resolve => {
    const call = request({ host, ...question, agent: false, headers: { connection: 'close' } });
    const settle = (answer: Answer) => {
      late.cancel();
      resolve(answer);
      call.destroy();
    };
    const late = clock.wakeAt(clock.now() + timeout_ms, () => settle({ why: `no answer within ${timeout_ms} ms` }));
    call.on('error', error => settle({ why: error.message }));
    call.on('response', response => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      const done = () =>
        settle({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8', 0, answer_bytes_max) });
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes >= answer_bytes_max) done();
      });
      response.on('end', done);
      response.on('error', error => settle({ why: error.message }));
    });
    call.end();
  });
}

function checkTcp(port: string, { ports, timeout_ms, clock }: CheckOptions): Promise<Checked> {
  return new Promise(resolve => {
    const socket = connect({ host, port: ports[port]! });
    const settle = (checked: Checked) => {
      late.cancel();
      socket.destroy();
      resolve(checked);
    };
    const late = clock.wakeAt(clock.now() + timeout_ms, () =>
      settle({ ok: false, why: `port ${port}: no connection within ${timeout_ms} ms` }),
    );
    socket.once('connect', () => settle({ ok: true }));
    socket.once('error', error => settle({ ok: false, why: `port ${port}: ${error.message}` }));
  });
}

function checkShell(command: string, { timeout_ms, home, environment, clock }: CheckOptions): Promise<Checked> {
  return new Promise(resolve => {
    // A group of its own, so that a check that hangs can be ended with all its children.
    const child = spawn('/bin/bash', ['-c', command], { cwd: home, env: environment, stdio: 'ignore', detached: true });
    const settle = (checked: Checked) => {
      late.cancel();
      resolve(checked);
    };
    const late = clock.wakeAt(clock.now() + timeout_ms, () => {
      settle({ ok: false, why: `the check was not done within ${timeout_ms} ms` });
      if (child.pid !== undefined) endGroup(child.pid);
    });
    child.once('error', error => settle({ ok: false, why: `the check could not be started: ${error.message}` }));
    child.once('exit', (code, signal) =>
      settle(
        code === 0
          ? { ok: true }
          : { ok: false, why: code === null ? `the check was ended by ${signal}` : textOfExit({ code }) },
      ),
    );
  });
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
