/** WeChat was asked, or should have been, and gave nothing. The cause says why. */
export abstract class WechatGaveNothing extends Error {
  /** @param retryAt epoch milliseconds from which WeChat is asked again. */
  constructor(
    message: string,
    override readonly cause: unknown,
    readonly retryAt: number,
  ) {
    super(message, { cause });
    this.name = new.target.name;
  }
}

/** Nothing usable is there, and WeChat gave nothing. */
export class Unavailable extends WechatGaveNothing {
  constructor(cause: unknown, retryAt: number) {
    super('There is no usable credential at the moment.', cause, retryAt);
  }
}

/** A rotation got no other value; the present one, which is usable, stays. */
export class NotReplaced extends WechatGaveNothing {
  constructor(cause: unknown, retryAt: number) {
    super('The value could not be replaced.', cause, retryAt);
  }
}

/** A report could not be decided, because WeChat could not be asked; the present value stays. */
export class Undecided extends WechatGaveNothing {
  constructor(cause: unknown, retryAt: number) {
    super('WeChat could not be asked whether the value is alive.', cause, retryAt);
  }
}

/** The hub is going away, or the app was taken out of the configuration: nothing new is begun. */
export class Closed extends Error {
  constructor() {
    super('The hub is shutting down.');
    this.name = 'Closed';
  }
}
