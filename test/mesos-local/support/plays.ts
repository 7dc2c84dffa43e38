// plays.ts: what each recorded conversation needs to be held again: settings, what only the machines of then could tell,
// and what is not compared, with its reason.

import type { Reason } from './differences.ts';
import type { Play } from './player.ts';

/** Agents that say nothing for so long are declared unreachable; the recordings with `--agent_ping_timeout=2secs`. */
const fast = { agent_timeout_ms: 5_200 };
const unfetched = { refused: 'Failed to fetch all URIs' };

export const plays: Readonly<Record<string, Play & { readonly because?: readonly Reason[] }>> = {
  '06-kill-policy-grace': { more: /task g-override/, offers_until_ms: 6_000, because: ['override'] },
  '08-http-errors': {
    skip: /^GET-(flags|state-summary|frameworks|metrics|maintenance|version)|^unknown-path/,
    because: ['operator'],
  },
  '09-launch-invalid': { lives: { 'i-bin': { exit: { code: 1 } }, 'i-user': { refused: 'No such user' } } },
  '11-resubscribe-failover': { skip: /^GET-/, because: ['operator'] },
  '14-failover-timeout-expires': { skip: /^GET-/, because: ['operator'] },
  '15-launch-group-health': {
    offers_until_ms: 31_000,
    because: ['lingering'],
  },
  '18-fetcher': { lives: { 'fe-badhost': unfetched, 'fe-missing': unfetched, 'fe-badscheme': unfetched } },
  '19-executor-killed': { lives: { 'ek-1': { lost: true } } },
  '20-agent-restart-recovers': { lives: { 'ar-2': { lost: true } }, because: ['truth'] },
  '21b-agent-loss-fast-partition-aware': { master: fast },
  '22-agent-loss-fast-not-partition-aware': { master: fast },
  '23-agent-loss-fast-no-checkpoint': { master: fast },
  '26-maintenance-inverse-offers': {
    operator(label, host, agents, row) {
      if (label === 'POST-maintenance-schedule') {
        const { unavailability } = JSON.parse(row.body).windows[0];
        host.operate({ type: 'maintain', agents, unavailability });
      } else if (label === 'POST-clear-schedule') host.operate({ type: 'maintain', agents });
      else return label.startsWith('GET-');
      return true;
    },
    because: ['operator'],
  },
  '29-agent-gone-and-drain': {
    operator(label, host, _agents, row, ids) {
      if (!label.startsWith('OPERATOR-')) return false;
      const call = JSON.parse(row.body);
      const { agent_id, max_grace_period } = call.drain_agent ?? call.reactivate_agent ?? call.mark_agent_gone;
      const agents = [ids.ours(agent_id.value)!];
      if (label === 'OPERATOR-DRAIN_AGENT')
        host.operate({ type: 'drain', agents, grace_ms_max: max_grace_period.seconds * 1000 });
      else host.operate({ type: label === 'OPERATOR-REACTIVATE_AGENT' ? 'reactivate' : 'mark-gone', agents });
      return true;
    },
    because: ['operator'],
  },
  '30-protobuf-stream': { skip: /^stream/, because: ['protobuf'] },
  '31-auth-basic': {
    server: {
      credentials: [
        { type: 'basic', principal: 'fw', secret: 'fwsecret' },
        { type: 'basic', principal: 'ops', secret: 'opssecret' },
      ],
    },
  },
  '32-zk-failover': {
    skip: /^GET-|-to-non-leader|try-non-leader|failover-try-0[0-7]|failover-try-08-5055/,
    happened: [{ at_ms: 11_300, is: 'world', what: 'all-start' }],
    because: ['operator', 'followers'],
  },
  '35-agent-restart-default-executor': { offers_until_ms: 14_000, because: ['lingering'] },
  '36-offer-timeout-and-hold': { master: { offer_timeout_ms: 5_000 } },
  '40-combine-offers-and-staging': { offers_until_ms: 15_000, because: ['crowd'] },
};
