/** What came of a write: how many bytes were taken, and why not all, or not for good. */
export interface Written {
  readonly bytes: number;
  readonly error?: unknown;
}

/** Where the lines of an audit go. */
export abstract class Sink {
  /**
   * Goes over to a new file, if one has taken the place of the old.
   * @returns whether it did.
   * @throws the system's error when there is nowhere to write.
   */
  abstract turnOver(): Promise<boolean>;

  /** Writes bytes behind those that are there, and says what came of it; never throws. */
  abstract write(bytes: Buffer): Promise<Written>;

  abstract close(): Promise<void>;
}

/** The audit on stdout, among the lines of the log. */
export class StdoutSink extends Sink {
  override turnOver(): Promise<boolean> {
    return Promise.resolve(false);
  }

  override write(bytes: Buffer): Promise<Written> {
    return new Promise((resolve) => {
      process.stdout.write(bytes, (error) => resolve(error ? { bytes: 0, error } : { bytes: bytes.length }));
    });
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}
