import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Report } from './figures.js';
import { machine, type Machine } from './machine.js';
import { page } from './page.js';
import { picture } from './picture.js';
import { fromCheckout } from './program.js';

/** Where the figures are written down, and what is drawn and told of them. */
export const FIGURES = 'docs/performance.json';
export const PAGE = 'docs/performance.md';
export const PICTURE = 'docs/performance.svg';

/** What a benchmark had to say, when, and whether it took the time that it wants. */
export interface Measured extends Report {
  readonly date: string;
  readonly short: boolean;
}

/** All that was measured on one machine, by the names of the benchmarks, in the order of the page. */
export interface Figures {
  readonly machine: Machine;
  readonly benchmarks: Readonly<Record<string, Measured>>;
}

/** The page of figures: what was measured anew takes the place of what was there. */
export class Paper {
  private readonly machine = machine();
  private benchmarks: Readonly<Record<string, Measured>>;

  /**
   * @param order the names of all benchmarks.
   * @param isWhole whether all of them are measured anew.
   * @throws Error when what stays would be of another machine.
   */
  constructor(
    private readonly order: readonly string[],
    isWhole: boolean,
  ) {
    const before = existsSync(fromCheckout(FIGURES))
      ? figuresIn(readFileSync(fromCheckout(FIGURES), 'utf8'))
      : undefined;
    const isSame = before !== undefined && isDeepStrictEqual(before.machine, this.machine);
    if (before && !isSame && !isWhole)
      throw new Error(`${FIGURES} is of another machine: write all of it, without --only`);
    this.benchmarks = isSame ? before.benchmarks : {};
  }

  /** Writes down what one of them came to: what has been measured is there even if the next one fails. */
  keep(name: string, measured: Measured): void {
    const all = { ...this.benchmarks, [name]: measured };
    this.benchmarks = Object.fromEntries(this.order.flatMap((one) => (all[one] ? [[one, all[one]]] : [])));
    const text = `${JSON.stringify({ machine: this.machine, benchmarks: this.benchmarks }, rounded, 2)}\n`;
    const figures = figuresIn(text);
    for (const [path, content] of [
      [FIGURES, text],
      [PAGE, page(figures)],
      [PICTURE, picture(figures)],
    ] as const) {
      writeFileSync(fromCheckout(path), content);
    }
  }
}

/** Reads what was written down. */
export function figuresIn(text: string): Figures {
  return JSON.parse(text) as Figures;
}

/** No clock is as exact as a number of JavaScript's. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}
