// guarded-link.ts: the link of a leader with Mesos, which asks whether we lead before it subscribes.
//
// To Mesos the last subscriber is the scheduler, whoever that may be: a subscription is how a new leader takes the word
// from the one before it. So a node that has slept must not subscribe because its stream has ended in the meantime: it
// would take the word from its successor. Calls need no such question: those of an old stream are refused by the master.

import type { LinkListener, MesosLink } from '../mesos/protocol.ts';

/** `confirm` resolves with whether the epoch is still ours, as ZooKeeper says; it waits while ZooKeeper says nothing. */
export function guardedLink(link: MesosLink, confirm: () => Promise<boolean>): MesosLink {
  let turn = 0;
  return {
    subscribe(request, listener) {
      const mine = ++turn;
      void confirm().then(ours => {
        if (mine !== turn) return;
        if (ours) link.subscribe(request, untilFailedOver(listener));
        else listener.ended({ why: 'refused', message: 'another node leads: this one does not subscribe' });
      });
    },
    call: call => link.call(call),
    close() {
      turn++;
      return link.close();
    },
  };
}

/**
 * A master says "failed over" when another subscriber has come in our place. Where nodes take turns that is no reason to
 * give up: either we have been deposed, and are told so by ZooKeeper, or a deposed one did not know it yet.
 */
function untilFailedOver(listener: LinkListener): LinkListener {
  let over = false;
  return {
    events(events) {
      if (over) return;
      const at = events.findIndex(event => event.type === 'ERROR' && /failed over/i.test(event.error.message));
      if (at < 0) return listener.events(events);
      over = true;
      if (at > 0) listener.events(events.slice(0, at));
      listener.ended({ why: 'refused', message: 'Mesos: another node has subscribed in our place' });
    },
    ended(end) {
      if (!over) listener.ended(end);
      over = true;
    },
  };
}
