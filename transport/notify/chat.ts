// chat.ts: letters as messages in Slack and Mattermost, which take the same form: `{"text": ...}` to an incoming webhook.
//
// The subject is a line, the rest is quoted as it stands: commands and logs are full of signs that chats take for marks,
// links and calls to everybody. What would be longer than a message may be loses its middle, since a text begins with what
// happened and ends with the last lines of the log.

import { webAddress } from '../../actors/model/notify.ts';
import { type Channel, inLine, refused } from './channel.ts';
import type { Post } from './post.ts';

export type ChatOptions = {
  readonly post: Post;
  /** Where letters go that are for nobody's address in particular. */
  readonly url?: string | undefined;
  /** The setting that says it, for whoever forgot it. */
  readonly flag: string;
  readonly characters_max: number;
};

export function createChat({ post, url: own, flag, characters_max }: ChatOptions): Channel {
  return {
    async deliver({ id, to, subject, text }, signal) {
      const url = webAddress(to === '' ? (own ?? '') : to);
      if (url === undefined)
        return refused(
          to === ''
            ? `nobody says where to: expected ${flag}`
            : 'the address is none: expected that of an incoming webhook',
        );
      const body = JSON.stringify({ text: messageOf(subject, text, characters_max) });
      const headers = { 'Content-Type': 'application/json', 'Horae-Delivery': encodeURI(id.toWellFormed()) };
      return post({ url, headers, body, trusted: to === '' }, signal);
    },
    close: async () => {},
  };
}

const fence = '```';
const subject_max = 250;

/** The subject, and below it the text, fenced in. Never more than `characters_max` characters as they are sent. */
export function messageOf(subject: string, text: string, characters_max: number): string {
  const head = escaped(inLine(subject, Math.min(subject_max, characters_max)));
  const room = characters_max - head.length - 2 * (fence.length + 1) - 1;
  const body = text.trim() === '' ? '' : shortened(text.trim(), room);
  return body === '' ? head.slice(0, characters_max) : `${head}\n${fence}\n${body}\n${fence}`;
}

/** As long as it may be once it is escaped: from the middle goes what is too much. */
function shortened(text: string, room: number): string {
  const whole = escaped(text);
  if (whole.length <= room) return whole;
  // Escaping makes it longer by what only the text knows: the part that is kept shrinks until it fits.
  for (let keep = Math.min(text.length, room); keep > 0; keep = Math.floor(keep * 0.8)) {
    const tail = Math.floor(keep / 3);
    const left_out = text.length - keep;
    const begin = text.slice(0, keep - tail).toWellFormed();
    const end = (tail === 0 ? '' : text.slice(-tail)).toWellFormed();
    const cut = escaped(`${begin}\n[... ${left_out} characters left out ...]\n${end}`);
    if (cut.length <= room) return cut;
  }
  return '';
}

/**
 * `&`, `<` and `>` as both products want them: `<!channel>` and links are none then. An `@` that would call people is kept
 * from doing so by a sign without width, and likewise what would end the fence.
 */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/@(?=(?:channel|here|everyone|all|group)\b)/gi, '@\u200b')
    .replaceAll(fence, '`\u200b`\u200b`');
}
