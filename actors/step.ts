// step.ts: what every decision in Horae returns: the state that follows, and what is to be done about it.
//
// A transition never touches the world. It answers with effects, which are plain data, and the shell performs them in the
// order in which they stand. So any afternoon can be replayed in a test, and any decision read as a table.

export type Step<S, E> = { readonly state: S; readonly effects: readonly E[] };

export const step = <S, E>(state: S, ...effects: E[]): Step<S, E> => ({ state, effects });
export const stepWith = <S, E>(state: S, effects: readonly E[]): Step<S, E> => ({ state, effects });
