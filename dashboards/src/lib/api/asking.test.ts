import { expect, it } from 'vitest';

import { Asking } from './asking.svelte';

it('what is answered late is neither the answer of the next question, nor of none', async () => {
  const asking = new Asking<string>();
  let answer: (text: string) => void = () => undefined;
  const late = new Promise<string>((resolve) => (answer = resolve));
  const first = asking.ask(() => late);
  await asking.ask(() => Promise.resolve('second'));
  expect([asking.answer, asking.isAsking]).toEqual(['second', false]);
  const third = asking.ask(() => late);
  asking.clear();
  answer('late');
  await Promise.all([first, third]);
  expect([asking.answer, asking.error, asking.isAsking]).toEqual([null, null, false]);
});
