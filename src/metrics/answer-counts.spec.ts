import { Registry } from 'prom-client';
import { AnswerCounts, type Answered } from './answer-counts.js';

const READ: Answered = { client: 'web', app: 'shop', route: '/access-token', status: 200, seconds: 0.01 };
const STRANGE: Answered = { client: undefined, app: undefined, route: undefined, status: 404, seconds: 0.01 };

/** The lines of the counter, without its head. */
async function linesFor(answered: readonly Answered[]): Promise<string[]> {
  const counts = new AnswerCounts(new Registry(), {
    requests: { name: 'requests', help: 'How many.' },
    duration: { name: 'seconds', help: 'How long.' },
  });
  for (const one of answered) counts.count(one);
  let text = '';
  for await (const page of counts.pages()) text += page;
  return text.trimEnd().split('\n').slice(2).sort();
}

describe('requests', () => {
  it('are counted apart where anything is different, and together where nothing is', async () => {
    const others = [{ client: 'pod' }, { app: 'crm' }, { route: '/ticket' }, { status: 304 }];
    const all = [READ, ...others.map((other) => ({ ...READ, ...other }))];
    expect(await linesFor([...all, ...all, READ])).toEqual([
      'requests{client="pod",app="shop",route="/access-token",status="200"} 2',
      'requests{client="web",app="crm",route="/access-token",status="200"} 2',
      'requests{client="web",app="shop",route="/access-token",status="200"} 3',
      'requests{client="web",app="shop",route="/access-token",status="304"} 2',
      'requests{client="web",app="shop",route="/ticket",status="200"} 2',
    ]);
  });

  it('of what is called none have no line beside those of which there is none: Prometheus takes no line twice', async () => {
    const named = { ...STRANGE, client: 'none', app: 'none' };
    expect(await linesFor([STRANGE, named])).toEqual([
      'requests{client="none",app="none",route="none",status="404"} 2',
    ]);
  });
});
