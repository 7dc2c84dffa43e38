#!/usr/bin/env node
// main.ts: the executor as a program: started by an agent in a sandbox, with everything it must know in the environment.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../schedules/clock.ts';
import { wrapper_text } from '../local/wrapper.ts';
import { readIntroduction } from './environment.ts';
import { startExecutor } from './executor.ts';
import { steadyClock } from './steady.ts';

const machine = systemClock();
const clock = steadyClock(machine);

/** One line of JSON an event, into the file `stderr` of the sandbox. */
function noted(message: string, about: object = {}): void {
  process.stderr.write(`${JSON.stringify({ time: new Date(machine.now()).toISOString(), msg: message, ...about })}\n`);
}

const introduction = readIntroduction(process.env);
if (!introduction.ok) {
  for (const { message, expected } of introduction.problems) noted(message, { expected });
  process.exit(2);
}
const own_environment = { ...process.env };
const folder = join(introduction.value.sandbox, '.horae');
mkdirSync(folder, { recursive: true });
const porter = join(folder, 'porter');
writeFileSync(porter, wrapper_text);

// Timers of a clock keep nobody alive, and between two calls to an agent that is away there is nothing else.
setInterval(() => undefined, 2 ** 30);
try {
  startExecutor({
    introduction: introduction.value,
    own_environment,
    porter,
    clock,
    wall: machine.now,
    noted,
    over(why) {
      noted('over', { why });
      process.exit(0);
    },
  });
} catch (error) {
  noted('cannot start', { why: error instanceof Error ? error.message : String(error) });
  process.exit(2);
}
