// steady.ts: a clock that goes on at its own pace, whatever an operator or NTP does to the machine's.
//
// Between SIGTERM and SIGKILL lie so many seconds, not the hours by which somebody sets the clock back in the middle. It is
// right when it is made; after that it only counts.

import type { Clock } from '../../schedules/clock.ts';

export function steadyClock(clock: Clock): Clock {
  const origin = clock.now() - clock.monotonic();
  const now = () => origin + clock.monotonic();
  return {
    now,
    monotonic: clock.monotonic,
    wakeAt: (at, callback) => clock.wakeAt(clock.now() + at - now(), callback),
  };
}
