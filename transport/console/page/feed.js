// feed.js: the connection to the scheduler: one WebSocket, made again whenever it is lost.
//
// It says which of three it is: `live`, `connecting`, or `waiting` until a moment at which it tries again. What was watched
// is asked for again by itself, and the answer to that is the whole picture, so nothing has to be remembered about the gap.

import { now, synchronize } from './time.js';

const { Packr, Unpackr } = globalThis.msgpackr;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

const delay_ms_min = 500;
const delay_ms_max = 15_000;
/** The scheduler says something every 15 s. */
const silence_ms_max = 40_000;

/**
 * `onFrame(frame)` for frames that answer the present watch, `onState({ state, retry_at })`, `onCluster({ node, leader })`,
 * `onLetters({ dead, pending })`.
 */
export function connect({ onFrame, onState, onCluster, onLetters }) {
  let socket;
  let watch;
  let id = 0;
  let failures = 0;
  let retry;
  let silence;

  const listen = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), silence_ms_max);
  };
  const ask = () => {
    if (watch !== undefined && socket?.readyState === WebSocket.OPEN) socket.send(packr.pack(watch));
  };
  const open = () => {
    clearTimeout(retry);
    retry = undefined;
    onState({ state: 'connecting' });
    const mine = new WebSocket(new URL('/api/v1/feed', location.href.replace(/^http/, 'ws')));
    socket = mine;
    mine.binaryType = 'arraybuffer';
    mine.onopen = () => {
      onState({ state: 'live' });
      // A scheduler that has none says nothing of them.
      onLetters({ dead: 0, pending: 0 });
      listen();
      ask();
    };
    mine.onmessage = ({ data }) => {
      failures = 0;
      listen();
      const frame = unpackr.unpack(new Uint8Array(data));
      synchronize(frame.at);
      if (frame.type === 'cluster') onCluster(frame);
      else if (frame.type === 'letters') onLetters(frame);
      else if (frame.type !== 'beat' && frame.id === id) onFrame(frame);
    };
    mine.onclose = () => {
      clearTimeout(silence);
      if (socket !== mine) return;
      // A little chance keeps a hundred pages from coming back in one instant.
      const [dice] = crypto.getRandomValues(new Uint8Array(1));
      const delay_ms = Math.min(delay_ms_max, delay_ms_min * 2 ** failures) * (0.75 + dice / 512);
      failures++;
      retry = setTimeout(open, delay_ms);
      onState({ state: 'waiting', retry_at: now() + delay_ms });
    };
  };
  const hurry = () => {
    if (retry !== undefined && !document.hidden) open();
  };
  addEventListener('online', hurry);
  document.addEventListener('visibilitychange', hurry);
  open();

  return {
    /** From now on, frames are about this. */
    watch(what) {
      watch = { ...what, id: ++id };
      ask();
    },
    hurry,
  };
}
