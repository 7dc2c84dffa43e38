// signals.ts: how a process can end, and how Mesos puts it into words.

/** By number on Linux (all architectures on which Node runs but MIPS agree on these). */
export const signal_names: Readonly<Record<number, string>> = {
  1: 'Hangup',
  2: 'Interrupt',
  3: 'Quit',
  4: 'Illegal instruction',
  5: 'Trace/breakpoint trap',
  6: 'Aborted',
  7: 'Bus error',
  8: 'Floating point exception',
  9: 'Killed',
  10: 'User defined signal 1',
  11: 'Segmentation fault',
  12: 'User defined signal 2',
  13: 'Broken pipe',
  14: 'Alarm clock',
  15: 'Terminated',
  16: 'Stack fault',
  24: 'CPU time limit exceeded',
  25: 'File size limit exceeded',
  26: 'Virtual timer expired',
  27: 'Profiling timer expired',
  31: 'Bad system call',
};

/** How the main process of a task ended. */
export type Exit = { readonly code: number } | { readonly signal: number };

export const textOfExit = (exit: Exit): string =>
  'code' in exit
    ? `Command exited with status ${exit.code}`
    : `Command terminated with signal ${signal_names[exit.signal] ?? `Unknown signal ${exit.signal}`}`;
