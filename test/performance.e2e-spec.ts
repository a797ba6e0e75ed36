import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { handOut } from '../bench/hand-out.js';
import { page } from '../bench/page.js';
import { FIGURES, figuresIn, PAGE, PICTURE } from '../bench/paper.js';
import { picture } from '../bench/picture.js';

/** Half as much is usual, and without the short way of a read it is more; so no neighbour of the test makes it fail. */
const MOST_TIMES_BARE = 3;

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

describe('the page of figures', () => {
  const figures = figuresIn(read(FIGURES));

  it('says what was measured, and nothing else', () => {
    expect(read(PAGE)).toBe(page(figures));
  });

  it('names every bar that was missed', () => {
    const verdicts = Object.values(figures.benchmarks).flatMap((measured) => measured.verdicts);
    const missed = verdicts.filter(({ figure, bar }) => !(figure <= bar));
    const rows = read(PAGE)
      .split('\n')
      .filter((line) => line.endsWith('| **MISSED** |'));
    expect(rows).toHaveLength(missed.length);
    expect(missed.filter(({ sentence }) => !rows.some((row) => row.includes(sentence)))).toEqual([]);
  });

  it('has a picture of the same figures', () => {
    expect(read(PICTURE)).toBe(picture(figures));
  });

  it('has a picture in which nothing is cut off', () => {
    const drawing = picture(figures);
    const [, width = 0, height = 0] = (/viewBox="0 0 (\d+) (\d+)"/.exec(drawing) ?? []).map(Number);
    const texts = [
      ...drawing.matchAll(/<text(?: class="(\w+)")? x="([\d.]+)" y="([\d.]+)"(?: text-anchor="(\w+)")?>([^<]+)</g),
    ];
    expect(texts.length).toBeGreaterThan(2 * (figures.benchmarks['hand-out']?.parts.length ?? 0));
    const outside = texts.filter(([, style, x, y, anchor, text = '']) => {
      const wide = text.length * (style === 'title' ? 10 : 7.5);
      const from = Number(x) - wide * ({ end: 1, middle: 0.5 }[anchor ?? ''] ?? 0);
      return from < 0 || from + wide > width || Number(y) > height;
    });
    expect(outside.map(([text]) => text)).toEqual([]);
  });
});

describe('a read', () => {
  it('costs little more than an answer of bare node:http, with authentication, metrics, request ids and audit', async () => {
    const costs = await handOut({ rounds: 5, seconds: 0.4, requests: 0 }, ['text']);
    // Where others have most of the machine, few requests come at once, and each has a write of the audit for itself: a
    // round in which that is not so is enough.
    expect(costs.find(({ what }) => what === 'text')?.timesBare.min).toBeLessThan(MOST_TIMES_BARE);
  });
});
