/** Nothing usable is there, and WeChat gave nothing. */
export class Unavailable extends Error {
  /** @param retryAt epoch milliseconds from which WeChat is asked again. */
  constructor(
    override readonly cause: unknown,
    readonly retryAt: number,
  ) {
    super('There is no usable credential at the moment.', { cause });
    this.name = 'Unavailable';
  }
}

/** The hub is going away, or the app was taken out of the configuration: nothing new is begun. */
export class Closed extends Error {
  constructor() {
    super('The hub is shutting down.');
    this.name = 'Closed';
  }
}

/** A report could not be decided, because WeChat could not be asked; the present value stays. */
export class Undecided extends Error {
  /** @param retryAt epoch milliseconds from which WeChat is asked again. */
  constructor(
    override readonly cause: unknown,
    readonly retryAt: number,
  ) {
    super('WeChat could not be asked whether the value is alive.', { cause });
    this.name = 'Undecided';
  }
}
