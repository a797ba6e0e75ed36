import { weixinPlatform } from './official-account.js';

/** The platform of 小程序 and 小游戏, which share API and credentials with official accounts. */
export const miniProgram = weixinPlatform('mini-program');
