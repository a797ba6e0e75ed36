import { LabelledCounts, pagesOf, written } from './family.js';

const heading = { name: 'wechat_token_hub_example', help: 'What it is.', type: 'gauge' } as const;

async function textOf(pages: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

describe('figures of one name', () => {
  it('are said under one heading, whatever there is to say of each', async () => {
    const pages = await textOf(
      pagesOf(heading, [1, 2, 3], (thing) => (thing === 2 ? [] : [[`app="${thing}"`, thing]])),
    );
    expect(pages.join('')).toBe(
      '# HELP wechat_token_hub_example What it is.\n# TYPE wechat_token_hub_example gauge\n' +
        'wechat_token_hub_example{app="1"} 1\nwechat_token_hub_example{app="3"} 3\n',
    );
  });

  it('are there, though there is nothing to say', async () => {
    expect((await textOf(pagesOf(heading, [], () => []))).join('')).toMatch(/^# HELP .*\n# TYPE .*\n$/);
  });

  it('of very many things are written in many pages, none of them long', async () => {
    const things = Array.from({ length: 10_000 }, (_, i) => i);
    const pages = await textOf(pagesOf(heading, things, (thing) => [[`app="${thing}"`, 1]]));
    expect(pages.length).toBeGreaterThan(20);
    expect(Math.max(...pages.map((page) => page.split('\n').length))).toBeLessThan(1000);
    expect(pages.join('').match(/app=/g)).toHaveLength(things.length);
  });

  it('have labels that nobody can break out of', () => {
    expect(written({ app: 'a"b', route: 'c\\d\ne', status: 200 })).toBe('app="a\\"b",route="c\\\\d\\ne",status="200"');
  });

  it('are counted by all of their labels', async () => {
    const counts = new LabelledCounts({ ...heading, type: 'counter' });
    for (const app of ['shop', 'crm', 'shop']) counts.add({ app, kind: 'access-token' });
    const lines = (await textOf(counts.pages())).join('').split('\n').slice(2, -1);
    expect(lines).toEqual([
      'wechat_token_hub_example{app="shop",kind="access-token"} 2',
      'wechat_token_hub_example{app="crm",kind="access-token"} 1',
    ]);
    counts.clear();
    expect((await textOf(counts.pages())).join('')).not.toContain('app=');
  });
});
