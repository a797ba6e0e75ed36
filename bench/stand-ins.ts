import express from 'express';
import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As long as WeChat's own. */
const TOKEN_LENGTH = 136;
const TICKET_LENGTH = 86;
/** Of a WeChat that takes its time. */
const ANSWER_MS = 1000;

let count = 0;

/** A value that was never there before. */
function freshValue(length: number): string {
  return createHash('shake256', { outputLength: length }).update(String(count++)).digest('base64url').slice(0, length);
}

const constant = freshValue(TOKEN_LENGTH);

/** The least that Node can do for a request. */
const bare: RequestListener = (_request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(constant);
};

/** The same by Express as it comes. */
const plainExpress = express().get('/access-token', (_request, response) => {
  response.type('text/plain').send(constant);
});

/** A WeChat that knows every account, never refuses and always has something new, once all was sent that there is. */
const wechat: RequestListener = (request, response) => {
  request.resume().once('end', () => {
    const answer = request.url?.startsWith('/cgi-bin/token')
      ? { access_token: freshValue(TOKEN_LENGTH), expires_in: 7200 }
      : { errcode: 0, errmsg: 'ok', ticket: freshValue(TICKET_LENGTH), expires_in: 7200 };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer));
  });
};

/** The same when it takes its time, and says how often it was asked and how long it takes. */
const slowWechat: RequestListener = (request, response) => {
  const figures: Readonly<Record<string, number>> = { '/calls': count, '/answer-ms': ANSWER_MS };
  const figure = figures[request.url ?? ''];
  if (figure === undefined) setTimeout(() => wechat(request, response), ANSWER_MS);
  else response.end(String(figure));
};

const roles: Readonly<Record<string, RequestListener>> = {
  ...{ bare, express: plainExpress },
  ...{ wechat, 'slow-wechat': slowWechat },
};
const [role = ''] = process.argv.slice(2);
const server = createServer(roles[role]).listen(0, '127.0.0.1', () => {
  process.stdout.write(`Listening on port ${(server.address() as AddressInfo).port}\n`);
});
