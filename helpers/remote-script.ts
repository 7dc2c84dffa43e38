// remote-script.ts: what a machine at the other end of ssh is asked to do, as texts for its `sh`.
//
// A run lives in a folder of its own there, and who looks into it later, over whichever connection, finds how far it came:
//
//   ROOT/KEY/work      its files, and where it runs; made whole and then given this name
//   ROOT/KEY/claim     made by whoever starts it: mkdir succeeds once, so it is started once
//   ROOT/KEY/began     made by the run itself, or by whoever gives it up before: one of them is first
//   ROOT/KEY/pid       its process, which leads a session of its own, and when that was born
//   ROOT/KEY/stdout, stderr, status
//
// Nothing of the caller's is ever read by a shell as anything but a word: see `quote`. POSIX tools, with tar, setsid and
// `head -c`, which GNU, BSD and busybox have.

import type { Destination, Request } from './completion.ts';

export type Place = {
  /** Absolute, or below the home of whoever logs in. */
  readonly root: string;
  /** Hexadecimal. */
  readonly key: string;
};
export type Put = { readonly name: string; readonly bytes: number };

/** A word for a shell, whatever is in it. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** What ssh hands to the login shell there, of whatever kind: the text itself comes through standard input. */
export const loader = (bytes: number): string => `exec sh -c 'eval "$(dd bs=1 count=${bytes} 2>/dev/null)"'`;

/** The line after which it is us who speak: a login may have said something before. */
export const greetingOf = ({ key }: Place): string => `horae-remote ${key} `;

const prelude = ({ root, key }: Place): string => `set -u
umask 077
root=${quote(root)}
case $root in /*) ;; *) root=$HOME/$root ;; esac
dir=$root/${key}
say() { printf '%s\\n' "horae-remote ${key} $1"; }
fail() { printf '%s\\n' "$1" >&2; exit 120; }
# A pid may be another's by now; this says whose.
born() {
  boot=
  [ ! -r /proc/sys/kernel/random/boot_id ] || read -r boot < /proc/sys/kernel/random/boot_id
  stat=$( (cat "/proc/$1/stat") 2>/dev/null) || { printf '%s' "-$boot"; return; }
  set -- \${stat##*) }
  [ "$1" != Z ] || { printf dead; return; }
  shift 19
  printf '%s' "$1-$boot"
}
alive() {
  [ -f "$dir/pid" ] && read -r pid birth < "$dir/pid" && kill -0 "$pid" 2>/dev/null && [ "$(born "$pid")" = "$birth" ]
}
ended() { printf '%s\\n' "$1" > "$dir/status.part" && mv "$dir/status.part" "$dir/status"; }
`;

/** Says whether the files are there: `have` or `want`. */
export const lookText = (place: Place): string => `${prelude(place)}
if [ -d "$dir/work" ]; then say have; else say want; fi
`;

/** Takes a tar of the files from standard input. Half of it is never taken for the whole. */
export const putText = (place: Place, files: readonly Put[], draft: string): string => `${prelude(place)}
[ ! -d "$dir/work" ] || { cat > /dev/null; say put; exit 0; }
part=$dir/part-${draft}
mkdir -p "$part" || fail "no folder can be made below $root"
tar -xof - -C "$part" || { rm -rf "$part"; fail "the files could not be written to $part"; }
${files
  .map(
    ({ name, bytes }) =>
      `[ -f "$part"/${quote(name)} ] && [ "$(wc -c < "$part"/${quote(name)})" -eq ${bytes} ] || { rm -rf "$part"; say broken; exit 0; }`,
  )
  .join('\n')}
if [ -d "$dir/work" ]; then rm -rf "$part"; else mv "$part" "$dir/work" || fail "the files could not be given their name"; fi
say put
`;

/** The process that stays behind. It outlives every signal that is for its command, and writes down how that ended. */
const runnerText = (place: Place, report: string): string => `${prelude(place)}
mkdir "$dir/began" 2>/dev/null || exit 0
told=
trap 'told=129' HUP
trap 'told=130' INT
trap 'told=131' QUIT
trap 'told=143' TERM
trap : USR1 USR2
printf '%s\\n' "$$ $(born $$)" > "$dir/pid.part" && mv "$dir/pid.part" "$dir/pid"
cd "$dir/work" || exit 1
if [ -n "$told" ]; then status=$told; else (exec "$@"); status=$?; fi
ended "$status"
${report}`;

const days_kept = 7;

/** Starts the command, unless that was done before, by whomever. */
export const startText = (place: Place, argv: readonly string[], report?: Call): string => `${prelude(place)}
command -v setsid > /dev/null || fail 'setsid is not there: expected it (util-linux)'
${report === undefined ? '' : "command -v curl > /dev/null || fail 'curl is not there: expected it, to report from here'\n"}mkdir -p "$dir/work" || fail "no folder can be made below $root"
find "$root" -type f -name status -mtime +${days_kept} 2>/dev/null | while read -r old; do rm -rf "\${old%/*}"; done
if mkdir "$dir/claim" 2>/dev/null; then
${report?.secret === undefined ? '' : `  printf '%s\\n' ${quote(report.secret)} > "$dir/header" || fail 'the header could not be written'\n`}  set -- ${argv.map(quote).join(' ')}
  setsid sh -c ${quote(runnerText(place, report === undefined ? '' : reportText(report)))} horae-run "$@" \\
    < /dev/null > "$dir/stdout" 2> "$dir/stderr" &
fi
`;

export const startedText = 'say started\n';

/** Tells output and end as frames, from these offsets on, until the end; then waits to be told whether all may go. */
export const followText = (from: { readonly out: number; readonly err: number }): string => `
[ -d "$dir/claim" ] || { say absent; exit 0; }
say follow
out=${from.out}
err=${from.err}
waited=0
# emit LETTER FILE OFFSET: a frame of what lies behind the offset, if anything.
emit() {
  sent=0
  [ -f "$2" ] || return 0
  sent=$(($(wc -c < "$2") - $3))
  [ "$sent" -gt 0 ] || { sent=0; return 0; }
  [ "$sent" -le 262144 ] || sent=262144
  printf '%s %s\\n' "$1" "$sent" && tail -c +$(($3 + 1)) "$2" | head -c "$sent" || exit 0
}
while :; do
  # Looked at before the output: what ends later has not written it all.
  over=
  [ ! -f "$dir/status" ] || over=yes
  emit O "$dir/stdout" $out
  out=$((out + sent))
  moved=$sent
  emit E "$dir/stderr" $err
  err=$((err + sent))
  [ $((moved + sent)) -eq 0 ] || continue
  if [ -n "$over" ]; then
    read -r status < "$dir/status"
    printf 'X %s\\n' "$status"
    read -r word || exit 0
    [ "$word" != clear ] || rm -rf "$dir/work" "$dir/stdout" "$dir/stderr"
    exit 0
  fi
  if [ -f "$dir/pid" ]; then
    alive || [ -f "$dir/status" ] || { printf 'L died\\n'; exit 0; }
  else
    waited=$((waited + 1))
    if [ $waited -eq ${begin_rounds} ]; then
      ! mkdir "$dir/began" 2>/dev/null || { printf 'L unbegun\\n'; exit 0; }
    fi
    [ $waited -lt ${2 * begin_rounds} ] || { printf 'L died\\n'; exit 0; }
  fi
  printf 'H\\n' || exit 0
  sleep 0.5 2>/dev/null || sleep 1
done
`;
/** Of half a second: so long may a machine take to start a process. */
const begin_rounds = 120;

export const attachText = (place: Place, from: { readonly out: number; readonly err: number }): string =>
  prelude(place) + followText(from);

/** Sends a signal to all of it. One that comes before it began keeps it from beginning; `early` where that cannot be told yet. */
export const killText = (place: Place, signal: string, status: number): string => `${prelude(place)}
if alive; then
  kill -s ${signal} -- "-$pid" || fail "pid $pid could not be sent SIG${signal}"
${signal === 'KILL' ? `  [ -f "$dir/status" ] || ended ${status}\n` : ''}elif [ ! -f "$dir/pid" ] && [ ! -f "$dir/status" ]; then
  mkdir -p "$dir" || fail "no folder can be made below $root"
  mkdir "$dir/began" 2>/dev/null || { say early; exit 0; }
  ended ${status}
fi
say told
`;

/** How the machine there reports by itself. */
export type Call = {
  readonly method: Request['method'];
  readonly urls: readonly string[];
  readonly field: string;
  /** A line of a header, kept in a file: words of a process can be seen by all. */
  readonly secret?: string;
  readonly deadline_s: number;
};

export const callOf = ({ urls, token, deadline_ms }: Destination, { method, path, field }: Request): Call => ({
  method,
  urls: urls.map(url => url + path),
  field,
  deadline_s: Math.ceil(deadline_ms / 1_000),
  ...(token === undefined ? {} : { secret: `authorization: Bearer ${token}` }),
});

const reportText = ({ method, urls, field, secret, deadline_s }: Call): string => `
until_at=$(($(date +%s) + ${deadline_s}))
delay=1
while :; do
  for url in ${urls.map(quote).join(' ')}; do
    code=$(curl -s -o /dev/null -w '%{http_code}' -m 10 -X ${method} -H 'content-type: application/json' \\
${secret === undefined ? '' : '      -H "@$dir/header" \\\n'}      --data "{\\"${field}\\":$status}" "$url")
    case $code in
      2??) printf '%s\\n' "accepted" > "$dir/reported"; rm -f "$dir/header"; exit 0 ;;
      000|408|425|429|5??) ;;
      *) printf '%s\\n' "refused: $code" > "$dir/reported"; rm -f "$dir/header"; exit 0 ;;
    esac
  done
  [ "$(date +%s)" -lt $until_at ] || { printf '%s\\n' "given up: $code" > "$dir/reported"; rm -f "$dir/header"; exit 0; }
  sleep $delay
  [ $delay -ge 30 ] || delay=$((delay * 2))
done
`;
