// wrapper.ts: the little shell script that stands beside every task, and what it leaves written.
//
// A night porter. He signs in before anybody enters, lets one guest in, waits, writes down how the guest left, and sees
// that no company stays behind. He needs nobody: the scheduler may be killed and come back, and finds his book in order.
//
// Three processes: the porter (`watch`), setsid from util-linux, and the command in a session and process group of its own
// (`start`, until it turns into the command). A shell alone cannot tell `exit 137` from death by SIGKILL; setsid can, and
// says so on a stderr that nobody else writes to. Every program used is in a Debian package marked essential.
//
// Who starts first has the claim: a file that is created exclusively, by the porter or by an agent that found an intent
// without one after a crash. Whoever comes second leaves. So a task that was reported as never started never starts.

import type { Exit } from './signals.ts';

export const wrapper_text = `#!/bin/sh
# Stands beside one task of Horae's agent; see mesos/local/wrapper.ts.
# sh THIS watch META ENDED COMMAND [ARGUMENT...], in the sandbox.
set -C
umask 022

# Process id, start time in ticks since boot, boot id: no other process ever has the same three.
horae__start_of() { shift 19; horae__start=$1; }
horae__who_is() {
  read -r horae__stat < "/proc/$1/stat" || return 1
  horae__start_of \${horae__stat##*) }
}
horae__sign() {
  horae__who_is $$ || exit 1
  read -r horae__boot < /proc/sys/kernel/random/boot_id || exit 1
  echo "$$ $horae__start $horae__boot" > "$1" || exit 1
}

horae__mode=$1 horae__meta=$2 horae__third=$3
shift 3

if [ "$horae__mode" = start ]; then
  # setsid was made to speak plainly; the command gets its own tongue back.
  case $horae__third in
    -) unset LC_ALL ;;
    *) LC_ALL=\${horae__third#=}; export LC_ALL ;;
  esac
  # What it may use is limited from its first breath on; the shell that may not enter does not become the command.
  if [ -e "$horae__meta/enter" ]; then
    while read -r horae__group; do echo $$ >| "$horae__group" || exit 1; done < "$horae__meta/enter"
  fi
  horae__sign "$horae__meta/pid"
  # An agent that wants to kill writes 'kill' first and then looks for 'pid'; we write 'pid' first. One of us sees both.
  if [ -e "$horae__meta/kill" ]; then kill -s TERM $$; exit 1; fi
  exec >> stdout 2>> stderr
  exec "$@"
fi

horae__sign "$horae__meta/claim"
if [ "\${LC_ALL+set}" ]; then set -- "=$LC_ALL" "$@"; else set -- - "$@"; fi
LC_ALL=C /usr/bin/setsid -fw /bin/sh "$0" start "$horae__meta" "$@" 2> "$horae__meta/ending"
horae__code=$?
horae__word="exit $horae__code"
if [ -s "$horae__meta/ending" ]; then
  read -r horae__said < "$horae__meta/ending"
  case $horae__said in
    *'did not exit normally'*) horae__word="signal $((horae__code & 127))" ;;
  esac
fi
if [ -s "$horae__meta/pid" ]; then
  read -r horae__pid horae__started horae__rest < "$horae__meta/pid"
  # The command is still there, so it was setsid that somebody killed: nobody knows how the command would have ended.
  if [ "$horae__word" = "exit $horae__code" ] && horae__who_is "$horae__pid" && [ "$horae__start" = "$horae__started" ]; then
    horae__word=unknown
  fi
  kill -s KILL -- "-$horae__pid"
else
  horae__word="failed $horae__code"
fi
# A full disk must not swallow the result. Without the folder nobody is left to read it.
until echo "$horae__word" >| "$horae__meta/ended" && mv -f "$horae__meta/ended" "$horae__third"; do
  [ -d "$horae__meta" ] || exit 1
  sleep 1
done
`;

/** A process, so described that no later one can be taken for it. */
export type Identity = {
  readonly pid: number;
  /** Ticks since boot. */
  readonly start: string;
  readonly boot: string;
};

/** Reads a claim or pid file; undefined when it is not there, or not all of it yet. */
export function parseIdentity(text: string | undefined): Identity | undefined {
  const match = /^(\d+) (\d+) (\S+)\n$/.exec(text ?? '');
  return match === null ? undefined : { pid: Number(match[1]), start: match[2]!, boot: match[3]! };
}

/** How it ended, as the porter wrote it. */
export type Ending =
  | { readonly type: 'exit'; readonly exit: Exit }
  /** The command could not be started at all. */
  | { readonly type: 'failed' }
  | { readonly type: 'unknown' };

export function parseEnding(text: string): Ending {
  const [word, number] = text.trim().split(' ');
  if (word === 'exit') return { type: 'exit', exit: { code: Number(number) } };
  if (word === 'signal') return { type: 'exit', exit: { signal: Number(number) } };
  if (word === 'failed') return { type: 'failed' };
  return { type: 'unknown' };
}
