// crash.ts: `npm run crash -- --kills N --seed S [--apart]`: kills the real program N times, and says whether it kept its word.

import { parseArgs } from 'node:util';
import { reportLine, storm } from './program/storm/storm.ts';

const kills_default = 100;

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    seed: { type: 'string' },
    quiet: { type: 'boolean' },
    apart: { type: 'boolean' },
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
const report = await storm(
  { teardown: each => void cleaners.push(each) },
  { kills, seed, say, apart: values.apart === true },
);
await clean();
for (const { kind, text } of report.complaints) console.error(`crash: ${kind}: ${text}`);
console.log(reportLine(report));
if (report.complaints.length > 0) {
  console.error(
    `crash: again with: npm run crash -- --kills ${kills} --seed ${seed}${values.apart === true ? ' --apart' : ''}`,
  );
  console.error(`crash: what is left of it: ${report.directory}`);
  process.exitCode = 1;
}

function whole(flag: string, text: string): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value > 0) return value;
  console.error(`crash: ${flag} is "${text}": expected a whole number from 1 on`);
  process.exit(2);
}
