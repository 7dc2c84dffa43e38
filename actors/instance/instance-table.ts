// instance-table.ts: the life of an instance as one table: what happened, where it stands, and what is done about it.
//
// Down the side is all that can happen to an instance, across the top is everywhere that it can stand, and each cell names a
// rule. A rule says where the instance stands then and which deeds follow, and deeds are always done in the one order that is
// declared here. instance.ts runs on this table; test/actors/instance-table.test.ts tries every cell of it.

/** Where an instance stands: the status of its record; `new` before the first, `replacing` when a kill may begin another. */
export const standings = [
  'new',
  'pending',
  'assigned',
  'starting',
  'running',
  'unreachable',
  'awaiting',
  'killing',
  'replacing',
  'over',
] as const;
export type Standing = (typeof standings)[number];

/** All that can be done, in the order in which it is done. */
export const deeds = [
  'note', // how the attempt ended goes into the history
  'withdraw', // it asks for no place any more
  'disarm', // its timer is put off, if it has one
  'save', // its new record
  'accept', // the place is taken, and this is to be launched there
  'decline', // the place is given back
  'ask', // for a place, now or when its delay is over
  'go-on', // asks for a place for the next attempt, or tells the job that it is over
  'tell', // the job, that it runs
  'report', // to the job, that it lost what it had reached
  'instruct', // its executor is told to snooze, or to wake
  'reply', // to whoever asked for that, or reported something
  'revoke', // a launch that may not have left is kept back
  'kill', // its task
  'banish', // kills a task that is no longer its own
  'watch', // its timer is set, if it wants one: when to kill again, when to give up, its next deadline
  'acknowledge', // last: Mesos forgets an update once it is acknowledged
] as const;
export type Deed = (typeof deeds)[number];

export type Rule = {
  /** Where it stands then. `next`: pending again or over, by what the job allows. `here`: where it is. undefined: unchanged. */
  readonly to?: Exclude<Standing, 'new'> | 'next' | 'here';
  /** How an attempt ended, when this ends one. */
  readonly outcome?: 'finished' | 'failed' | 'killed' | 'lost';
  readonly deeds: readonly Deed[];
};
const rule = (to: Rule['to'], ...done: Deed[]): Rule => ({ to, deeds: deeds.filter(deed => done.includes(deed)) });
const end = (outcome: Rule['outcome'], ...more: Deed[]): Rule => ({
  ...rule('next', 'note', 'disarm', 'save', 'go-on', 'report', ...more),
  outcome,
});

/** Nothing is done about it. */
const _ = rule(undefined);
const enters = rule('pending', 'save', 'ask');
/** A run that is no service has all of its instances from the beginning: that they wait is said by its own record. */
const enters_with_run = rule('pending', 'ask');
const asks = rule(undefined, 'ask');
const asks_anew = rule(undefined, 'withdraw', 'ask');
/** It is to be something else, so its delay and what it was for are over. */
const renews = rule('pending', 'withdraw', 'disarm', 'save', 'ask');
const accepts = rule('assigned', 'save', 'accept', 'watch');
const declines = rule(undefined, 'decline');
/** The launch surely never happened: the next attempt, and nothing is counted. */
const not_sent = rule('pending', 'disarm', 'save', 'ask');
const starts = rule('starting', 'disarm', 'save', 'watch');
const runs = rule('running', 'disarm', 'save', 'tell', 'watch');
/** Whether it is well is written down: nobody is sent to one that is not. */
const marks = rule('here', 'save');
const ails = rule('here', 'save', 'report');
const cut_off = rule('unreachable', 'save', 'report', 'watch');
const watches = rule(undefined, 'watch');
const finishes = end('finished');
const fails = end('failed');
const lost = end('lost');
const gives_up = end('lost', 'banish');
const killed = end('killed');
const called_off = rule('over', 'withdraw', 'disarm', 'save', 'go-on');
/** The ACCEPT of an assigned task may not have left, and a KILL must not overtake it: the offers actor knows. */
const is_kept = rule('killing', 'save', 'revoke', 'watch');
const is_kept_R = rule('replacing', 'save', 'revoke', 'watch');
const is_killed = rule('killing', 'save', 'kill', 'watch');
const is_killed_R = rule('replacing', 'save', 'kill', 'watch');
/** It was to be replaced, and now it is not. */
const for_good = rule('killing', 'save');
const kills_again = rule(undefined, 'kill', 'watch');
/** It was killed and says that it runs: the kill may have been forgotten on an agent that could not be reached. */
const insists = rule(undefined, 'kill');
const snoozes = rule('here', 'save', 'instruct', 'reply');
const refuses = rule(undefined, 'reply');
const repeats = rule(undefined, 'instruct');
const banishes = rule(undefined, 'banish');
/** Its command has ended, its work has not. Mesos has done with it. */
const awaits = rule('awaiting', 'disarm', 'save', 'watch');
/** Word of its work came before the end of its command. */
const promised = rule('here', 'save', 'reply');
const counts = rule('here', 'save', 'reply');
const done_well = end('finished', 'reply');
const done_badly = end('failed', 'reply');

// biome-ignore format: a table
export const table = {
  //                     new      pending    assigned   starting    running      unreachable  awaiting   killing      replacing    over
  // From here.
  'begun':              [enters,  asks,      watches,   watches,    watches,     watches,     watches,   kills_again, kills_again, _],
  'run begun':          [enters_with_run,_,         _,         _,          _,           _,           _,         _,           _,           _],
  'due':                [_,       asks,      watches,   watches,    watches,     watches,     watches,   kills_again, kills_again, _],
  'waited enough':      [_,       _,         _,         _,          _,           gives_up,    _,         _,           _,           _],
  // Its job says how long things may take: for good; this attempt.
  'out of time':        [_,       called_off,is_kept,   is_killed,  is_killed,   is_killed,   fails,     _,           _,           _],
  'ran too long':       [_,       _,         _,         _,          is_killed_R, is_killed_R, _,         _,           _,           _],
  'reconfigured':       [_,       asks_anew, _,         _,          _,           _,           _,         _,           _,           _],
  'renewed':            [_,       renews,    _,         _,          _,           _,           _,         _,           _,           _],
  'nothing new':        [_,       _,         _,         _,          _,           _,           _,         _,           _,           _],
  // From placement and offers.
  'granted':            [declines,accepts,   declines,  declines,   declines,    declines,    declines,  declines,    declines,    declines],
  'granted other':      [declines,declines,  declines,  declines,   declines,    declines,    declines,  declines,    declines,    declines],
  'dropped':            [_,       _,         not_sent,  _,          _,           _,           _,         killed,      killed,      _],
  // From people, the job, maintenance, and a start that takes too long.
  'kill':               [_,       called_off,is_kept,   is_killed,  is_killed,   is_killed,   killed,    _,           for_good,    _],
  'kill at once':       [_,       called_off,is_kept,   is_killed,  is_killed,   is_killed,   killed,    is_killed,   is_killed,   _],
  'replace':            [_,       _,         is_kept_R, is_killed_R,is_killed_R, is_killed_R, _,         _,           _,           _],
  'replace at once':    [_,       _,         is_kept_R, is_killed_R,is_killed_R, is_killed_R, _,         is_killed,   is_killed_R, _],
  'snooze':             [refuses, refuses,   snoozes,   snoozes,    snoozes,     refuses,     refuses,   refuses,     refuses,     refuses],
  // From whoever does the work of an async job.
  'called back':        [refuses, refuses,   refuses,   refuses,    refuses,     refuses,     done_well, refuses,     refuses,     refuses],
  'called back badly':  [refuses, refuses,   refuses,   refuses,    refuses,     refuses,     done_badly,refuses,     refuses,     refuses],
  'called back ahead':  [refuses, refuses,   promised,  promised,   promised,    promised,    refuses,   refuses,     refuses,     refuses],
  'call-back unawaited':[refuses, refuses,   refuses,   refuses,    refuses,     refuses,     refuses,   refuses,     refuses,     refuses],
  // From the task itself, or whoever does its work.
  'progressed':         [refuses, refuses,   counts,    counts,     counts,      counts,      counts,    counts,      counts,      refuses],
  'progress of another':[refuses, refuses,   refuses,   refuses,    refuses,     refuses,     refuses,   refuses,     refuses,     refuses],
  // From Mesos, of the present attempt.
  'starting':           [banishes,banishes,  starts,    _,          _,           starts,      _,         _,           _,           banishes],
  'running':            [banishes,banishes,  runs,      runs,       _,           runs,        _,         insists,     insists,     banishes],
  'health changed':     [_,       _,         _,         _,          ails,        _,           _,         _,           _,           _],
  'snooze heard':       [_,       _,         _,         marks,      marks,       _,           _,         _,           _,           _],
  'snooze unheard':     [_,       _,         _,         repeats,    repeats,     _,           _,         _,           _,           _],
  'finished':           [_,       _,         finishes,  finishes,   finishes,    finishes,    _,         killed,      killed,      _],
  // Of an async job: the command, not the work.
  'handed over':        [_,       _,         awaits,    awaits,     awaits,      awaits,      _,         killed,      killed,      _],
  'failed':             [_,       _,         fails,     fails,      fails,       fails,       _,         killed,      killed,      _],
  // By somebody who is none of ours: not the task's failure, and it must run.
  'killed':             [_,       _,         lost,      lost,       lost,        lost,        _,         killed,      killed,      _],
  'never started':      [_,       _,         not_sent,  lost,       lost,        lost,        _,         killed,      killed,      _],
  // It ran, perhaps to its end: whether it may run again is for max_task_failures to say.
  'gone':               [_,       _,         not_sent,  fails,      fails,       fails,       _,         killed,      killed,      _],
  // A partition is not a service's doing.
  'service gone':       [_,       _,         not_sent,  fails,      fails,       lost,        _,         killed,      killed,      _],
  'cut off':            [_,       _,         cut_off,   cut_off,    cut_off,     _,           _,         _,           _,           _],
  // The job cares more for going on than for being sure, or has said that it does not.
  'cut off, policy':    [_,       _,         cut_off,   cut_off,    cut_off,     _,           _,         killed,      killed,      _],
  // From Mesos, of an attempt that is behind it.
  'a ghost':            [banishes,banishes,  banishes,  banishes,   banishes,    banishes,    banishes,  banishes,    banishes,    banishes],
} as const satisfies Record<string, readonly [Rule, Rule, Rule, Rule, Rule, Rule, Rule, Rule, Rule, Rule]>;

export type Happening = keyof typeof table;

/** What follows when `what` happens to an instance that stands at `standing`. */
export const ruleOf = (what: Happening, standing: Standing): Rule => table[what][place[standing]];

const place = Object.fromEntries(standings.map((standing, index) => [standing, index])) as unknown as {
  readonly [standing in Standing]: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
};
