import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { networksOf } from '../config/networks.js';
import { sourceAddressOf, sourceNetworkOf, traceSource } from './source-address.js';

/** Where a request comes from that was sent by `peer`, with these headers, to a hub that believes these proxies. */
function sourceOf(peer: string, headers: Readonly<Record<string, string>>, trusted?: string): string {
  const request = new IncomingMessage({ remoteAddress: peer } as Socket);
  Object.assign(request.headers, headers);
  traceSource(request, trusted === undefined ? undefined : networksOf(trusted));
  return sourceAddressOf(request);
}

const forwarded = (hops: string): Record<string, string> => ({ 'x-forwarded-for': hops });

describe('the source of a request', () => {
  it('is the other end of the connection, whatever a header says, unless a proxy is believed', () => {
    expect(sourceOf('192.0.2.1', forwarded('198.51.100.7'))).toBe('192.0.2.1');
    expect(sourceOf('192.0.2.1', forwarded('198.51.100.7'), '10.0.0.0/8')).toBe('192.0.2.1');
    expect(sourceOf('10.1.2.3', {}, '10.0.0.0/8')).toBe('10.1.2.3');
  });

  it.each([
    ['what a proxy of ours saw', '198.51.100.7', '198.51.100.7'],
    ['and not what the client had written before', '1.1.1.1, 198.51.100.7', '198.51.100.7'],
    ['and not what looks like a proxy of ours further back', '10.9.9.9, 198.51.100.7', '198.51.100.7'],
    ['through several proxies of ours', '1.1.1.1, 198.51.100.7, 10.0.0.2,10.0.0.3', '198.51.100.7'],
    ['of IPv6', '2001:DB8:0:0::7', '2001:db8::7'],
    ['of IPv4 in IPv6', '::ffff:198.51.100.7', '198.51.100.7'],
    ['with a port', '198.51.100.7:4711', '198.51.100.7'],
    ['of IPv6 with a port', '[2001:db8::7]:4711', '2001:db8::7'],
    ['the furthest proxy, if there is nothing but those', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
  ])('is, behind a proxy that is believed, %s', (_, hops, source) => {
    expect(sourceOf('10.1.2.3', forwarded(hops), '10.0.0.0/8')).toBe(source);
  });

  it.each([
    '',
    ' ',
    ',',
    'unknown',
    '_hidden',
    '300.1.1.1',
    '1.2.3',
    '010.0.0.1',
    '<script>',
    '198.51.100.7, x',
    'a:b',
  ])('is the proxy itself where the header is malformed: %j', (hops) => {
    expect(sourceOf('10.1.2.3', forwarded(hops), '10.0.0.0/8')).toBe('10.1.2.3');
  });

  it('is the last hop that can be read, when one before it cannot', () => {
    expect(sourceOf('10.1.2.3', forwarded('x, 10.0.0.9'), '10.0.0.0/8')).toBe('10.0.0.9');
  });

  it('is believed of proxies in any of several networks, and over IPv6', () => {
    const trusted = '192.0.2.1, fd00::/8,10.0.0.0/8';
    expect(sourceOf('192.0.2.1', forwarded('198.51.100.7'), trusted)).toBe('198.51.100.7');
    expect(sourceOf('192.0.2.2', forwarded('198.51.100.7'), trusted)).toBe('192.0.2.2');
    expect(sourceOf('fd12::1', forwarded('198.51.100.7, fd00::2'), trusted)).toBe('198.51.100.7');
    expect(sourceOf('::ffff:10.1.2.3', forwarded('198.51.100.7'), trusted)).toBe('198.51.100.7');
  });

  it('is told by no other header', () => {
    const others = { forwarded: 'for=198.51.100.7', 'x-real-ip': '198.51.100.7', 'x-client-ip': '198.51.100.7' };
    expect(sourceOf('10.1.2.3', others, '10.0.0.0/8')).toBe('10.1.2.3');
  });

  it('is looked for through a few proxies and not through thousands', () => {
    expect(sourceOf('10.1.2.3', forwarded('10.0.0.1, '.repeat(1000) + '10.0.0.2'), '10.0.0.0/8')).toBe('10.0.0.1');
    expect(sourceOf('10.1.2.3', forwarded(`1.1.1.1${', 10.0.0.1'.repeat(1000)}`), '10.0.0.0/8')).toBe('10.0.0.1');
  });
});

describe('the network of a request', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8::1', '2001:db8::/64'],
    ['2001:db8:0:0:ffff::1', '2001:db8::/64'],
    ['2001:db8::aaaa:bbbb:cccc:dddd', '2001:db8::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['::1', '::/64'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
  ])('is one place, where an address of it is cheap, too: %s', (address, network) => {
    const request = new IncomingMessage({ remoteAddress: address } as Socket);
    expect(sourceNetworkOf(request)).toBe(network);
  });
});

describe('a list of networks', () => {
  it.each([
    '',
    ',',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/-1',
    '10.0.0.0/',
    'fd00::/129',
    'true',
    '*',
    'loopback',
    '10.0.0.1 10.0.0.2',
  ])('is refused as a whole if there is anything else in it: %j', (text) => {
    expect(networksOf(text)).toBeUndefined();
    expect(networksOf(`127.0.0.1,${text}`)).toBeUndefined();
  });
});
