// crash.ts: `npm run crash -- --kills N --seed S [--apart|--service]`: kills the real program, or what a service of it
// stands on, N times, and says whether it kept its word.

import { parseArgs } from 'node:util';
import { serviceLine, serviceStorm } from './program/storm/service.ts';
import { reportLine, storm } from './program/storm/storm.ts';
import type { Owner } from './support/temp.ts';

const kills_default = 100;

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    seed: { type: 'string' },
    quiet: { type: 'boolean' },
    apart: { type: 'boolean' },
    service: { type: 'boolean' },
  },
});
const kills = whole('--kills', values.kills ?? String(kills_default));
const seed = whole('--seed', values.seed ?? String(Math.floor(Math.random() * 1_000_000)));

const cleaners: (() => void | Promise<void>)[] = [];
const clean = async () => {
  for (const each of cleaners.splice(0).reverse()) await each();
};
// Whoever loses patience must not be left with services that run for ever.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void clean().then(() => process.exit(1)));

console.log(`crash: seed ${seed}`);
const say = values.quiet === true ? () => undefined : (line: string) => console.log(line);
const owner: Owner = { teardown: each => void cleaners.push(each) };
const { complaints, line, directory } = values.service === true ? await overService() : await overProgram();
await clean();
for (const complaint of complaints) console.error(`crash: ${complaint}`);
console.log(line);
if (complaints.length > 0) {
  console.error(
    `crash: again with: npm run crash -- --kills ${kills} --seed ${seed}${values.apart === true ? ' --apart' : ''}${values.service === true ? ' --service' : ''}`,
  );
  console.error(`crash: what is left of it: ${directory}`);
  process.exitCode = 1;
}

async function overProgram() {
  const report = await storm(owner, { kills, seed, say, apart: values.apart === true });
  const complaints = report.complaints.map(({ kind, text }) => `${kind}: ${text}`);
  return { complaints, line: reportLine(report), directory: report.directory };
}

async function overService() {
  const report = await serviceStorm(owner, { kills, seed, say });
  return { complaints: report.complaints, line: serviceLine(report), directory: report.directory };
}

function whole(flag: string, text: string): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value > 0) return value;
  console.error(`crash: ${flag} is "${text}": expected a whole number from 1 on`);
  process.exit(2);
}
