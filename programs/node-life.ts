// node-life.ts: the life of one node of a cluster: it follows, stands in line, leads, and gives way.
//
// Think of the keeper of a lighthouse whose lamp only one may light. The keepers wait in line; whoever is first takes the
// key, reads the book, and lights the lamp. Who is no longer sure of the key covers the lamp at once, and uncovers it when
// it turns out to be still his; who has lost it leaves the lamp room, and goes to the end of the line. And who leaves of his
// own will first finishes the page.
//
//   connecting --opened--> standing --elected--> taking-over --planted--> leading
//       ^                    ^  ^                     |                  |   ^  |
//       |                    |  `------ felling <-----'<-- lost, fenced -'   |  | transfer, stop
//       `----- expired ------'             ^                        doubt, sure |
//                                          `----------- leaving <---------------'
//
// Pure: whatever happens is a message, whatever is to be done is an effect (performed in node.ts).

import { type Step, step } from '../actors/step.ts';

export type NodeMessage =
  | { readonly type: 'begin' }
  /** There is a session, and our copy of the log has caught up. */
  | { readonly type: 'opened' }
  /** We are first in line. */
  | { readonly type: 'elected' }
  /** The journal is ours under this epoch, and the tree stands. */
  | { readonly type: 'planted'; readonly epoch: number }
  /** It may be that we no longer lead: the connection is gone, or we have slept. */
  | { readonly type: 'doubted' }
  /** We do lead. */
  | { readonly type: 'confirmed' }
  /** We do not lead any more, or could not begin to. */
  | { readonly type: 'lost'; readonly why: string }
  /** Our session is over: whatever we held, others may hold. */
  | { readonly type: 'expired' }
  /** Nothing that another node could do better: the end of this process. */
  | { readonly type: 'broken'; readonly why: string }
  /** Somebody wants another node to lead. */
  | { readonly type: 'transfer'; readonly to: string | undefined }
  /** Everything that was decided is written and has left. */
  | { readonly type: 'drained' }
  /** The tree lies, and nothing of it can act any more. */
  | { readonly type: 'felled' }
  | { readonly type: 'stop' };

export type NodeEffect =
  /** Makes a session, follows the log, answers `opened`. */
  | { readonly type: 'open-session' }
  /** Goes to the end of the line, leaving the place that it may have; those before `to` are to let that one go first. */
  | { readonly type: 'stand'; readonly to: string | undefined }
  /** Opens the journal under the next epoch, restores, plants; answers `planted`, `lost` or `broken`. */
  | { readonly type: 'plant' }
  /** Nothing leaves until `release`. */
  | { readonly type: 'hold' }
  | { readonly type: 'release' }
  /** Takes no more commands, lets everything leave, fells; answers `drained`, or nothing when it cannot. */
  | { readonly type: 'drain' }
  /** Drops whatever has not left, fells the tree; answers `felled`. */
  | { readonly type: 'fell'; readonly why: string }
  /** Gives up the place in line and the session, so that the next need not wait for them to run out. */
  | { readonly type: 'close-session' }
  | { readonly type: 'end'; readonly why: string | undefined };

/** What comes after the tree lies. */
type Next =
  | { readonly type: 'stand'; readonly to: string | undefined }
  | { readonly type: 'open-session' }
  | { readonly type: 'end'; readonly why: string | undefined };
export type NodeState =
  | { readonly mode: 'new' }
  | { readonly mode: 'connecting' }
  | { readonly mode: 'standing' }
  /** `sure`: whether we may act, once we could. */
  | { readonly mode: 'taking-over'; readonly sure: boolean }
  | { readonly mode: 'leading'; readonly epoch: number; readonly sure: boolean }
  | { readonly mode: 'leaving'; readonly epoch: number; readonly next: Next }
  | { readonly mode: 'felling'; readonly next: Next }
  | { readonly mode: 'ended' };

export const new_node: NodeState = { mode: 'new' };

export function nodeLife(state: NodeState, message: NodeMessage): Step<NodeState, NodeEffect> {
  switch (state.mode) {
    case 'new':
      if (message.type === 'begin') return step({ mode: 'connecting' }, { type: 'open-session' });
      return message.type === 'stop' ? ended(undefined) : step(state);

    case 'connecting':
      switch (message.type) {
        case 'opened':
          return step({ mode: 'standing' }, stand);
        case 'expired':
          return step(state, { type: 'open-session' });
        default:
          return anyTime(state, message);
      }

    case 'standing':
      switch (message.type) {
        case 'elected':
          return step({ mode: 'taking-over', sure: true }, { type: 'plant' });
        case 'expired':
          return step({ mode: 'connecting' }, { type: 'open-session' });
        default:
          return anyTime(state, message);
      }

    case 'taking-over':
      switch (message.type) {
        case 'planted':
          return step(
            { mode: 'leading', epoch: message.epoch, sure: state.sure },
            ...(state.sure ? [] : [{ type: 'hold' } as const]),
          );
        case 'doubted':
          return step({ ...state, sure: false });
        case 'confirmed':
          return step({ ...state, sure: true });
        case 'stop':
          return felling('this node is stopping', end_well);
        default:
          return losing(state, message);
      }

    case 'leading':
      switch (message.type) {
        case 'doubted':
          return state.sure ? step({ ...state, sure: false }, { type: 'hold' }) : step(state);
        case 'confirmed':
          return state.sure ? step(state) : step({ ...state, sure: true }, { type: 'release' });
        case 'transfer':
          return step(
            { mode: 'leaving', epoch: state.epoch, next: { type: 'stand', to: message.to } },
            { type: 'drain' },
          );
        case 'stop':
          return step({ mode: 'leaving', epoch: state.epoch, next: end_well }, { type: 'drain' });
        default:
          return losing(state, message);
      }

    case 'leaving':
      switch (message.type) {
        case 'doubted':
          return step(state, { type: 'hold' });
        case 'confirmed':
          return step(state, { type: 'release' });
        case 'drained':
          return after(state.next);
        case 'stop':
          return step({ ...state, next: end_well });
        default:
          return losing(state, message, state.next.type === 'end' ? state.next : undefined);
      }

    case 'felling':
      switch (message.type) {
        case 'felled':
          return after(state.next);
        case 'expired':
          return step(state.next.type === 'stand' ? { ...state, next: { type: 'open-session' } } : state);
        case 'stop':
          return step(state.next.type === 'end' ? state : { ...state, next: end_well });
        case 'broken':
          return step({ ...state, next: { type: 'end', why: message.why } });
        default:
          return step(state);
      }

    case 'ended':
      return step(state);
  }
}

const stand: NodeEffect & Next = { type: 'stand', to: undefined };
const end_well: Next = { type: 'end', why: undefined };

function after(next: Next): Step<NodeState, NodeEffect> {
  switch (next.type) {
    case 'stand':
      return step({ mode: 'standing' }, next);
    case 'open-session':
      return step({ mode: 'connecting' }, next);
    case 'end':
      return ended(next.why);
  }
}

function ended(why: string | undefined): Step<NodeState, NodeEffect> {
  return step({ mode: 'ended' }, { type: 'close-session' }, { type: 'end', why });
}

function felling(why: string, next: Next): Step<NodeState, NodeEffect> {
  return step({ mode: 'felling', next }, { type: 'fell', why });
}

/** What ends a reign, from wherever in it. `instead`: what was going to come after it anyway. */
function losing(state: NodeState, message: NodeMessage, instead?: Next): Step<NodeState, NodeEffect> {
  switch (message.type) {
    case 'lost':
      return felling(message.why, instead ?? stand);
    case 'expired':
      return felling('the session has expired', instead ?? { type: 'open-session' });
    case 'broken':
      return felling(message.why, { type: 'end', why: message.why });
    default:
      return step(state);
  }
}

/** Where there is no tree. */
function anyTime(state: NodeState, message: NodeMessage): Step<NodeState, NodeEffect> {
  if (message.type === 'stop') return ended(undefined);
  if (message.type === 'broken') return ended(message.why);
  return step(state);
}
