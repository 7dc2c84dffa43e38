// remote-run.ts: `horae remote-run --host H -- CMD ARGS`: a command that runs on another machine, as if it ran here.
//
// It runs there in the background, and we watch through a window: when the connection breaks the window is opened again
// and we read on where we had stopped. Who it is that runs is known by a key, so that whoever comes back, from here or
// anywhere, finds the one run that there is and never starts another.

import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { delayBefore } from '../schedules/backoff.ts';
import type { Result } from '../schedules/problem.ts';
import { readFlags } from '../transport/cli/flags.ts';
import { reportEnd } from './async.ts';
import { onSignals, statusOfSignal } from './child.ts';
import { completion_flags, completion_usage, type Destination, readDestination, requestOf } from './completion.ts';
import type { Frame } from './frames.ts';
import { type Environment, HelperFailed, type World, Wrongs } from './helper.ts';
import {
  attachText,
  callOf,
  followText,
  greetingOf,
  killText,
  lookText,
  type Place,
  type Put,
  putText,
  startedText,
  startText,
} from './remote-script.ts';
import { type Conversation, converse, type Ended, type Machine } from './ssh.ts';

export const remote_run_usage = `Usage: horae remote-run --host H [FLAGS] -- CMD [ARGS...]
       horae remote-run --host H --id ID [FLAGS]

Run a command on another machine over ssh. It runs there in the background, in a folder of its own beside the files that
were sent, with the words that are given here. Its output and its status become ours. When the connection breaks it runs
on, and is followed again from where we had stopped; under one id it is run once, whoever asks. The second form follows
one that was started before. Signals are passed on to all of its processes there.

  --host H         A name, an address, or a Host of ~/.ssh/config; --user U, --port N and --identity FILE as for ssh.
  --known-hosts F  Where the keys of machines are; ssh's own file when left out. An unknown machine is refused.
  --ssh-option O   As ssh -o; again for each. --ssh-config FILE as ssh -F.
  --put FILE       A file to be sent beside the command; again for each. It keeps its name, and may be run: ./NAME.
  --id ID          What it is known by; $HORAE_TASK_ID or $MESOS_TASK_ID when left out, else one is made up and told.
  --dir DIR        Where runs are kept there, absolute or below the home; .horae/runs when left out.
  --keep           Leave files and output there. Without it they go when all has been read here.
  --detach         Do not follow: end with 0 when it has been started.
  --lost S         Seconds without word from the machine after which we give up, with 125; 3600 when left out.
  --kill-grace S   Seconds from a SIGTERM that was passed on to a SIGKILL; 2 when left out.
  --report         Report the end to the scheduler, as horae async does; with --detach the machine itself does, with curl.
${completion_usage}

The status is the command's own, 128 + N when signal N ended it. 125 says that it is not known, with the reason on stderr.`;

export type RemoteRun = {
  readonly machine: Machine;
  readonly place: Place;
  readonly id: string;
  /** Undefined to follow what was started before. */
  readonly argv: readonly string[] | undefined;
  readonly files: readonly string[];
  readonly keep: boolean;
  readonly detach: boolean;
  readonly lost_ms: number;
  readonly kill_grace_ms: number;
  readonly report: Destination | undefined;
};

const host_form = /^[A-Za-z0-9_[][A-Za-z0-9_.:%\]-]*$/;
const user_form = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$/;
const pauses = { delay_ms: 500, factor: 2, delay_ms_max: 15_000, jitter: 0.5 };

export function readRemoteRun(argv: readonly string[], env: Environment): Result<RemoteRun> {
  const read = readFlags(argv, {
    values: [
      ...['--host', '--user', '--port', '--identity', '--known-hosts', '--ssh-config', '--id', '--dir'],
      ...['--lost', '--kill-grace'],
      ...completion_flags.values,
    ],
    lists: ['--put', '--ssh-option', ...completion_flags.lists],
    switches: ['--keep', '--detach', '--report'],
    leading: true,
  });
  if (!read.ok) return read;
  const { words, values, lists, switches } = read.value;
  const wrongs = new Wrongs();
  const host = values.get('--host') ?? '';
  if (!host_form.test(host))
    wrongs.refuse(
      '--host',
      host,
      host === '' ? 'no machine is given' : `--host is "${host.slice(0, 200)}"`,
      '--host NAME',
    );
  const user = values.get('--user');
  if (user !== undefined && !user_form.test(user))
    wrongs.refuse('--user', user, `--user is "${user.slice(0, 100)}"`, 'the name of a user');
  for (const flag of ['--identity', '--known-hosts', '--ssh-config']) fileAt(values.get(flag), flag, wrongs);
  const known_hosts = values.get('--known-hosts');
  const files = lists.get('--put') ?? [];
  for (const file of files) fileAt(file, '--put', wrongs);
  const names = files.map(file => basename(file));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) wrongs.refuse('--put', twice, `two files are called ${twice}`, 'names that differ');
  const given = values.get('--id') ?? env.HORAE_TASK_ID ?? env.MESOS_TASK_ID;
  if (given === '' || (given?.length ?? 0) > 1_000)
    wrongs.refuse('--id', given ?? '', '--id is empty or long', 'at most 1000 characters');
  if (words.length === 0 && (values.get('--id') === undefined || files.length > 0 || switches.has('--detach')))
    wrongs.refuse(
      'CMD',
      '',
      'no command is given',
      'horae remote-run --host H -- CMD ARGS, or --id alone to follow one',
    );
  const root = values.get('--dir') ?? '.horae/runs';
  if (root === '' || /[\n\0]/.test(root)) wrongs.refuse('--dir', root, `--dir is ${JSON.stringify(root)}`, 'a path');
  const id = given ?? randomUUID();
  const port = wrongs.whole(values, '--port', 0, 1, 65_535);
  const report = switches.has('--report') ? readDestination(values, lists, env, wrongs) : undefined;
  return wrongs.or(() => ({
    machine: {
      host,
      options: lists.get('--ssh-option') ?? [],
      ...(port === 0 ? {} : { port }),
      ...(user === undefined ? {} : { user }),
      ...pathIn('identity', values.get('--identity')),
      ...pathIn('known_hosts', known_hosts),
      ...pathIn('config', values.get('--ssh-config')),
    },
    place: { root, key: createHash('sha256').update(id).digest('hex').slice(0, 32) },
    id,
    argv: words.length === 0 ? undefined : words,
    files,
    keep: switches.has('--keep'),
    detach: switches.has('--detach'),
    lost_ms: wrongs.whole(values, '--lost', 3_600, 1, 30 * 86_400) * 1_000,
    kill_grace_ms: wrongs.whole(values, '--kill-grace', 2, 0, 86_400) * 1_000,
    report,
  }));
}

const pathIn = <K extends string>(name: K, path: string | undefined): { readonly [k in K]?: string } =>
  path === undefined ? {} : ({ [name]: resolve(path) } as { readonly [k in K]?: string });

/** What is sent must have a size; what ssh reads may be a device too. */
function fileAt(path: string | undefined, flag: string, wrongs: Wrongs): void {
  const found = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (path === undefined || found?.isFile() === true || (flag !== '--put' && found?.isDirectory() === false)) return;
  wrongs.refuse(flag, path, `${flag} is ${path}, which is no file`, 'the path of a file that is there');
}

export async function remoteRun(wish: RemoteRun, world: World): Promise<number> {
  const deaf = onSignals(() => undefined);
  try {
    const status = await new Watch(wish, world).run();
    return wish.report === undefined || wish.detach ? status : await reportEnd(status, wish.report, world);
  } finally {
    deaf();
  }
}

/** Somebody told us to go before anything had begun there. */
class Told extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`told to end with ${status}`);
    this.status = status;
  }
}

/** One run, from here: sending, starting, looking, and again after each break. */
class Watch {
  readonly #wish: RemoteRun;
  readonly #world: World;
  readonly #read = { out: 0, err: 0 };
  readonly #leaving = new AbortController();
  #heard_at: number;
  #reached = false;
  #starting = false;
  #status: number | undefined;
  #killing: Promise<void> = Promise.resolve();

  constructor(wish: RemoteRun, world: World) {
    this.#wish = wish;
    this.#world = world;
    this.#heard_at = world.clock.monotonic();
  }

  async run(): Promise<number> {
    const deaf = onSignals(signal => this.#told(signal));
    try {
      await this.#send();
      this.#leaving.signal.throwIfAborted();
      this.#starting = true;
      await this.#follow();
      return this.#status ?? 0;
    } catch (error) {
      if (this.#leaving.signal.reason instanceof Told) return this.#leaving.signal.reason.status;
      throw error;
    } finally {
      deaf();
    }
  }

  /** Whoever is told to go before the start goes; afterwards it is the other side that is told. */
  #told(signal: NodeJS.Signals): void {
    if (signal === 'SIGCONT' || signal === 'SIGWINCH') return;
    if (!this.#starting) {
      this.#leaving.abort(new Told(statusOfSignal(signal)));
      return;
    }
    this.#killing = this.#killing.then(() => this.#kill(signal));
    if (signal !== 'SIGTERM') return;
    const over = this.#world.clock.monotonic() + this.#wish.kill_grace_ms;
    this.#killing = this.#killing.then(async () => {
      await pause(Math.max(0, over - this.#world.clock.monotonic()), undefined, { ref: false });
      if (this.#status === undefined) await this.#kill('SIGKILL');
    });
  }

  async #kill(signal: NodeJS.Signals): Promise<void> {
    const { machine, place } = this.#wish;
    const text = killText(place, signal.slice(3), statusOfSignal(signal));
    for (let attempt = 1; this.#status === undefined; attempt++) {
      let word = '';
      const hear = async (frame: Frame) => {
        if (frame.type === 'said') word = frame.word;
        return undefined;
      };
      const ended = await converse(machine, { text, greeting: greetingOf(place), hear });
      if (ended.type === 'done' && word !== 'early') return;
      if (ended.type !== 'done') this.#world.say(`${signal} did not reach ${machine.host}: ${ended.why}`);
      if (ended.type === 'failed') return;
      await pause(delayBefore(pauses, attempt + 1, randomInt(1_000) / 1_000), undefined, { ref: false });
    }
  }

  async #send(): Promise<void> {
    const { place, files, argv } = this.#wish;
    if (argv === undefined || files.length === 0) return;
    const puts: readonly Put[] = files.map(file => ({ name: basename(file), bytes: statSync(file).size }));
    if ((await this.#ask({ text: lookText(place) })) === 'have') return;
    const draft = randomBytes(6).toString('hex');
    await this.#again(async () => {
      let word = '';
      const tar = spawn(
        'tar',
        ['-chf', '-', ...files.flatMap(file => ['-C', dirname(resolve(file)), `./${basename(file)}`])],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const packed = once(tar, 'close').catch((error: Error) => {
        throw new HelperFailed(`tar could not be started: ${error.message}`);
      });
      packed.catch(() => undefined);
      const ended = await this.#converse({
        text: putText(place, puts, draft),
        payload: tar.stdout,
        hear: async frame => {
          if (frame.type === 'said') word = frame.word;
          return undefined;
        },
      });
      tar.stdout.destroy(); // Where the other side does not want any more, nobody does.
      if (ended.type !== 'done') return ended;
      const [status] = (await packed) as [number | null];
      if (status !== 0 && word !== 'put')
        throw new HelperFailed(`tar ended with ${status}: the files could not be read`);
      if (word === 'put') return ended;
      return { type: 'broken', why: 'the files did not arrive whole', hopeless: false };
    });
  }

  async #follow(): Promise<void> {
    const { machine, place, argv, detach, id, report } = this.#wish;
    const call = detach && report !== undefined ? callOf(report, requestOf(report, 0)) : undefined;
    const start = argv === undefined ? undefined : startText(place, argv, call);
    if (detach) {
      await this.#ask({ text: `${start}${startedText}` });
      this.#world.say(`started on ${machine.host}: horae remote-run --host ${machine.host} --id ${id} follows it`);
      return;
    }
    await this.#again(async () => {
      const text = start === undefined ? attachText(place, this.#read) : start + followText(this.#read);
      const ended = await this.#converse({ text, hear: frame => this.#hear(frame) });
      // The last word was said; that the connection broke afterwards is nobody's trouble.
      if (this.#status !== undefined) return { type: 'done' };
      return ended.type === 'done' ? { type: 'broken', why: 'the machine stopped telling', hopeless: false } : ended;
    });
  }

  async #hear(frame: Frame): Promise<string | undefined> {
    const { machine, id, keep } = this.#wish;
    const lost = (why: string) => new HelperFailed(`the run ${id} on ${machine.host} ${why}`);
    switch (frame.type) {
      case 'output': {
        const stream = frame.to === 'out' ? process.stdout : process.stderr;
        if (!stream.write(frame.bytes)) await once(stream, 'drain');
        this.#read[frame.to] += frame.bytes.length;
        return undefined;
      }
      case 'over':
        this.#status = frame.status;
        return keep ? 'keep' : 'clear';
      case 'lost':
        this.#fatal = lost(
          frame.why === 'unbegun'
            ? 'was never begun: whoever started it died. It will not begin any more'
            : 'ended without a word: its machine went down, or somebody killed what watched it. How it ended is not known',
        );
        return 'keep';
      case 'said':
        if (frame.word === 'absent') this.#fatal = lost('is not there: expected the id of one that was started there');
        return undefined;
      case 'beat':
        return undefined;
    }
  }
  #fatal: HelperFailed | undefined;

  /** A word for a question. */
  async #ask(talk: Pick<Conversation, 'text'>): Promise<string> {
    let word = '';
    await this.#again(() =>
      this.#converse({
        ...talk,
        hear: async frame => {
          if (frame.type === 'said') word = frame.word;
          return undefined;
        },
      }),
    );
    return word;
  }

  #converse(talk: Omit<Conversation, 'greeting' | 'signal'>): Promise<Ended> {
    const { machine, place } = this.#wish;
    return converse(machine, {
      ...talk,
      greeting: greetingOf(place),
      signal: this.#leaving.signal,
      hear: frame => {
        this.#reached = true;
        this.#heard_at = this.#world.clock.monotonic();
        return talk.hear(frame);
      },
    });
  }

  /** Until it is done; gives up when the machine will not have us, or nothing was heard of it for too long. */
  async #again(talk: () => Promise<Ended>): Promise<void> {
    const { machine, lost_ms, id } = this.#wish;
    const { clock, say } = this.#world;
    for (let attempt = 1; ; attempt++) {
      const before = this.#heard_at;
      const ended = await talk();
      this.#leaving.signal.throwIfAborted();
      if (this.#fatal !== undefined) throw this.#fatal;
      if (ended.type === 'done') return;
      if (ended.type === 'failed') throw new HelperFailed(`${machine.host} refused: ${ended.why}`);
      if (ended.hopeless && !this.#reached) throw new HelperFailed(`${machine.host} cannot be reached: ${ended.why}`);
      if (this.#heard_at !== before) attempt = 1;
      const delay_ms = delayBefore(pauses, attempt + 1, randomInt(1_000) / 1_000);
      if (clock.monotonic() - this.#heard_at + delay_ms > lost_ms)
        throw new HelperFailed(
          `${machine.host} has not been heard of for ${Math.round(lost_ms / 1_000)} s: ${ended.why}.${this.#starting ? ` What was started there runs on, as ${id}` : ''}`,
        );
      if ((attempt & (attempt - 1)) === 0) say(`${machine.host}: ${ended.why}; tried again`);
      await pause(delay_ms, undefined, { signal: this.#leaving.signal });
    }
  }
}
