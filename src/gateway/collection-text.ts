import { isNode, isPair, type YAMLMap, type YAMLSeq } from 'yaml';

/** Where an item of a collection begins and ends in the text that it was read from. */
type Span = readonly [start: number, end: number];

/** The text of a collection of YAML, or JSON, in which items come and go, and nothing else changes. */
export class CollectionText {
  private readonly spans: readonly Span[];
  private readonly lineEnd: string;

  constructor(
    private readonly text: string,
    private readonly collection: YAMLMap | YAMLSeq,
  ) {
    this.spans = collection.items.map(spanOf);
    this.lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  }

  /**
   * The whole text with one more item, the last.
   * @param lines the item as it is written on lines of its own.
   * @param inline the same, where items stand between brackets.
   */
  with(lines: readonly string[], inline: string): string {
    const { text, lineEnd } = this;
    const [first, last] = [this.spans[0], this.spans.at(-1)];
    if (this.collection.flow) {
      const [opening = 0] = this.collection.range ?? [];
      if (!first || !last) return spliced(text, [opening + 1, opening + 1], inline);
      // As they are set apart already, be that by a line or by nothing.
      const gap = text.slice(opening + 1, first[0]);
      return spliced(text, [last[1], last[1]], `,${gap.includes('\n') ? gap : ' '}${inline}`);
    }
    if (!first || !last) return text;
    const indent = /^\s*/.exec(text.slice(this.startOfLine(first[0])))?.[0] ?? '';
    const end = this.endOfLine(last[1]);
    const before = text[end - 1] === '\n' ? '' : lineEnd;
    return spliced(text, [end, end], before + lines.map((line) => indent + line + lineEnd).join(''));
  }

  /** The whole text without one of the items; it must not be the only one. */
  without(index: number): string {
    const [before, span = [0, 0], after] = [this.spans[index - 1], this.spans[index], this.spans[index + 1]];
    const [start, end] = span;
    if (!this.collection.flow) return spliced(this.text, [this.startOfLine(start), this.endOfLine(end)], '');
    return spliced(this.text, after ? [start, after[0]] : [before?.[1] ?? start, end], '');
  }

  private startOfLine(at: number): number {
    return this.text.lastIndexOf('\n', at - 1) + 1;
  }

  /** Behind the line in which something ends; what ends with the line itself ends there. */
  private endOfLine(at: number): number {
    if (this.text[at - 1] === '\n') return at;
    const found = this.text.indexOf('\n', at);
    return found === -1 ? this.text.length : found + 1;
  }
}

function spanOf(item: unknown): Span {
  const [from, to] = isPair(item) ? [item.key, item.value ?? item.key] : [item, item];
  return [(isNode(from) ? from.range?.[0] : undefined) ?? 0, (isNode(to) ? to.range?.[1] : undefined) ?? 0];
}

function spliced(text: string, [start, end]: Span, between: string): string {
  return text.slice(0, start) + between + text.slice(end);
}
