const urlSafe = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Where tokens, tickets and request ids come from: looks random, yet one seed always gives the same sequence. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + (this.#next() % (high - low + 1));
  }

  /** So many characters of the alphabet that WeChat uses in its tokens. */
  urlSafe(length: number): string {
    let text = '';
    let bits = 0;
    for (let position = 0; position < length; position++) {
      // One roll yields 32 bits, enough for five characters of six bits.
      if (position % 5 === 0) bits = this.#next();
      text += urlSafe.charAt(bits & 63);
      bits >>>= 6;
    }
    return text;
  }

  /** So many hexadecimal digits. */
  hex(length: number): string {
    let text = '';
    while (text.length < length) text += this.#next().toString(16).padStart(8, '0');
    return text.slice(0, length);
  }

  // Mulberry32: 32 bits of state, good enough to look random and quick enough for thousands of simulated days.
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
