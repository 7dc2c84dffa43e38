// doctor.ts: `horae doctor`: what is said on its line beside the settings. Pure.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';

export const doctor_usage = `Usage: horae doctor --mesos MASTERS [FLAGS] [SETTINGS]

Looks at a Mesos and tells what is well and what is not, with what would be right: whether masters and ZooKeeper
are reached, who leads, whether they take us, in which roles, what is offered, whether agents can be reached, and
how far clocks are apart. It subscribes for a moment as a framework of its own, takes nothing, and removes itself.
The settings are those of horae serve; horae help lists them.

  --archive URL  Address from which agents are to fetch Horae's executor: looked at too.
  --wait-ms MS   How long to wait for offers, 0-600000; 5000 when left out.
  --json         The findings as JSON.

Status 0: nothing is wrong. 1: something is. 2: the line was not understood.`;

export type Doctor = {
  readonly json: boolean;
  readonly archive: string | undefined;
  readonly offers_ms_max: number;
  /** What is left for the settings. */
  readonly rest: readonly string[];
};

export function readDoctor(argv: readonly string[]): Result<Doctor> {
  const rest: string[] = [];
  const problems: Problem[] = [];
  const refuse = (place: string, value: string | undefined, expected: string) => {
    const message = `${place} ${value === undefined ? 'has no value' : `is "${value}"`}: expected ${expected}`;
    problems.push({ place, value, message, expected });
  };
  let json = false;
  let archive: string | undefined;
  let wait = '5000';
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    const [, name = word, attached] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (word === '--json') json = true;
    else if (name === '--archive' || name === '--wait-ms') {
      const value = attached ?? argv[++index];
      if (name === '--wait-ms') wait = value ?? '';
      else archive = value;
      if (name === '--archive' && (value === undefined || !/^https?:\/\/[^\s/]/.test(value)))
        refuse(name, value, 'an http or https address');
    } else rest.push(word);
  }
  if (!/^\d{1,6}$/.test(wait) || Number(wait) > 600_000) refuse('--wait-ms', wait, 'a number of ms from 0 to 600000');
  return problems.length > 0 ? bad(...problems) : good({ json, archive, offers_ms_max: Number(wait), rest });
}
