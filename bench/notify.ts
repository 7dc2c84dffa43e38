// notify.ts: whether runs wait for anybody who is to be told of them.
//
// Two real programs run jobs that are due every second. One tells nobody; of the other each run is told to six places, and
// every receiver takes connections and never says a word. What is compared is how long after their instants processes start.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { withProgram } from './program.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 10, seconds: 20 });

/** What one round came to. */
type Round = { readonly lag_ms: number; readonly runs: number; readonly connections: number; readonly rss_mb: number };

// At the same time, so that whatever else the machine does happens to both. Where one fails, the other is ended first.
const [first, second] = await Promise.allSettled([round(false), round(true)]);
const [quiet, hanging] = [measured(first), measured(second)];
report(
  {
    name: 'notify',
    figures: {
      runs: hanging.runs,
      runs_missing: options.jobs * options.seconds - hanging.runs,
      connections_hanging: hanging.connections,
      lag_quiet_ms: quiet.lag_ms,
      lag_hanging_ms: hanging.lag_ms,
      slower_ms: hanging.lag_ms - quiet.lag_ms,
      grown_mb: hanging.rss_mb - quiet.rss_mb,
    },
    floors: {
      runs_missing: { at_most: 0 },
      connections_hanging: { at_least: 5 },
      slower_ms: { at_most: 100 },
      grown_mb: { at_most: 64 },
    },
  },
  options,
);

async function round(told: boolean): Promise<Round> {
  let connections = 0;
  const mute = createServer(socket => {
    connections++;
    socket.on('error', () => undefined).resume();
  }).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const at = `127.0.0.1:${(mute.address() as AddressInfo).port}`;
  const flags = [
    ...['--mail-server', at, '--mail-from', 'horae@example.org', '--raven-dsn', `http://key@${at}/7`],
    ...['--slack-url', `http://${at}/slack`, '--mattermost-url', `http://${at}/mattermost`],
    ...['--http-notification-url', `http://${at}/chronos`, '--notify-private-allowed', '--notify-gather-ms', '0'],
    ...['--notify-interval-ms', '0', '--notify-retry-ms', '100'],
  ];
  const channels = ['mail', 'slack', 'mattermost', 'sentry', 'webhook'].map(channel => ({ channel }));
  const to = [...channels, { channel: 'webhook', to: `http://${at}/webhook` }];
  let result: Round | undefined;
  await withProgram('notify', told ? flags : [], async ({ url }) => {
    const begin = Math.ceil(Date.now() / 1_000) * 1_000 + 2_000;
    for (let n = 0; n < options.jobs; n++) {
      const response = await fetch(`${url}/api/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          role: 'bench',
          environment: 'test',
          name: `told-${n}`,
          // Half of them fail.
          command: n % 2 === 0 ? 'true' : 'exit 1',
          schedule: `R${options.seconds}/${new Date(begin).toISOString()}/PT1S`,
          overlap: { policy: 'allow' },
          cpus: 0.01,
          mem: 8,
          owner: 'ops@example.com',
          notify: told ? [{ on: ['failed', 'succeeded'], to }] : [],
        }),
      });
      if (response.status !== 201) throw new Error(`a job was answered ${response.status} ${await response.text()}`);
    }
    const wanted = options.jobs * options.seconds;
    const deadline = begin + options.seconds * 1_000 + 60_000;
    let { runs, lag_ms } = await lagOf(url);
    while (runs < wanted && Date.now() < deadline) {
      await new Promise(resolve => void setTimeout(resolve, 250));
      ({ runs, lag_ms } = await lagOf(url));
    }
    result = { runs, lag_ms, connections, rss_mb: residentMb(await metrics(url)) };
  });
  mute.close();
  if (result === undefined) throw new Error('the program ended before it was measured');
  return result;
}

function measured(result: PromiseSettledResult<Round>): Round {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

async function metrics(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** The mean over all runs, as the program itself has measured it. */
async function lagOf(url: string): Promise<{ readonly runs: number; readonly lag_ms: number }> {
  const text = await metrics(url);
  const runs = numberIn(text, 'horae_start_lag_seconds_count');
  return { runs, lag_ms: runs === 0 ? 0 : (numberIn(text, 'horae_start_lag_seconds_sum') / runs) * 1_000 };
}

function numberIn(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

function residentMb(text: string): number {
  return numberIn(text, 'process_resident_memory_bytes') / 2 ** 20;
}
