// zones.ts: all zones of the system, every clock change from 1970 to 2040: the long form of test/schedules/zones.test.ts.
//
//   node test/zones.ts [--seed N] [--share 0.1] [zone ...]

import { parseArgs } from 'node:util';
import { systemZones } from './schedules/tzfile.ts';
import { checkZones, emptyReport } from './schedules/zone-check.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '1' }, share: { type: 'string', default: '1' } },
});
const zones = positionals.length > 0 ? positionals : systemZones();
if (zones.length === 0) throw new Error('no tz files under /usr/share/zoneinfo: expected the tzdata package');

const started = performance.now();
const report = emptyReport();
for (const [i, zone] of zones.entries()) {
  checkZones([zone], Number(values.seed) + i, Number(values.share), report);
  if (process.stderr.isTTY) process.stderr.write(`\r${i + 1}/${zones.length} ${zone.padEnd(40)}`);
  if (report.failures.length >= 10) break;
}
if (process.stderr.isTTY) process.stderr.write('\n');
const seconds = ((performance.now() - started) / 1000).toFixed(0);
const { windows, comparisons, targets } = report;
console.log(`${zones.length} zones, ${windows} windows, ${comparisons} comparisons, ${targets} targets`);
console.log(`seed ${values.seed}, tz ${process.versions.tz} in ICU, ${seconds} s`);
console.log(
  `left out: ${report.data_differ} windows of ${report.differing.size} zones where ICU and the tz files differ ` +
    `(${[...report.differing].join(' ')}); ${report.unknown.length} zones unknown to ICU (${report.unknown.join(' ')})`,
);
for (const failure of report.failures) console.log(`FAILED ${failure}`);
process.exitCode = report.failures.length === 0 && report.windows > 0 ? 0 : 1;
