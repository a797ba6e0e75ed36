import { BlockList, isIP } from 'node:net';

/** What a list of networks must look like. */
export const NETWORKS_FORM = 'must be addresses or networks such as 10.0.0.0/8 or fd00::/8, with commas between';

/**
 * Reads a list of addresses and networks in CIDR notation.
 * @returns undefined when it is none.
 */
export function networksOf(text: string): BlockList | undefined {
  const networks = new BlockList();
  for (const part of text.split(',')) {
    const [, address = '', prefix] = /^\s*([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?\s*$/.exec(part) ?? [];
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    if (version === 0 || Number(prefix ?? bits) > bits) return undefined;
    networks.addSubnet(address, Number(prefix ?? bits), version === 4 ? 'ipv4' : 'ipv6');
  }
  return networks;
}
