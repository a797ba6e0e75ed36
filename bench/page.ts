import { barOf, type Figure, holds, number, type Table, type Verdict, written } from './figures.js';
import type { Figures, Measured } from './paper.js';

const PREFACE = `# Performance

How fast the hub is and how much it takes, as \`npm run bench\` measured it. This page and its picture are written by \`npm run bench -- --write\`, from
[performance.json](performance.json); nobody edits them.

![CPU microseconds per request of the hub, of bare node:http and of Express](performance.svg)

## Why a read is fast

A target that was asked for once goes straight to those who decide, by one short way (\`src/http/read-lane.ts\`) past the framework's router: the same checks in the same
order, and no others. A JWT that comes again is remembered by its hash for as long as all of them would have the same outcome, and what is said and recorded of a credential
is made ready once per version: what is left for each request is to look it up, to count it, to write one line of the audit and to send it.`;

const REPEATING = `\`\`\`sh
npm ci
npm run bench -- --write                  # all of it, in some minutes, and this page
npm run bench -- --short                  # a quick look
npm run bench -- --only hand-out          # one of them, by the name of its heading
\`\`\`

Servers and clients share the machine, so leave it alone meanwhile. Costs are processor time by the operating system's accounting, all threads of a server together. What is compared is
measured in rounds by turns, so that whatever else the machine does strikes all alike; a figure is the median of the rounds, with the least and the most. The requests come from
[autocannon](https://github.com/mcollina/autocannon) in a process of its own, over 64 connections unless it is said otherwise, and the hub has on what is on in production: authentication, metrics,
request ids and, where it is about hand-outs, an audit in a file.`;

/** The page that people read, as the figures have it. */
export function page({ machine, benchmarks }: Figures): string {
  const all = Object.entries(benchmarks);
  const verdicts = all.flatMap(([, { verdicts }]) => verdicts);
  const sections = [
    PREFACE,
    `## Bars\n\n${summary(verdicts)}\n\n${markdown(tableOf(verdicts))}`,
    `## The machine\n\n${markdown({
      title: '',
      head: ['what', 'which'],
      rows: [
        ['processor', machine.cpu],
        ['cores', number(machine.cores)],
        ['memory', `${number(machine.memoryGb)} GB`],
        ['kernel', machine.kernel],
        ['Node.js', machine.node],
      ],
    })}`,
    `## How to repeat it\n\n${REPEATING}`,
    ...all.map(([name, measured]) => section(name, measured)),
  ];
  return `${sections.join('\n\n')}\n`;
}

function summary(verdicts: readonly Verdict[]): string {
  const missed = verdicts.filter((verdict) => !holds(verdict));
  const all = number(verdicts.length);
  if (missed.length === 0) return `What the hub is held to; all ${all} hold.`;
  return `What the hub is held to. Of ${all}, **${number(missed.length)} ${missed.length === 1 ? 'is' : 'are'} missed**.`;
}

function tableOf(verdicts: readonly Verdict[]): Table {
  return {
    title: '',
    head: ['what was measured', 'bar', 'verdict'],
    rows: verdicts.map((verdict) => [verdict.sentence, barOf(verdict), holds(verdict) ? 'holds' : '**MISSED**']),
  };
}

function section(name: string, { date, short, parts }: Measured): string {
  const when = `Measured on ${date}${short ? ', in a short form: fewer and shorter rounds' : ''}.`;
  const texts = parts.map((part) => (typeof part === 'string' ? part : `**${part.title}**\n\n${markdown(part)}`));
  return [`## ${name}`, when, ...texts].join('\n\n');
}

function markdown({ head, rows }: Table): string {
  const isFigure = head.map((_, column) => rows.some((row) => typeof row[column] === 'object'));
  const line = (cells: readonly (string | Figure)[]): string =>
    `| ${cells.map((cell) => escaped(written(cell))).join(' | ')} |`;
  const rule = `| ${isFigure.map((is) => (is ? '---:' : '---')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}
