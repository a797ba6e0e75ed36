import { createHash } from 'node:crypto';
import { Picture } from './media.js';
import { receive } from './received.js';
import { Simulator } from './server.js';

const appid = 'wx00000000000000aa';
const secret = 'obviously-not-a-secret';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await Simulator.start();
  simulator.world.account({ appid, secret, kind: 'official-account' });
  simulator.world.corp({ corpid: 'ww1', agents: [{ agentid: 1, secret: 'corp-secret' }] });
});

afterEach(async () => {
  await simulator.stop();
});

async function json(target: string, init?: RequestInit): Promise<Record<string, unknown>> {
  return (await (await fetch(simulator.url + target, init)).json()) as Record<string, unknown>;
}

describe('business calls', () => {
  const token = () => simulator.world.mintElsewhere(appid);
  const corpToken = async () =>
    String((await json('/cgi-bin/gettoken?corpid=ww1&corpsecret=corp-secret'))['access_token']);
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

  it.each(['/cgi-bin/message/custom/send', '/cgi-bin/menu/create'])(
    'remember what was posted byte for byte: %s',
    async (path) => {
      const body = '{"text":{"content":"你好，世界 😀"},  "escaped":"\\u4f60"}';
      expect(await json(`${path}?access_token=${token()}`, { method: 'POST', body })).toMatchObject({ errcode: 0 });
      const { received } = simulator.world.calls.at(-1) ?? {};
      expect(received).toEqual({ text: body, bytes: Buffer.byteLength(body), sha256: sha256(Buffer.from(body)) });
    },
  );

  it.each([
    ['GET', undefined, 43002],
    ['POST', '', 44002],
    ['POST', 'button', 47001],
  ])('want JSON in a POST: %s %p gives %i', async (method, body, errcode) => {
    const target = `/cgi-bin/menu/create?access_token=${token()}`;
    expect(await json(target, { method, ...(body === undefined ? {} : { body }) })).toMatchObject({ errcode });
  });

  it('remember nothing of what carries a secret', async () => {
    const body = JSON.stringify({ grant_type: 'client_credential', appid, secret });
    await json('/cgi-bin/stable_token', { method: 'POST', body });
    expect(JSON.stringify(simulator.world.calls)).not.toContain(secret);
  });

  it('take an upload of any size, tell what its parts were, and hand out a file as large', async () => {
    const bytes = Buffer.alloc(3_000_000, 'seldom\r\n--');
    const form = new FormData();
    form.append('description', '{"title":"视频"}');
    form.append('media', new Blob([bytes], { type: 'image/png' }), '图.png');
    const target = `/cgi-bin/material/add_material?access_token=${token()}&type=image`;
    const { media_id, url } = await json(target, { method: 'POST', body: form });
    expect(url).toEqual(expect.stringContaining(String(media_id)));
    expect(simulator.world.calls.at(-1)?.received).toMatchObject({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      parts: [
        { name: 'description', bytes: 18 },
        { name: 'media', filename: '图.png', contentType: 'image/png', bytes: bytes.length, sha256: sha256(bytes) },
      ],
    });
    expect(simulator.world.calls.at(-1)?.received).not.toHaveProperty('text');

    const file = await fetch(`${simulator.url}/cgi-bin/media/get?access_token=${token()}&media_id=${String(media_id)}`);
    expect(file.headers.get('content-type')).toBe('image/png');
    expect(file.headers.get('content-disposition')).toBe(`attachment; filename="${String(media_id)}.png"`);
    expect(Buffer.from(await file.arrayBuffer())).toHaveLength(bytes.length);
  });

  it('find the parts of an upload however it is cut into chunks', async () => {
    const content = '\r\n--no\r\n--b0undar-not';
    const body = `--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--b0undary\r\nContent-Disposition: form-data; filename="f"; name="media"\r\n\r\n${content}\r\n--b0undary--\r\n`;
    for (const size of [1, 2, 7, 11, 1000]) {
      const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, place) =>
        Buffer.from(body.slice(place * size, (place + 1) * size)),
      );
      const { parts } = await receive(
        (async function* () {
          yield* await Promise.resolve(chunks);
        })(),
        'multipart/form-data; boundary=b0undary',
      );
      expect(parts).toEqual([
        { name: 'a', bytes: 0, sha256: sha256(Buffer.alloc(0)) },
        { name: 'media', filename: 'f', bytes: content.length, sha256: sha256(Buffer.from(content)) },
      ]);
    }
  });

  it('want a file in an upload', async () => {
    const form = new FormData();
    form.append('media', 'no file');
    const target = `/cgi-bin/media/upload?access_token=${token()}&type=image`;
    expect(await json(target, { method: 'POST', body: form })).toMatchObject({ errcode: 41005 });
  });

  it('send files of a chosen size, whole or cut off, and say in JSON labelled as text that there is none', async () => {
    const { media_id } = await json('/simulator/media', { method: 'POST', body: '{"bytes":5000000}' });
    const target = `/cgi-bin/media/get?access_token=${token()}&media_id=`;
    const whole = Buffer.from(await (await fetch(simulator.url + target + String(media_id))).arrayBuffer());
    expect(sha256(whole)).toBe(sha256(Buffer.concat([...new Picture(5_000_000).chunks()])));

    simulator.world.faults.add({ kind: 'cut', bytes: 100_000, times: 1 });
    const half = await fetch(simulator.url + target + String(media_id));
    expect(half.headers.get('content-length')).toBe('5000000');
    await expect(half.arrayBuffer()).rejects.toThrow('terminated');

    const none = await fetch(`${simulator.url}${target}unknown`);
    expect(none.headers.get('content-type')).toBe('text/plain');
    expect(await none.json()).toMatchObject({ errcode: 40007 });
  });

  it('draw a code for a mini program, in bytes that are no text', async () => {
    const body = JSON.stringify({ scene: '场景=1' });
    const code = await fetch(`${simulator.url}/wxa/getwxacodeunlimit?access_token=${token()}`, {
      method: 'POST',
      body,
    });
    const bytes = Buffer.from(await code.arrayBuffer());
    expect(bytes.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
    expect(Buffer.from(bytes.toString()).equals(bytes)).toBe(false);
    expect(await json('/wxa/getwxacodeunlimit?access_token=junk', { method: 'POST', body })).toMatchObject({
      errcode: 40001,
    });
  });

  it('of WeCom know an employee, take an upload, and deliver a message', async () => {
    const access = `access_token=${await corpToken()}`;
    expect(await json(`/cgi-bin/user/get?${access}&userid=simulated.employee`)).toMatchObject({ name: '模拟员工' });
    expect(await json(`/cgi-bin/user/get?${access}&userid=nobody`)).toMatchObject({ errcode: 60111 });

    const form = new FormData();
    form.append('media', new Blob(['small']), 'a.txt');
    const upload = await json(`/cgi-bin/media/upload?${access}&type=file`, { method: 'POST', body: form });
    expect(upload).toMatchObject({ errcode: 0, type: 'file', created_at: expect.stringMatching(/^\d+$/) as string });
    const file = await fetch(`${simulator.url}/cgi-bin/media/get?${access}&media_id=${String(upload['media_id'])}`);
    expect(Buffer.from(await file.arrayBuffer())).toHaveLength(5);

    const body = JSON.stringify({ agentid: 1, text: { content: '开会' } });
    expect(await json(`/cgi-bin/message/send?${access}`, { method: 'POST', body })).toMatchObject({ errcode: 0 });
    expect(simulator.world.calls.at(-1)?.received?.text).toBe(body);
  });
});

describe('logins', () => {
  const codeFor = (code: string, more = '') =>
    json(`/sns/oauth2/access_token?appid=${appid}&secret=${secret}&grant_type=authorization_code&code=${code}${more}`);

  it('give a token of the reader’s for a code, which is not one of the account’s', async () => {
    const { access_token, openid, refresh_token } = await codeFor('first');
    const query = `access_token=${String(access_token)}&openid=${String(openid)}`;
    expect(await json(`/sns/userinfo?${query}&lang=zh_CN`)).toMatchObject({ openid, nickname: '模拟读者' });
    expect(await json(`/sns/auth?${query}`)).toMatchObject({ errcode: 0 });
    expect(await json(`/sns/auth?${query}x`)).toMatchObject({ errcode: 40003 });
    expect(await json(`/cgi-bin/user/get?${query}`)).toMatchObject({ errcode: 40001 });
    const ofAccount = simulator.world.mintElsewhere(appid);
    expect(await json(`/sns/userinfo?access_token=${ofAccount}&openid=${String(openid)}`)).toMatchObject({
      errcode: 40001,
      errmsg: expect.stringMatching(/, rid: /) as string,
    });

    const refresh = `/sns/oauth2/refresh_token?appid=${appid}&grant_type=refresh_token&refresh_token=`;
    const next = await json(refresh + String(refresh_token));
    expect(next).toMatchObject({ openid, refresh_token });
    expect(next['access_token']).not.toBe(access_token);
    expect(await json(`${refresh}junk`)).toMatchObject({ errcode: 40030 });
  });

  it('take a code once, and only with the AppSecret', async () => {
    expect(await codeFor('one')).toHaveProperty('openid');
    expect(await codeFor('one')).toMatchObject({ errcode: 40163 });
    expect(await codeFor('')).toMatchObject({ errcode: 41008 });
    const session = `/sns/jscode2session?appid=${appid}&js_code=two&grant_type=authorization_code&secret=`;
    expect(await json(`${session}wrong`)).toMatchObject({ errcode: 40125 });
    expect(await json(session + secret)).toMatchObject({ session_key: expect.any(String) as string });
    expect(await json(session + secret)).toMatchObject({ errcode: 40163 });
    expect(await json('/sns/jscode2session?appid=wxunknown')).toMatchObject({ errcode: 40013 });
  });

  it('are answered in JSON that is labelled as text', async () => {
    const response = await fetch(`${simulator.url}/sns/userinfo`);
    expect(response.headers.get('content-type')).toBe('text/plain');
  });
});
