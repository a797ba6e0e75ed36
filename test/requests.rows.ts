import { bearer, good } from './authorization.rows.js';

/** What is nowhere in an answer, though it is all over the requests. */
export const MARK = 'mark-9d1c7e5b';

/** A request of the client `web`, and the last one of its connection. */
function ask(line: string, lines: readonly string[] = [], body = ''): string {
  return [`${line} HTTP/1.1`, 'Host: hub', ...bearer(good()), ...lines, 'Connection: close', '', body].join('\r\n');
}

const get = (target: string, ...lines: string[]): string => ask(`GET ${target}`, lines);
/** The same, of another form than it should be. */
const formed = (line: string, ...lines: string[]): string =>
  [line, ...lines, ...bearer(good()), 'Connection: close', '', ''].join('\r\n');
const post = (path: string, body: string, ...lines: string[]): string =>
  ask(`POST /apps/default/${path}`, [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`, ...lines], body);
const chunked = (body: string): string =>
  ask('POST /apps/default/access-token/report', ['Transfer-Encoding: chunked'], body);

const TOKEN = '/access-token';
const VERSION = '{"version":1}';
/** A query that makes the target so long. */
const ofLength = (length: number): string => `${TOKEN}?rotate_token=`.padEnd(length, 'x');

/** What a stranger could try with a token that is good, and the statuses of the answers to it. */
export const REQUESTS: readonly (readonly [what: string, bytes: () => string, statuses: readonly number[]])[] = [
  // The target
  ['two slashes', () => get('//access-token'), [404]],
  ['an authority without a scheme', () => get(`//${MARK}/access-token`), [404]],
  ['a slash in percent', () => get('/%2faccess-token'), [404]],
  ['a slash within in percent', () => get('/apps%2Fdefault/access-token'), [404]],
  ['a dot', () => get('/./access-token'), [404]],
  ['two dots', () => get('/apps/../access-token'), [404]],
  ['two dots in percent', () => get('/apps/%2e%2e/access-token'), [404]],
  ['two dots and a semicolon', () => get('/apps/..;/access-token'), [404]],
  ['two dots behind what is open', () => get('/health/live/../../access-token'), [404]],
  ['a NUL in percent', () => get('/apps/%00/access-token'), [404]],
  ['percent that is no UTF-8', () => get('/apps/%ff/access-token'), [400]],
  ['percent that is no percent-encoding', () => get('/apps/%zz/access-token'), [400]],
  ['a lone percent', () => get('/apps/%/access-token'), [400]],
  ['__proto__ for an app', () => get('/apps/__proto__/access-token'), [404]],
  ['constructor for an app', () => get('/apps/constructor/access-token'), [404]],
  ['a name that no app has', () => get(`/apps/${MARK}/access-token`), [404]],
  ['another case', () => get('/Access-Token'), [404]],
  ['a slash behind', () => get('/access-token/'), [404]],
  ['a parameter of the path', () => get(`${TOKEN};jsessionid=${MARK}`), [404]],
  ['a fragment', () => get(`${TOKEN}#${MARK}`), [400]],
  ['backslashes', () => get('/apps\\default\\access-token'), [404]],
  ['backslashes and a fragment', () => get('/apps\\default\\access-token#'), [400]],
  ['a backslash at the beginning', () => get('\\access-token'), [400]],
  ['a space', () => get('/access token'), [400]],
  ['a tab', () => get('/access-token\t'), [400]],
  ['a NUL', () => get('/access\0token'), [400]],
  ['bytes beyond ASCII', () => get('/access-token\xe9\xff'), [400]],
  ['a star', () => get('*'), [404]],
  ['an address of another host', () => get(`http://${MARK}/access-token`), [200]],
  ['an address of another scheme', () => get(`ftp://${MARK}/access-token`), [200]],
  ['an address without a path', () => get(`http://${MARK}`), [404]],
  ['what others look for', () => get('/.env'), [404]],
  ['what a proxy would rewrite', () => get('/nothing', `X-Original-URL: ${TOKEN}`, `X-Rewrite-URL: ${TOKEN}`), [404]],
  // The query
  ['a target of 2,048 characters', () => get(ofLength(2048)), [200]],
  ['a target of 2,049 characters', () => get(ofLength(2049)), [414]],
  ['a target of 15,000 characters', () => get(`/${MARK}`.padEnd(15_000, 'x')), [414]],
  ['a target of 70,000 characters', () => get(`/${MARK}`.padEnd(70_000, 'x')), [431]],
  ['nothing but ampersands', () => get(`${TOKEN}?`.padEnd(2000, '&')), [200]],
  ['two question marks', () => get(`${TOKEN}??rotate_token=of-old`), [400]],
  ['a name that is empty', () => get(`${TOKEN}?=${MARK}`), [400]],
  ['a name with brackets', () => get(`${TOKEN}?rotate_token[]=${MARK}`), [400]],
  ['a name twice', () => get(`${TOKEN}?rotate_token=a&rotate_token=${MARK}`), [400]],
  ['a name twice, once in percent', () => get(`${TOKEN}?rotate_token=a&rotate%5ftoken=${MARK}`), [400]],
  ['__proto__', () => get(`${TOKEN}?__proto__=${MARK}`), [400]],
  ['constructor', () => get(`${TOKEN}?constructor=${MARK}`), [400]],
  ['a semicolon for an ampersand', () => get(`${TOKEN}?a;b`), [400]],
  ['a lone percent in the query', () => get(`${TOKEN}?rotate_token=%`), [400]],
  ['a NUL in percent in the query', () => get(`${TOKEN}?rotate_token=%00`), [400]],
  ['a surrogate in percent', () => get(`${TOKEN}?rotate_token=%ED%A0%80`), [400]],
  ['text beyond ASCII', () => get(`${TOKEN}?rotate_token=%F0%9F%98%80`), [400]],
  ['a value that is empty', () => get(`${TOKEN}?rotate_token=`), [400]],
  ['a type of a thousand digits', () => get(`/ticket?type=${'9'.repeat(1000)}`), [400]],
  ['a type that no app has', () => get(`/ticket?type=${MARK}`), [400]],
  ['toString for a type', () => get('/ticket?type=toString'), [400]],
  ['a query where none is wanted', () => get(`/openapi.json?x=${MARK}`), [400]],
  ['another method in the query', () => get('/apps/default/jssdk-config?_method=POST'), [405]],
  // The method
  ['HEAD', () => ask(`HEAD ${TOKEN}`), [405]],
  ['HEAD of what is open', () => ask('HEAD /health/live'), [200]],
  ['OPTIONS', () => ask(`OPTIONS ${TOKEN}`, [`Origin: https://${MARK}`]), [405]],
  ['OPTIONS of all', () => ask('OPTIONS *'), [404]],
  ['TRACE', () => ask(`TRACE ${TOKEN}`, [`X-Mark: ${MARK}`]), [405]],
  ['TRACK', () => ask(`TRACK ${TOKEN}`), [400]],
  ['CONNECT', () => ask(`CONNECT ${MARK}:443`), [405]],
  ['PROPFIND', () => ask(`PROPFIND ${TOKEN}`), [405]],
  ['a method that nobody knows', () => ask(`MARK ${TOKEN}`), [400]],
  ['a method in small letters', () => ask(`get ${TOKEN}`), [400]],
  ['a method of 9,000 letters', () => `${'A'.repeat(9000)} / HTTP/1.1\r\n\r\n`, [400]],
  ['a method in a header', () => get('/apps/default/jssdk-config', 'X-HTTP-Method-Override: POST'), [405]],
  ['DELETE with a body', () => ask(`DELETE ${TOKEN}`, ['Content-Length: 5'], 'hello'), [405]],
  // The version, the host, and what goes with them
  ['HTTP/1.0', () => formed(`GET ${TOKEN} HTTP/1.0`), [200]],
  ['HTTP/1.0 and two hosts', () => formed(`GET ${TOKEN} HTTP/1.0`, 'Host: hub', 'Host: hub'), [400]],
  ['HTTP/0.9', () => `GET ${TOKEN}\r\n\r\n`, [400]],
  ['HTTP/1.2', () => formed(`GET ${TOKEN} HTTP/1.2`, 'Host: hub'), [400]],
  ['HTTP/2.0', () => formed(`GET ${TOKEN} HTTP/2.0`, 'Host: hub'), [400]],
  ['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
  ['no host', () => formed(`GET ${TOKEN} HTTP/1.1`), [400]],
  ['an empty host', () => formed(`GET ${TOKEN} HTTP/1.1`, 'Host:'), [200]],
  ['the same host twice', () => get(TOKEN, 'Host: hub'), [400]],
  ['a second host', () => get(TOKEN, `hOST: ${MARK}`), [400]],
  ['a host with a path', () => formed(`GET ${TOKEN} HTTP/1.1`, `Host: hub/${MARK}`), [400]],
  ['a host with a space', () => formed(`GET ${TOKEN} HTTP/1.1`, `Host: hub ${MARK}`), [400]],
  ['a host with a name before it', () => formed(`GET ${TOKEN} HTTP/1.1`, `Host: user@${MARK}`), [400]],
  ['a host of IPv6 with a port', () => formed(`GET ${TOKEN} HTTP/1.1`, 'Host: [::1]:8567'), [200]],
  ['line feeds alone', () => get(TOKEN).replaceAll('\r\n', '\n'), [400]],
  ['empty lines before', () => `\r\n\r\n${get(TOKEN)}`, [200]],
  ['TLS', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
  ['a header without a name', () => get(TOKEN, `: ${MARK}`), [400]],
  ['a header whose name is none', () => get(TOKEN, `a(b): ${MARK}`), [400]],
  ['headers called as what objects have', () => get(TOKEN, '__proto__: x', 'constructor: y'), [200]],
  ['an upgrade', () => get(TOKEN, 'Upgrade: websocket'), [200]],
  ['an expectation', () => get(TOKEN, 'Expect: 100-continue'), [100, 200]],
  ['an expectation that nobody knows', () => get(TOKEN, `Expect: ${MARK}`), [200]],
  // Where a body ends
  ['a length and chunks', () => get(TOKEN, 'Content-Length: 5', 'Transfer-Encoding: chunked'), [400]],
  ['a coding that is not chunked', () => get(TOKEN, 'Transfer-Encoding: xchunked'), [400]],
  ['a coding that is none', () => get(TOKEN, 'Transfer-Encoding: identity'), [400]],
  ['a coding whose name ends with a space', () => get(TOKEN, 'Transfer-Encoding : chunked'), [400]],
  ['two lengths', () => post('jssdk-config', '{}', 'Content-Length: 3'), [400]],
  ['a list of lengths', () => ask('POST /apps/default/jssdk-config', ['Content-Length: 2, 2'], '{}'), [400]],
  ['a length below zero', () => get(TOKEN, 'Content-Length: -1'), [400]],
  ['a length with a plus', () => get(TOKEN, 'Content-Length: +0'), [400]],
  ['a length in hexadecimal', () => get(TOKEN, 'Content-Length: 0x0'), [400]],
  ['a length beyond all numbers', () => get(TOKEN, `Content-Length: ${'9'.repeat(30)}`), [400]],
  ['no length', () => ask('POST /apps/default/access-token/report'), [400]],
  ['chunks with an extension', () => chunked(`d;a=b\r\n${VERSION}\r\n0\r\n\r\n`), [200]],
  ['chunks with an endless extension', () => chunked(`d;${'x'.repeat(20_000)}`), [400]],
  ['a chunk below zero', () => chunked('-1\r\n'), [400]],
  ['a chunk beyond all numbers', () => chunked('ffffffffffffffff1\r\n'), [400]],
  ['a trailer', () => chunked(`d\r\n${VERSION}\r\n0\r\nAuthorization: ${MARK}\r\n\r\n`), [200]],
  // What the body is
  ['a report by version', () => post('access-token/report', VERSION), [200]],
  [
    'a report that comes upon an expectation',
    () => post('access-token/report', VERSION, 'Expect: 100-continue'),
    [100, 200],
  ],
  ...[
    '',
    'null',
    '[]',
    '"x"',
    '{}',
    '[['.repeat(8000),
    '9'.repeat(16_000),
    '{"version":1e999}',
    '{"version":-1}',
    '{"version":1.5}',
    '{"version":9007199254740993}',
    '{"version":"1"}',
    '{"version":1,"version":1}',
    `{"version":1,"${MARK}":1}`,
    '{"version":1,"__proto__":{}}',
    `{"token":"${MARK}","version":1}`,
    '{"token":""}',
    '{"token":["a"]}',
    '{"token":"\\u0000"}',
    '{"token":"\\ud800"}',
    `{"token":"${MARK}","errcode":1e999}`,
    `{"token":"${MARK}","rid":"${'x'.repeat(65)}"}`,
  ].map((body) => [`a report of ${body.slice(0, 30)}`, () => post('access-token/report', body), [400]] as const),
  ...[
    'null',
    '[]',
    '{}',
    '{"url":1}',
    `{"url":"javascript:${MARK}"}`,
    '{"url":"http://[::1"}',
    '{"url":"https://shop.example/\\u0000"}',
    '{"url":"https://shop.example/","url":"https://shop.example/"}',
    `{"url":"https://shop.example/${'x'.repeat(2048)}"}`,
  ].map((body) => [`a page of ${body.slice(0, 40)}`, () => post('jssdk-config', body), [400]] as const),
  ['a body in UTF-16', () => post('jssdk-config', '{}', 'Content-Type: application/json; charset=utf-16'), [415]],
  ['a body that is compressed', () => post('jssdk-config', '{}', 'Content-Encoding: gzip'), [415]],
  ['a body of a coding that nobody knows', () => post('jssdk-config', '{}', `Content-Encoding: ${MARK}`), [415]],
  ['a body of 16 KiB and a byte', () => post('jssdk-config', ' '.repeat(16_385)), [413]],
  // What the answer should be
  ...['', ';', ',,,', '*', 'text/html', 'text/plain;q=0', 'application/json;q=1e9', 'application/json;q=-1', '\xff\xfe']
    .concat('a/b;'.repeat(2000), `application/json${','.repeat(10_000)}`)
    .map((accept) => [`wants ${accept.slice(0, 30)}`, () => get(TOKEN, `Accept: ${accept}`), [200]] as const),
  ['a part of the token', () => get(TOKEN, 'Range: bytes=0-1'), [200]],
  ['a version of anybody', () => get(TOKEN, `If-None-Match: "${MARK}", W/"x"`), [200]],
  ['any version', () => get(TOKEN, 'If-None-Match: *'), [304]],
  ['an id that is none', () => get(TOKEN, `X-Request-Id: ${MARK} ${MARK}`), [200]],
  ['an id that is too long', () => get(TOKEN, `X-Request-Id: ${MARK.repeat(20)}`), [200]],
  ['two ids', () => get(TOKEN, `X-Request-Id: ${MARK}`, `X-Request-Id: ${MARK}`), [200]],
  // Several
  [
    'five in line',
    () => get(TOKEN).replace('Connection: close\r\n', '').repeat(4) + get(TOKEN),
    [200, 200, 200, 200, 200],
  ],
  ['nonsense behind one', () => `${get(TOKEN).replace('Connection: close\r\n', '')}${MARK}\r\n\r\n`, [200, 400]],
  [
    'one within the body of another',
    () => `${get(TOKEN, 'Content-Length: 40').replace('Connection: close\r\n', '')}${get('/apps')}`,
    [400],
  ],
];
