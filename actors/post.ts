// post.ts: how mail finds its actor, and how mail to the busy ones is bundled.
//
// Jobs, triggers and instances are reached one by one. The singletons are written to by thousands, often in the same
// instant, and a mailbox takes one letter per turn; so letters of one type to one singleton that are written during a turn
// travel as one. A letter can be bundled when its type is also the name of a list that it carries: `{type: 'wanted',
// wanted: [...]}`. The order in which letters were written is kept.

import { Book } from '../schedules/book.ts';
import type { Address, Runtime } from './actor.ts';
import type { Mail } from './effects.ts';
import type { InstanceKey, JobKey } from './model/ids.ts';

export type Singleton = 'directory' | 'framework' | 'notices' | 'offers' | 'placement' | 'timetable';
type Letter = { readonly type: string; readonly [list: string]: unknown };

export interface Post {
  readonly singletons: Map<Singleton, Address<never>>;
  readonly jobs: Book<JobKey, Address<never>>;
  readonly triggers: Book<JobKey, Address<never>>;
  readonly instances: Book<InstanceKey, Address<never>>;
  /** False when there is nobody to receive it. */
  send(mail: Mail): boolean;
}

export function createPost(runtime: Runtime): Post {
  const singletons = new Map<Singleton, Address<never>>();
  const jobs = new Book<JobKey, Address<never>>();
  const triggers = new Book<JobKey, Address<never>>();
  const instances = new Book<InstanceKey, Address<never>>();
  let bags: { [to in Singleton]?: { letter: Letter; list: unknown[] | undefined }[] } = {};
  let waiting = false;

  const deliver = () => {
    waiting = false;
    const bundled = bags;
    bags = {};
    for (const to in bundled) {
      const letters = bundled[to as Singleton];
      const address = singletons.get(to as Singleton);
      if (address === undefined || letters === undefined) continue;
      for (const { letter, list } of letters)
        runtime.send(address, (list === undefined ? letter : { ...letter, [letter.type]: list }) as never);
    }
  };
  const bundle = (to: Singleton, letter: Letter): boolean => {
    const bag = bags[to] ?? [];
    if (bag.length === 0) bags[to] = bag;
    const list = letter[letter.type];
    const last = bag.at(-1);
    if (Array.isArray(list) && last?.list !== undefined && last.letter.type === letter.type)
      for (const item of list) last.list.push(item);
    else bag.push({ letter, list: Array.isArray(list) ? [...list] : undefined });
    if (!waiting) {
      waiting = true;
      runtime.defer(deliver);
    }
    return singletons.has(to);
  };
  const single = (address: Address<never> | undefined, message: unknown): boolean =>
    address !== undefined && runtime.send(address, message as never);

  return {
    singletons,
    jobs,
    triggers,
    instances,
    send(mail) {
      switch (mail.to) {
        case 'job':
          return single(jobs.get(mail.key), mail.message);
        case 'trigger':
          return single(triggers.get(mail.key), mail.message);
        case 'instance':
          return single(instances.get(mail.key), mail.message);
        default:
          return bundle(mail.to, mail.message as Letter);
      }
    },
  };
}
