import { miniProgram } from './mini-program.js';
import { officialAccount } from './official-account.js';
import type { Platform } from './platform.js';
import { wecom } from './wecom.js';

/** Every platform that the hub knows. A new one is a file beside these, and its name here. */
export const PLATFORMS: readonly Platform[] = [officialAccount, miniProgram, wecom];
