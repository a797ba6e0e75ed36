import jwt from 'jsonwebtoken';
import type { KeyObject } from 'node:crypto';
import { Agent, get } from 'node:http';

/** The name of the client that the benchmarks are, for the hub under them. */
export const KID = 'bench';
/** Its key. */
export const KEY = 'bench-key-5d0c7a1e9f3b4862a7d1c0e5f8b39264';
/** Its token, as a client would make it that keeps one for a while. */
export const BEARER = bearerOf(KID, KEY);

const AT_ONCE = 32;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

/**
 * Asks for every address, a bounded number at once.
 * @throws Error when one is not answered with 200.
 */
export async function askAll(addresses: readonly string[]): Promise<void> {
  const rest = addresses.values();
  const askOneByOne = async (): Promise<void> => {
    for (const address of rest) await ask(address);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askOneByOne));
}

/** @throws Error when the answer is not 200. */
export function ask(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(address, { agent, headers: { Authorization: BEARER } }, (response) => {
      response.resume().once('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${address} was answered with ${String(response.statusCode)}`));
      });
    }).once('error', reject);
  });
}

/** A token of a client, as its requests show it. */
export function bearerOf(kid: string, key: string | KeyObject, claims: object = {}): string {
  return `Bearer ${jwt.sign({ aud: 'wechat-token-hub', ...claims }, key, { keyid: kid, expiresIn: '1h' })}`;
}

/** The name of one of many clients. */
export function kidOf(place: number): string {
  return `client-${place}`;
}

/** Its key. */
export function keyOf(place: number): string {
  return `${KEY}-${place}`;
}
