import { inspect } from 'node:util';

/**
 * Carries an AppSecret, a key or a token through the program without ever showing it: whatever prints, logs or
 * serialises it gets `[secret]`. Only the code that sends or checks the value calls {@link reveal}.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one call that needs it. */
  reveal(): string {
    return this.#value;
  }

  /** Whether it is the same value. */
  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
