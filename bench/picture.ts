import { type Cell, number, type Spread, type Table } from './figures.js';
import type { Figures } from './paper.js';

const WIDTH = 960;
/** For the figures behind a bar. */
const RIGHT = 150;
/** The widest that a character is on average, in fonts that are usual. */
const CHARACTER = 7.7;
const [TOP, ROW, BAR, BOTTOM] = [104, 34, 18, 56];
const TICKS = 5;

/** Who is drawn in which colour. */
const GROUPS = [
  { name: 'a server that knows nobody', style: 'reference', is: (label: string) => !label.startsWith('hub') },
  { name: 'the hub', style: 'hub', is: (label: string) => label.startsWith('hub') && !label.includes('401') },
  { name: 'the hub, refusing', style: 'refusal', is: (label: string) => label.includes('401') },
] as const;

const STYLE = `
    text { font: 14px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
    .title { font-size: 18px; font-weight: 600; }
    .small { font-size: 13px; fill: #59636e; }
    .ground { fill: #ffffff; }
    .reference { fill: #8c959f; }
    .hub { fill: #54aeff; }
    .refusal { fill: #f0883e; }
    .grid { stroke: #d1d9e0; }
    .whisker { stroke: #1f2328; stroke-width: 1.5; fill: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .ground { fill: #0d1117; }
      .reference { fill: #656c76; }
      .hub { fill: #1f6feb; }
      .refusal { fill: #bd561d; }
      .grid { stroke: #3d444d; }
      .whisker { stroke: #f0f6fc; }
    }`;

/** What a request costs, as a picture: a bar for each row of the first table of hand-outs. */
export function picture({ benchmarks }: Figures): string {
  const bars = barsIn(benchmarks['hand-out']?.parts ?? []);
  const height = TOP + bars.length * ROW + BOTTOM;
  const step = tickStep(Math.max(1, ...bars.map(({ cost }) => cost.max)));
  const most = step * Math.max(1, Math.ceil(Math.max(1, ...bars.map(({ cost }) => cost.max)) / step));
  const left = Math.round(32 + CHARACTER * Math.max(20, ...bars.map(({ label }) => label.length)));
  const x = (microseconds: number): number => round(left + (microseconds / most) * (WIDTH - left - RIGHT));
  const end = TOP + bars.length * ROW;
  const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, tick) => tick * step);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
  <title id="title">CPU time per request: the hub, bare node:http and Express</title>
  <style>${STYLE}
  </style>
  <rect class="ground" width="${WIDTH}" height="${height}"/>
  <text class="title" x="20" y="34">CPU time per request, 64 connections</text>
${legend()}
${ticks
  .map(
    (tick) => `  <line class="grid" x1="${x(tick)}" y1="${TOP - 8}" x2="${x(tick)}" y2="${end}"/>
  <text class="small" x="${x(tick)}" y="${end + 20}" text-anchor="middle">${number(tick)}</text>`,
  )
  .join('\n')}
  <text class="small" x="${round((x(0) + x(most)) / 2)}" y="${end + 42}" text-anchor="middle">µs of processor time per request, and as a multiple of bare node:http in the same round</text>
${bars.map((bar, place) => drawn(bar, TOP + place * ROW, x)).join('\n')}
</svg>
`;
}

interface Bar {
  readonly label: string;
  readonly cost: Spread;
  /** As a multiple of the first one's. */
  readonly times: number;
}

function barsIn(parts: readonly (Table | string)[]): Bar[] {
  const table = parts.find((part) => typeof part !== 'string');
  return (table?.rows ?? []).flatMap(([label, cost, times]) => {
    const [own, multiple] = [spreadIn(cost), spreadIn(times)];
    return typeof label === 'string' && own && multiple ? [{ label, cost: own, times: multiple.median }] : [];
  });
}

function spreadIn(cell: Cell | undefined): Spread | undefined {
  return typeof cell === 'object' && typeof cell.value === 'object' ? cell.value : undefined;
}

function drawn(
  { label, cost: { median, min, max }, times }: Bar,
  top: number,
  x: (microseconds: number) => number,
): string {
  const style = GROUPS.find(({ is }) => is(label))?.style ?? 'hub';
  const middle = top + BAR / 2;
  const cap = (microseconds: number): string => `M${x(microseconds)} ${middle - 5}v10`;
  return `  <text x="${x(0) - 12}" y="${middle + 5}" text-anchor="end">${escaped(label)}</text>
  <rect class="${style}" x="${x(0)}" y="${top}" width="${round(x(median) - x(0))}" height="${BAR}"/>
  <path class="whisker" d="M${x(min)} ${middle}H${x(max)}${cap(min)}${cap(max)}"/>
  <text x="${round(x(max) + 10)}" y="${middle + 5}">${number(median, 1)} µs, ${number(times, times < 10 ? 2 : 1)} ×</text>`;
}

function legend(): string {
  let x = 20;
  const entries = GROUPS.map(({ name, style }) => {
    const entry = `  <rect class="${style}" x="${x}" y="56" width="14" height="14"/>
  <text class="small" x="${x + 20}" y="68">${name}</text>`;
    x += 40 + name.length * 7.5;
    return entry;
  });
  return `${entries.join('\n')}
  <path class="whisker" d="M${x} 63h24M${x} 58v10M${x + 24} 58v10"/>
  <text class="small" x="${x + 32}" y="68">least and most of the rounds; the bar is the median</text>`;
}

/** A step between ticks that people count in: 1, 2 or 5 of some power of ten. */
function tickStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / TICKS));
  return power * ([1, 2, 5].find((times) => times * power * TICKS >= most) ?? 10);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
