import type { Dice } from './dice.js';

const block = Buffer.from(Uint8Array.from({ length: 65_536 }, (_, place) => (place * 31 + (place >> 8)) & 255));
const signature = Buffer.from('89504e470d0a1a0a', 'hex');

/** So many bytes that begin as a PNG does and are no text; they are made as they are sent, and the same at any time. */
export class Picture {
  constructor(readonly bytes: number) {}

  *chunks(): Generator<Buffer> {
    for (let sent = 0; sent < this.bytes; sent += block.length) {
      const chunk = Buffer.from(block.subarray(0, Math.min(block.length, this.bytes - sent)));
      if (sent === 0) signature.copy(chunk);
      yield chunk;
    }
  }
}

/** A success that is no JSON: a file. */
export class Download {
  constructor(
    readonly picture: Picture,
    readonly filename: string,
  ) {}
}

const mediaRemembered = 1000;

/** The media that can be downloaded. Of what was uploaded it remembers the size alone, and hands out a picture as large. */
export class MediaShelf {
  readonly #sizes = new Map<string, number>();
  readonly #dice: Dice;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Puts a medium of a size there; returns its `media_id`. */
  add(bytes: number): string {
    const id = this.#dice.urlSafe(64);
    this.#sizes.set(id, bytes);
    const [oldest] = this.#sizes.keys();
    if (oldest !== undefined && this.#sizes.size > mediaRemembered) this.#sizes.delete(oldest);
    return id;
  }

  find(id: string): Download | undefined {
    const bytes = this.#sizes.get(id);
    return bytes === undefined ? undefined : new Download(new Picture(bytes), `${id}.png`);
  }
}
