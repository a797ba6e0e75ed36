/** Refuses a configuration, with every fault of it at once. Messages name settings, never values. */
export class ConfigurationError extends Error {
  constructor(readonly faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n` +
        faults.map((fault) => `  - ${fault}`).join('\n'),
    );
    this.name = 'ConfigurationError';
  }
}

/** Gathers the faults met while a configuration is read, so that an operator mends them in one go. */
export class Faults {
  private readonly found: string[] = [];

  add(setting: string, message: string): void {
    this.found.push(`${setting}: ${message}`);
  }

  /** @throws ConfigurationError when any fault was found. */
  refuse(): void {
    if (this.found.length > 0) throw new ConfigurationError(this.found);
  }
}
