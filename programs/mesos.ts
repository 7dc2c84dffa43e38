// mesos.ts: `horae mesos`: master and agents in this process, for schedulers that run elsewhere.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { type LocalMesos, startLocalMesos } from '../mesos/local/index.ts';
import type { Attribute } from '../mesos/protocol.ts';
import { systemClock } from '../schedules/clock.ts';
import { isLoopback } from '../settings.ts';
import { asksHelp } from '../transport/cli/arguments.ts';
import { type MesosSettings, mesosUsage, readCredentials, readMesos } from '../transport/cli/mesos.ts';
import { agentTerms } from './agent-terms.ts';
import { fail, named, Refused, sayListen } from './refused.ts';

export async function mesos(argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) {
    console.log(mesosUsage());
    return;
  }
  const read = readMesos(argv, isLoopback);
  if (!read.ok) fail(read.problems);
  const wish = read.value;
  const log = pino({ level: wish.log_level, base: null }, pino.destination({ dest: 2, sync: true }));
  const local = await start(wish, log);
  const kind = wish.simulated ? 'simulated' : 'real';
  console.log(`Mesos on ${local.url} with ${wish.agents} ${kind} agent${wish.agents === 1 ? '' : 's'}.`);
  // The port alone keeps this process alive; a second signal finds it going already.
  let going = false;
  const end = (signal: string) => {
    if (going) return;
    going = true;
    log.info({ signal }, 'horae mesos ends: real tasks run on, and the next start on this work directory adopts them');
    local.close().then(
      () => process.exit(0),
      error => {
        log.fatal({ error: String(error) }, 'horae mesos could not end in good order');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end(signal));
}

async function start(wish: MesosSettings, log: Logger): Promise<LocalMesos> {
  const { agent_resources, listen, simulated, agents } = wish;
  const credentials = wish.credentials === undefined ? 'open' : credentialsOf(wish.credentials);
  const work_dir = resolve(wish.work_dir);
  try {
    return await startLocalMesos({
      work_dir,
      // Whoever must show credentials may come by another name, through a tunnel say: a page in a browser has none to show.
      listen: { ...listen, any_name: !isLoopback(listen.host) || credentials !== 'open' },
      clock: systemClock(),
      log,
      ...agentTerms(wish),
      credentials,
      agents: {
        ...(simulated ? { real: false, simulated: agents } : { real: agents }),
        fixed: agent_resources,
        attributes: attributesOf(wish.agent_attributes),
      },
      master: {
        allocation_interval_ms: wish.allocation_interval_ms,
        offer_timeout_ms: wish.offer_timeout_ms,
        agent_timeout_ms: wish.agent_timeout_ms,
      },
    });
  } catch (error) {
    if ((error as { syscall?: string }).syscall === 'listen')
      throw new Refused(`cannot listen on --listen ${listen.host}:${listen.port}: ${sayListen(error)}`);
    throw new Refused(`cannot run agents in ${work_dir}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function credentialsOf(path: string) {
  const read = readCredentials(named('--credentials', path, () => readFileSync(path, 'utf8')));
  if (!read.ok) fail(read.problems);
  return read.value.map(pair => ({ type: 'basic' as const, ...pair }));
}

/** `rack:a;zone:z1|rack:b;zone:z2`, in turn. */
function attributesOf(given: string | undefined): ((index: number) => readonly Attribute[]) | undefined {
  if (given === undefined) return undefined;
  const sets = given.split('|').map(set =>
    set.split(';').map((pair): Attribute => {
      const cut = pair.indexOf(':');
      return { name: pair.slice(0, cut), type: 'TEXT', text: { value: pair.slice(cut + 1) } };
    }),
  );
  return index => sets[index % sets.length]!;
}
