import { Metrics } from './metrics.js';

describe('the figures', () => {
  it('are written one metric in a turn of the event loop, so that clients come in between', async () => {
    const metrics = new Metrics(() => 0, '0.0.0');
    let turns = 0;
    let turn = setImmediate(function next() {
      turns += 1;
      turn = setImmediate(next);
    });
    const pages: string[] = [];
    for await (const page of metrics.pages()) pages.push(page);
    clearImmediate(turn);
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.filter((page) => page.match(/^# TYPE /gm)?.length !== 1)).toEqual([]);
    expect(turns).toBeGreaterThanOrEqual(pages.length - 1);
  });
});
