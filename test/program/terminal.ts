// terminal.ts: somebody at a terminal in a task, whose terminal can be made larger: the client of `horae task exec`, without one.

import { PassThrough } from 'node:stream';
import { callTask, type Outcome } from '../../transport/terminal/client.ts';
import type { Size } from '../../transport/terminal/words.ts';
import { until } from '../support/until.ts';
import type { Api } from './horae.ts';

export type Sitting = {
  readonly type: (text: string) => void;
  readonly endOfInput: () => void;
  /** Resolves with the size that can be changed, once the command runs. */
  readonly ready: Promise<(size: Size) => void>;
  readonly ended: Promise<Outcome>;
  readonly shows: (what: RegExp) => Promise<RegExpExecArray>;
};

export function sitDown(
  api: { readonly url: string },
  key: string,
  wish: { command?: readonly string[]; terminal?: Size & { term?: string }; headers?: Record<string, string> },
): Sitting {
  const input = new PassThrough();
  const ready = Promise.withResolvers<(size: Size) => void>();
  let seen = '';
  const call = {
    url: `${api.url}/api/v1/jobs/${key}/session`,
    headers: wish.headers ?? {},
    command: wish.command,
    terminal: wish.terminal,
  };
  const ended = callTask(call, {
    input,
    async write(_, bytes) {
      seen += Buffer.from(bytes).toString('latin1');
    },
    ready: ready.resolve,
  });
  return {
    type: text => void input.write(text),
    endOfInput: () => void input.end(),
    ready: ready.promise,
    ended,
    shows: what =>
      until(
        () => `${what} in ${JSON.stringify(seen)}`,
        () => what.exec(seen) ?? undefined,
      ),
  };
}

/** A job for somebody to sit in. */
export const job = (name: string) => ({ role: 'me', environment: 'test', name, mem: 64, disk: 50 });
/** Its run, once that runs. */
export const running = (api: Api, name: string, headers: Record<string, string> = {}) =>
  until(`${name} to run`, async () => {
    const answer = await api.request('GET', `/api/v1/jobs/me/test/${name}/runs`, undefined, headers);
    const { runs } = answer.body() as { runs: { run: string; instances: { state: string }[] }[] };
    return runs.find(({ instances }) => instances[0]?.state === 'running');
  });
