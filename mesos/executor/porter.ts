// porter.ts: how a process of a task is started, so that it can be found, heard and understood by whoever comes next.
//
// The same little script stands beside it as beside a plain task of Horae's agent (see ../local/wrapper.ts): it says who
// was started, and how that ended. Only the clothes differ: a process works in the sandbox, not beside its papers, and writes
// into pipes with names. It opens them for reading as well, so that it never dies of SIGPIPE while the executor is away.
//
// A pipe that nobody has open forgets what is in it. So beside the porter of a process with pipes stands one more shell that
// does nothing but hold them; when the process has ended and the executor is not there to hear its last words, it stays.
//
//   .horae/TASK/PROCESS/RUN/claim, pid, kill, result    the papers       (PROCESS is escaped: it may hold what folders may not)
//   .horae/TASK/PROCESS/RUN/out, err                    the pipes
//   .logs/PROCESS/RUN/stdout, stderr                    what came out of them

import { join } from 'node:path';

const dress = `cd "$1" || exit 126
if [ -p "$2" ]; then exec 1<>"$2"; else exec 1>>"$2"; fi
if [ -p "$3" ]; then exec 2<>"$3"; else exec 2>>"$3"; fi
shift 3
exec "$@"`;

/** Its parent is the executor as long as that lives. Whoever reads the pipes next ends it, by its mark. */
const hold = `parent=$PPID
exec 3<>"$1" 4<>"$2"
shift 2
/bin/sh "$@" 3>&- 4>&-
read -r stat < /proc/$$/stat
set -- \${stat##*) }
[ "$2" = "$parent" ] || exec sleep 1000000000`;

export type Papers = {
  readonly folder: string;
  readonly claim: string;
  readonly pid: string;
  readonly kill: string;
  readonly result: string;
  readonly out_pipe: string;
  readonly err_pipe: string;
  readonly logs: string;
};

export function papersOf(sandbox: string, home: string, task_id: string, process: string, run: number): Papers {
  const folder = join(sandbox, '.horae', task_id, encodeURIComponent(process), String(run));
  return {
    folder,
    claim: join(folder, 'claim'),
    pid: join(folder, 'pid'),
    kill: join(folder, 'kill'),
    result: join(folder, 'result'),
    out_pipe: join(folder, 'out'),
    err_pipe: join(folder, 'err'),
    logs: join(home, '.logs', process, String(run)),
  };
}

/** Arguments for /bin/sh, which is to run in the papers' folder. */
export function porterArguments(
  porter: string,
  papers: Papers,
  home: string,
  out: string,
  err: string,
  command: string,
): readonly string[] {
  const is_piped = out === papers.out_pipe || err === papers.err_pipe;
  const holder = is_piped ? ['-c', hold, 'horae', papers.out_pipe, papers.err_pipe] : [];
  const dressed = ['/bin/sh', '-c', dress, 'horae', home, out, err, '/bin/bash', '-c', command];
  return [...holder, porter, 'watch', papers.folder, papers.result, ...dressed];
}
