/** As much as the benchmarks use of autocannon, which comes without types. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  export interface Request {
    readonly headers: Readonly<Record<string, string>>;
  }

  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration?: number;
    /** Of all connections together, in the place of a duration. */
    readonly amount?: number;
    /** Milliseconds from one look whether it is over to the next. */
    readonly sampleInt: number;
    setupClient(client: { setRequests(requests: readonly Request[]): void }): void;
  }

  interface Result {
    readonly errors: number;
  }

  interface Run extends PromiseLike<Result>, EventEmitter {
    stop(): void;
  }

  export default function autocannon(options: Options): Run;
}
