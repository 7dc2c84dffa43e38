// shorthand.ts: effects in a few letters, so that a whole machine fits into one table that a person can check.
//
// Counts and log lines are left out: they decide nothing.

import type { Effect } from '../../../actors/effects.ts';

/**
 * R record of the instance, F:x attempt ended as x, A acknowledged, K killed (K0: at once), W asks for a place,
 * w withdraws that, Y and N answer a grant, V asks offers to keep its launch back, T and t set and clear its timer,
 * J+ and J- tell the job that it runs, that it is over. Anything else by its type.
 */
export function brief(effects: readonly Effect[]): string {
  return effects
    .flatMap(effect => {
      switch (effect.type) {
        case 'count':
        case 'log':
          return [];
        case 'record':
          if (effect.kind === 'instance') return ['R'];
          if (effect.kind === 'finished-attempt') return [`F:${effect.body?.outcome}`];
          return [`record ${effect.kind}`];
        case 'call':
          if (effect.call.type === 'ACKNOWLEDGE') return ['A'];
          if (effect.call.type === 'KILL')
            return [effect.call.kill.kill_policy?.grace_period?.nanoseconds === 0 ? 'K0' : 'K'];
          return [effect.call.type];
        case 'tell':
          return [told(effect)];
        default:
          return [effect.type];
      }
    })
    .join(' ');
}

function told({ to, message }: Extract<Effect, { type: 'tell' }>): string {
  switch (`${to} ${message.type}`) {
    case 'placement wanted':
      return 'W';
    case 'placement withdrawn':
      return 'w';
    case 'offers answered':
      return message.type === 'answered' && message.answered[0]?.plan !== undefined ? 'Y' : 'N';
    case 'offers revoked':
      return 'V';
    case 'timetable armed':
      return 'T';
    case 'timetable disarmed':
      return 't';
    case 'job instance-running':
      return 'J+';
    case 'job instance-over':
      return 'J-';
    default:
      return `${to} ${message.type}`;
  }
}
