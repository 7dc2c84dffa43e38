// letters.ts: letters for the tests of channels.

import type { ChannelName, Letter, Notice } from '../../actors/model/notices.ts';

export const notice: Notice = {
  id: 'prod/web/report/7/failed',
  event: 'failed',
  at: Date.UTC(2026, 10, 22, 12, 30, 5),
  job: 'prod/web/report',
  run: '7',
  task: 'horae.report.7',
  host: 'agent-1.example.com',
  attempt: 3,
  attempts: 3,
  command: './report --month 11',
  reason: 'Command exited with status 2',
  owner: 'ops@example.com',
  log: 'disk is full',
};

export function letter(channel: ChannelName, to: string, more: Partial<Letter> = {}): Letter {
  return {
    id: 'letter-1',
    channel,
    to,
    subject: "[Horae] job 'prod/web/report' failed",
    text: 'It failed.\nThe last lines:\ndisk is full',
    notices: [notice],
    more: 0,
    ...more,
  };
}

/** A sender with all the patience of the channel. */
export const patient = (): AbortSignal => new AbortController().signal;
