/** What several rounds of one measurement gave. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Sums rounds up: the median, because other work on the machine disturbs some of them, and how far they lie apart. */
export function spread(rounds: readonly number[]): Spread {
  const sorted = [...rounds].sort((a, b) => a - b);
  const at = (place: number): number => sorted[place] ?? NaN;
  const last = sorted.length - 1;
  return { median: (at(Math.floor(last / 2)) + at(Math.ceil(last / 2))) / 2, min: at(0), max: at(last) };
}

/** A figure in a table: one measurement, or several summed up, and how many digits behind the point say something. */
export interface Figure {
  readonly value: number | Spread;
  readonly digits: number;
}

/** What stands in a table: words, or a figure. */
export type Cell = string | Figure;

/** Figures under a title, the first column saying of what. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A promise in figures, and what became of it. */
export interface Verdict {
  readonly sentence: string;
  readonly figure: number;
  /** The most that it may be. */
  readonly bar: number;
}

/** What one benchmark has to say. */
export interface Report {
  /** In the order in which it is to be read. */
  readonly parts: readonly (Table | string)[];
  readonly verdicts: readonly Verdict[];
}

/** A spread as a figure of a table. */
export function shown(value: Spread, digits = 0): Figure {
  return { value, digits };
}

/** One measurement as a figure of a table. */
export function one(value: number, digits = 0): Figure {
  return { value, digits };
}

/** Says how a promise is kept. */
export function judged(sentence: string, figure: number, bar: number): Verdict {
  return { sentence, figure, bar };
}

/** The bar of a verdict as people write it. */
export function barOf({ bar }: Verdict): string {
  return number(bar, bar % 1 === 0 ? 0 : 1);
}

/** Whether a promise is kept; what could not be measured is not. */
export function holds({ figure, bar }: Verdict): boolean {
  return figure <= bar;
}

/** Writes a number for people. */
export function number(value: number, digits = 0): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Writes what stands in a table, a spread as `median (min–max)`. */
export function written(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  const { value, digits } = cell;
  if (typeof value === 'number') return number(value, digits);
  const [median, min, max] = [value.median, value.min, value.max].map((one) => number(one, digits));
  return `${median} (${min}–${max})`;
}

/** Puts figures under a title. */
export function table(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Table {
  return { title, head, rows };
}

/** Writes a table in plain text: the first column to the left, figures to the right. */
export function plain({ title, head, rows }: Table): string {
  const cells = rows.map((row) => row.map(written));
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [title, '', line(head), rule, ...cells.map(line), '', ''].join('\n');
}
