// operator.ts: what an operator does to agents, as far as frameworks feel it: maintenance, draining, and giving one up.
//
// There is no operator's door into this Mesos, which is no cluster manager: tests and simulations pull these levers, so
// that a scheduler can be shown everything that a real master may do to it.

import type { CallOnWire, InverseOffer, Unavailability } from '../protocol.ts';
import { allocate, refusedUntil, takeBack } from './allocation.ts';
import {
  type Agent,
  type Framework,
  type HeldInverseOffer,
  order,
  say,
  sayStatus,
  stateFor,
  type Turn,
  wantAllocation,
} from './master-state.ts';
import type { OperatorWish } from './messages.ts';
import { forgetTask } from './updates.ts';

export function operate(turn: Turn, wish: OperatorWish): void {
  for (const id of wish.agents) {
    const agent = turn.master.agents.get(id);
    if (agent === undefined) throw new Error(`an operator spoke of agent ${id}, which never registered`);
    switch (wish.type) {
      case 'maintain':
        maintain(turn, agent, wish.unavailability);
        break;
      case 'drain':
        drain(turn, agent, wish.grace_ms_max);
        break;
      case 'reactivate':
        agent.draining = false;
        wantAllocation(turn, agent);
        break;
      case 'mark-gone':
        markGone(turn, agent);
        break;
    }
  }
  if (wish.type === 'maintain') allocate(turn);
}

// --- maintenance ----------------------------------------------------------------------------------------------------

function maintain(turn: Turn, agent: Agent, unavailability: Unavailability | undefined): void {
  takeBack(turn, agent.offers, 'rescind');
  for (const inverse of [...agent.inverse_offers]) {
    forgetInverse(turn, inverse);
    const inverse_offer_id = { value: inverse.id };
    say(turn, inverse.framework, { type: 'RESCIND_INVERSE_OFFER', rescind_inverse_offer: { inverse_offer_id } });
  }
  agent.unavailability = unavailability;
  if (unavailability === undefined) turn.master.maintained.delete(agent);
  else turn.master.maintained.add(agent);
  agent.inverse_filters.clear();
  turn.master.dirty.add(agent);
}

/** Asks for agents back from whoever has something on them, and was not asked or has answered long enough ago. */
export function askBack(turn: Turn): void {
  const { master } = turn;
  for (const agent of master.maintained) {
    if (agent.unavailability === undefined || agent.status !== 'connected') continue;
    for (const framework of frameworksOn(agent)) {
      if (framework.stream === undefined) continue;
      if ([...agent.inverse_offers].some(inverse => inverse.framework === framework)) continue;
      if (turn.now < (agent.inverse_filters.get(framework.id) ?? 0)) continue;
      const inverse = { id: `${master.options.ids_prefix}-O${master.next_offer++}`, framework, agent };
      agent.inverse_offers.add(inverse);
      master.inverse_offers.set(inverse.id, inverse);
      const offer: InverseOffer = {
        id: { value: inverse.id },
        ...(agent.info.url === undefined ? {} : { url: agent.info.url }),
        framework_id: { value: framework.id },
        agent_id: { value: agent.info.id },
        unavailability: agent.unavailability,
      };
      say(turn, framework, { type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [offer] } });
    }
  }
}

function frameworksOn(agent: Agent): ReadonlySet<Framework> {
  const frameworks = new Set<Framework>();
  for (const { framework } of agent.offers) frameworks.add(framework);
  for (const task of agent.tasks.values()) if (!task.ended) frameworks.add(task.framework);
  return frameworks;
}

function forgetInverse({ master }: Turn, inverse: HeldInverseOffer): void {
  master.inverse_offers.delete(inverse.id);
  inverse.agent.inverse_offers.delete(inverse);
}

type Answer = Extract<CallOnWire, { type: 'ACCEPT_INVERSE_OFFERS' }>['accept_inverse_offers'];

/** Yes or no: a master notes it and goes on asking. */
export function answerInverse(turn: Turn, framework: Framework, { inverse_offer_ids, filters }: Answer): void {
  for (const { value } of inverse_offer_ids) {
    const inverse = turn.master.inverse_offers.get(value);
    if (inverse?.framework !== framework) continue;
    forgetInverse(turn, inverse);
    const until = refusedUntil(turn.now, filters);
    inverse.agent.inverse_filters.set(framework.id, until);
    turn.master.alarms.set(until, { type: 'inverse-filter', agent: inverse.agent });
  }
}

// --- draining, and giving up ----------------------------------------------------------------------------------------

/** Nothing more is offered of it, and what runs there is killed, in its own time or in this. */
function drain(turn: Turn, agent: Agent, grace_ms_max: number | undefined): void {
  agent.draining = true;
  takeBack(turn, agent.offers, 'rescind');
  for (const task of agent.tasks.values())
    if (!task.ended)
      order(turn, agent, {
        type: 'kill',
        framework_id: task.framework.id,
        task_id: task.id,
        draining: true,
        ...(grace_ms_max === undefined ? {} : { grace_ms_max }),
      });
}

/** It will never be back. */
function markGone(turn: Turn, agent: Agent): void {
  const { master } = turn;
  takeBack(turn, agent.offers, 'rescind');
  for (const task of [...agent.tasks.values()]) {
    if (!task.ended) {
      sayStatus(turn, task.framework, {
        task_id: { value: task.id },
        state: stateFor(task.framework, 'TASK_GONE_BY_OPERATOR'),
        message: 'Agent has been marked gone',
        reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
        agent_id: { value: agent.info.id },
      });
      order(turn, agent, { type: 'kill', framework_id: task.framework.id, task_id: task.id, grace_ms: 0 });
    }
    forgetTask(task);
  }
  for (const inverse of [...agent.inverse_offers]) forgetInverse(turn, inverse);
  for (const framework of master.frameworks.values())
    say(turn, framework, { type: 'FAILURE', failure: { agent_id: { value: agent.info.id } } });
  agent.status = 'gone';
  agent.absence++;
  master.spare.delete(agent);
  master.dirty.delete(agent);
  master.maintained.delete(agent);
  master.agents.delete(agent.info.id);
  master.gone_agents.add(agent.info.id);
}
