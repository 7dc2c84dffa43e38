// crashes.test.ts: whatever is noted, whoever fails, and wherever the process dies, every notice is told once, in one letter.

import test from 'ava';
import fc from 'fast-check';
import type { LetterRecord, Place } from '../../actors/model/notices.ts';
import { noticed, Office } from './office.ts';

const places: readonly Place[] = [
  { channel: 'mail', to: 'a@example.com' },
  { channel: 'mail', to: 'b@example.com' },
  { channel: 'slack', to: '' },
  { channel: 'webhook', to: '' },
  { channel: 'webhook', to: 'https://hooks.example.com/x' },
];

const act = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('note' as const),
      to: fc.subarray([0, 1, 2, 3, 4], { minLength: 1 }),
      success: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 400_000 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('weather' as const),
      down: fc.subarray([0, 1, 2, 3, 4]),
      mode: fc.constantFrom('failed' as const, 'hang' as const, 'refused' as const),
    }),
  },
);

test('every notice is told to each of its places in one letter, under one id, or lies with those that were given up', t => {
  const seed = Number(process.env.HORAE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.log(`seed ${seed}`);
  fc.assert(
    fc.property(fc.array(act, { minLength: 5, maxLength: 60 }), acts => {
      const office = new Office({ sending_max: 2, letters_max: 3, dead_max: 1_000 });
      const wished = new Set<string>();
      let weather: { readonly down: readonly number[]; readonly mode: 'failed' | 'hang' | 'refused' } = {
        down: [],
        mode: 'failed',
      };
      office.answer = letter => {
        const down = weather.down.some(n => places[n]!.channel === letter.channel && places[n]!.to === letter.to);
        if (!down) return { type: 'delivered' };
        if (weather.mode === 'hang') return undefined;
        return { type: weather.mode, message: 'no' };
      };
      let n = 0;
      for (const one of acts)
        if (one.do === 'note') {
          n += 1;
          const to = one.to.map(index => places[index]!);
          office.note(noticed(n, to, one.success ? 'succeeded' : 'failed', office.now));
          for (const place of to) wished.add(`${place.channel} ${place.to} www/prod/j${n}`);
        } else if (one.do === 'wait') office.until(office.now + one.ms);
        else if (one.do === 'crash') office.crash();
        else weather = one;
      weather = { down: [], mode: 'failed' };
      office.crash();
      office.until(office.now + 10 * 86_400_000);
      const told = new Map<string, Set<string>>();
      const letters = [
        ...office.sent.map(one => one.letter),
        ...office.of<LetterRecord>('letter').map(one => one.letter),
      ];
      for (const { channel, to, notices, more, id } of letters) {
        if (more > 0) continue;
        for (const { job } of notices) {
          const key = `${channel} ${to} ${job}`;
          told.set(key, (told.get(key) ?? new Set()).add(id));
        }
      }
      const counted = letters.reduce((sum, one) => sum + one.notices.length + one.more, 0);
      if (counted !== wished.size) throw new Error(`${counted} told, ${wished.size} wished`);
      for (const [key, ids] of told) {
        if (!wished.has(key)) throw new Error(`nobody wished for ${key}`);
        if (ids.size !== 1) throw new Error(`${key} is in ${ids.size} letters`);
      }
      // One id is one letter, word for word.
      const words = new Map<string, string>();
      for (const { letter } of office.seen) {
        const text = JSON.stringify(letter);
        if ((words.get(letter.id) ?? text) !== text) throw new Error(`letter ${letter.id} has changed`);
        words.set(letter.id, text);
      }
      if (new Set(letters.map(one => one.id)).size !== letters.length) throw new Error('an id was used twice');
      if (office.of<LetterRecord>('letter').some(one => one.dead_at === undefined)) throw new Error('a letter waits');
      if (office.of('notice').length > 0 || office.of('place').length > 0) throw new Error('something is left');
      return true;
    }),
    { numRuns: 300, seed },
  );
  t.pass();
});
