import { type CustomDecorator, SetMetadata } from '@nestjs/common';

const KEY = 'hub:raw-body';

/** Marks a handler, or a controller, that reads the body of a request itself. */
export const RawBody = (): CustomDecorator => SetMetadata(KEY, true);

/** Whether a handler or its class is marked so. */
export function isRawBody(...targets: readonly object[]): boolean {
  return targets.some((target) => Reflect.getMetadata(KEY, target) === true);
}
