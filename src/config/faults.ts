/** Refuses a configuration, with every fault of it at once. Messages name settings, never values. */
export class ConfigurationError extends Error {
  // Out of sight of whatever prints an error: a path is a value too.
  readonly #files: ReadonlySet<string>;

  constructor(
    readonly faults: readonly string[],
    files: ReadonlySet<string> = new Set(),
  ) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n` +
        faults.map((fault) => `  - ${fault}`).join('\n'),
    );
    this.name = 'ConfigurationError';
    this.#files = files;
  }

  /** What was read or looked for: the fault may be mended in any of these files. */
  get files(): ReadonlySet<string> {
    return this.#files;
  }
}

/** Gathers the faults met while a configuration is read, so that an operator mends them in one go. */
export class Faults {
  /** Both upstreams may go by one proxy: what is wrong with that is one thing to mend. */
  private readonly found = new Set<string>();

  add(setting: string, message: string): void {
    this.found.add(`${setting}: ${message}`);
  }

  /** @throws ConfigurationError when any fault was found in these files or elsewhere. */
  refuse(files: ReadonlySet<string>): void {
    if (this.found.size > 0) throw new ConfigurationError([...this.found], files);
  }
}
