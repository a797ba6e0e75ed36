import { jest } from '@jest/globals';
import CoWechatApi from 'co-wechat-api';
import easywechat from 'node-easywechat';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// Its index would load a store in MongoDB as well, which the overrides of package.json leave out.
import Wechat from 'wechat-jssdk/lib/Wechat.js';
import { digestOf, issueSecret } from '../src/config/issued-secret.js';
import { APPID, APPSECRET, Stage } from './hub.fixture.js';
import { Picture } from './simulator/media.js';
import type { LoggedCall } from './simulator/world.js';

const MINI = { appid: 'wxfedcba9876543210', secret: 'mini-secret-2c9e7b5d1f3a8064' };
const CORP = { corpid: 'ww0123456789abcdef', agentid: 1000002, secret: 'corp-secret-6a4d8f0b2e7c9135' };
/** In place of the AppSecrets, for a client that is to know none. */
const ISSUED = { default: issueSecret(), mini: issueSecret(), crm: issueSecret(), split: issueSecret() };

const folder = mkdtempSync(join(tmpdir(), 'sdks-'));
const photo = join(folder, 'photo.png');
const PHOTO = Buffer.concat([...new Picture(300_000).chunks()]);
/** What the simulator draws for mini programs. */
const CODE = Buffer.concat([...new Picture(20_000).chunks()]);
const CONTENT = '今天 12 点 <开会> & "带上" \\ 电脑😀';

let stage: Stage;

beforeAll(async () => {
  writeFileSync(photo, PHOTO);
  const digests = (of: keyof typeof ISSUED): string[] => [digestOf(ISSUED[of])];
  const hubFile = {
    apps: {
      mini: { platform: 'mini-program', appid: MINI.appid, secret: { env: 'MINI_SECRET' } },
      crm: { platform: 'wecom', corpid: CORP.corpid, secret: { env: 'CRM_SECRET' } },
    },
    clients: {
      legacy: {
        secrets: { default: digests('default'), mini: digests('mini'), crm: digests('crm') },
        apps: ['default', 'mini', 'crm'],
        may: ['read', 'proxy'],
      },
      split: { secrets: { default: digests('split') }, apps: ['default'], may: ['read'] },
    },
  };
  writeFileSync(join(folder, 'hub.json'), JSON.stringify(hubFile));
  stage = await Stage.set();
  stage.simulator.world.account({ ...MINI, kind: 'mini-program' });
  const { corpid, ...agent } = CORP;
  stage.simulator.world.corp({ corpid, agents: [agent] });
  const HUB_CONFIG = join(folder, 'hub.json');
  await stage.restart({ HUB_CONFIG, MINI_SECRET: MINI.secret, CRM_SECRET: CORP.secret });
});

afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

/** Where an SDK is led, and what it has to show there. Nothing else differs between WeChat and the hub. */
interface Place {
  readonly url: string;
  readonly secret: string;
}

/** What is asked of every SDK, in its own words. */
interface Sdk {
  token(): Promise<string>;
  ticket(): Promise<string>;
  followers(): Promise<object>;
  send(openid: string, content: string): Promise<unknown>;
  upload(): Promise<string>;
  download(mediaId: string): Promise<Buffer>;
}

/** Each writes its cache into a folder of its own: no test is to find the token of another there. */
const cache = () => ({ path: mkdtempSync(join(folder, 'cache-')), dirMode: 0o700, fileMode: 0o600, ext: '' });

const SDKS: Readonly<Record<string, (place: Place) => Sdk>> = {
  'node-easywechat': ({ url, secret }) => {
    const app = new easywechat.OfficialAccount({ app_id: APPID, secret, http: { baseURL: url }, file_cache: cache() });
    const client = app.getClient();
    return {
      token: () => app.getAccessToken().getToken(),
      ticket: () => app.getTicket().getTicket(),
      followers: async () => (await client.get('cgi-bin/user/get')).toObject<object>(),
      send: (touser, content) =>
        client.postJson('cgi-bin/message/custom/send', { touser, msgtype: 'text', text: { content } }),
      upload: async () => {
        const params = { type: 'image' };
        const answer = await client.withFile(photo, 'media').post('cgi-bin/media/upload', { params });
        return String(answer.toObject()['media_id']);
      },
      download: async (media_id) => {
        const params = { media_id };
        const answer = await client.get('cgi-bin/media/get', { params, responseType: 'arraybuffer' });
        return answer.getContent() as Buffer;
      },
    };
  },

  'co-wechat-api': ({ url, secret }) => {
    const api = new CoWechatApi(APPID, secret);
    api.prefix = `${url}/cgi-bin/`;
    return {
      token: async () => (await api.ensureAccessToken()).accessToken,
      ticket: async () => (await api.ensureTicket()).ticket,
      followers: () => api.getFollowers(),
      send: (openid, content) => api.sendText(openid, content),
      upload: async () => (await api.uploadMedia(PHOTO, 'image', 'photo.png', 'image/png')).media_id,
      download: (mediaId) => api.getMedia(mediaId),
    };
  },
};

const PLACES: Readonly<Record<'WeChat itself' | 'the hub', () => Place>> = {
  'WeChat itself': () => ({ url: stage.simulator.url, secret: APPSECRET }),
  'the hub': () => ({ url: stage.url, secret: ISSUED.default }),
};

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const lastCall = (path: string): LoggedCall | undefined =>
  stage.simulator.world.calls.filter((call) => call.path === path).at(-1);

function expectSignedWith(ticket: string, appid: string, ticketType: 'jsapi' | 'agent_config' = 'jsapi'): void {
  const page = { noncestr: 'n', timestamp: '1', url: 'https://example.test/' };
  const text = `jsapi_ticket=${ticket}&noncestr=n&timestamp=1&url=${page.url}`;
  const signature = createHash('sha1').update(text).digest('hex');
  expect(stage.simulator.world.verifySignature({ appid, ticketType, ...page, signature })).toEqual({ ok: true });
}

/** Lets WeChat forget the tokens of an account, without a word to the hub. */
function killAll(appid: string, errcode = 40001): void {
  expect(stage.simulator.world.killAll(appid, errcode)).toBeGreaterThan(0);
  stage.simulator.world.clearCalls();
}

/** Whether WeChat refused a call, and then took it. */
function expectCalledTwice(path: string, refused = 40001): void {
  const calls = stage.simulator.world.calls.filter((call) => call.path === path);
  expect(calls.map(({ errcode }) => errcode)).toEqual([refused, 0]);
}

/** How many requests reach the hub while something is done. */
async function requestsOf(act: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const notice = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    if (stage.url.endsWith(`:${socket.localPort ?? ''}`)) count += 1;
  };
  subscribe('http.server.request.start', notice);
  try {
    await act();
  } finally {
    unsubscribe('http.server.request.start', notice);
  }
  return count;
}

describe.each(Object.entries(SDKS))('%s, unmodified', (_, make) => {
  describe.each(Object.entries(PLACES))('led to %s', (_place, place) => {
    it('has a token, and a ticket that pages can be signed with', async () => {
      const sdk = make(place());
      expect(await sdk.token()).toMatch(/^[\w-]{33,512}$/);
      expectSignedWith(await sdk.ticket(), APPID);
    });

    it('reads what WeChat answers', async () => {
      expect(await make(place()).followers()).toMatchObject({ total: 2, next_openid: expect.any(String) as string });
    });

    it('sends Chinese text that arrives byte for byte', async () => {
      await make(place()).send('oReader', CONTENT);
      const message = { touser: 'oReader', msgtype: 'text', text: { content: CONTENT } };
      expect(lastCall('/cgi-bin/message/custom/send')?.received?.text).toBe(JSON.stringify(message));
    });

    it('uploads a file, and downloads one', async () => {
      const sdk = make(place());
      const mediaId = await sdk.upload();
      const media = { name: 'media', filename: 'photo.png', contentType: 'image/png', sha256: sha256(PHOTO) };
      expect(lastCall('/cgi-bin/media/upload')?.received?.parts).toMatchObject([media]);
      expect(sha256(await sdk.download(mediaId))).toBe(sha256(PHOTO));
    });
  });

  it('is given nothing by the hub that WeChat would take', async () => {
    const token = await make(PLACES['the hub']()).token();
    expect(stage.simulator.world.verdict(token).kind).toBe('unknown');
    await expect(make({ url: stage.url, secret: APPSECRET }).token()).rejects.toThrow('invalid appsecret');
  });

  it.each<[string, (sdk: Sdk) => Promise<unknown>]>([
    ['/cgi-bin/user/get', (sdk) => sdk.followers()],
    ['/cgi-bin/message/custom/send', (sdk) => sdk.send('oReader', CONTENT)],
    ['/cgi-bin/media/upload', (sdk) => sdk.upload()],
  ])('makes one request and sees no error when the token died at WeChat: %s', async (path, act) => {
    const sdk = make(PLACES['the hub']());
    await sdk.followers();
    killAll(APPID);
    expect(await requestsOf(() => act(sdk))).toBe(1);
    expectCalledTwice(path);
  });
});

describe('node-easywechat, for other platforms', () => {
  it('logs users of a mini program in, and draws codes for it', async () => {
    const http = { baseURL: stage.url };
    const app = new easywechat.MiniApp({ app_id: MINI.appid, secret: ISSUED.mini, http, file_cache: cache() });
    expect(await app.getUtils().codeToSession('code-1')).toHaveProperty('session_key');
    const code = await app
      .getClient()
      .postJson('wxa/getwxacodeunlimit', { scene: '场景=1' }, { responseType: 'arraybuffer' });
    expect(sha256(code.getContent() as Buffer)).toBe(sha256(CODE));
  });

  const work = ({ url, secret }: Place): InstanceType<typeof easywechat.Work> =>
    new easywechat.Work({ corp_id: CORP.corpid, secret, http: { baseURL: url }, file_cache: cache() });

  describe.each<[string, () => Place]>([
    ['WeCom itself', () => ({ url: stage.simulator.wecomUrl, secret: CORP.secret })],
    ['the hub', () => ({ url: `${stage.url}/wecom`, secret: ISSUED.crm })],
    ['the hub, without a word of WeCom', () => ({ url: stage.url, secret: ISSUED.crm })],
  ])('works for WeCom, led to %s', (_, place) => {
    it('has a token, and tickets that pages can be signed with', async () => {
      const app = work(place());
      expect(await app.getAccessToken().getToken()).toMatch(/^[\w-]{33,512}$/);
      expectSignedWith(await app.getTicket().getTicket(), CORP.corpid);
      expectSignedWith(await app.getTicket().getAgentTicket(CORP.agentid), CORP.corpid, 'agent_config');
    });

    it('reads, sends and uploads', async () => {
      const client = work(place()).getClient();
      const user = await client.get('cgi-bin/user/get', { params: { userid: 'simulated.employee' } });
      expect(user.toObject()).toMatchObject({ errcode: 0, name: '模拟员工' });
      const message = { touser: '@all', msgtype: 'text', agentid: CORP.agentid, text: { content: CONTENT } };
      await client.postJson('cgi-bin/message/send', message);
      expect(lastCall('/cgi-bin/message/send')?.received?.text).toBe(JSON.stringify(message));
      const params = { type: 'image' };
      await client.withFile(photo, 'media').post('cgi-bin/media/upload', { params });
      expect(lastCall('/cgi-bin/media/upload')?.received?.parts).toMatchObject([{ sha256: sha256(PHOTO) }]);
    });
  });

  it.each([40014, 42001])(
    'makes one request and sees no error when the token died at WeCom with %i',
    async (errcode) => {
      const client = work({ url: `${stage.url}/wecom`, secret: ISSUED.crm }).getClient();
      const read = () => client.get('cgi-bin/user/get', { params: { userid: 'simulated.employee' } });
      await read();
      killAll(CORP.corpid, errcode);
      expect(await requestsOf(read)).toBe(1);
      expectCalledTwice('/cgi-bin/user/get', errcode);
    },
  );
});

describe('co-wechat-api, for mini programs', () => {
  it('logs users in, and draws codes', async () => {
    const api = new CoWechatApi(MINI.appid, ISSUED.mini);
    api.prefix = `${stage.url}/cgi-bin/`;
    api.snsPrefix = `${stage.url}/sns/`;
    api.wxaPrefix = `${stage.url}/wxa/`;
    expect(await api.code2Session('code-2')).toHaveProperty('openid');
    expect(sha256(await api.getWXACodeUnlimit('场景=1'))).toBe(sha256(CODE));
  });
});

describe('wechat-jssdk, unmodified', () => {
  const page = 'https://example.test/';

  /** @param api where it sends calls, if that is not where it has its token from. */
  const make = ({ url, secret }: Place, api = url): Wechat => {
    const intervals = jest.spyOn(globalThis, 'setInterval');
    const wechat = new Wechat({
      ...{ appId: APPID, appSecret: secret, card: true, accessTokenUrl: `${url}/cgi-bin/token` },
      ...{ apiUrl: api, ticketUrl: `${api}/cgi-bin/ticket/getticket`, decodeCardCodeUrl: `${api}/card/code/decrypt` },
      storeOptions: { noInterval: true, fileStorePath: join(cache().path, 'wechat-info.json') },
    });
    // Nobody else can stop what it starts, and no test is to wait for it.
    for (const { value } of intervals.mock.results) (value as NodeJS.Timeout).unref();
    intervals.mockRestore();
    return wechat;
  };

  describe.each(Object.entries(PLACES))('led to %s', (_place, place) => {
    it('signs pages', async () => {
      const { timestamp, nonceStr: noncestr, signature } = await make(place()).jssdk.getSignature(page);
      const claim = { appid: APPID, noncestr, timestamp, url: page, signature };
      expect(stage.simulator.world.verifySignature(claim)).toEqual({ ok: true });
    });

    it('logs readers in, with tokens that are none of the hub’s', async () => {
      expect(await make(place()).oauth.getUserInfo(`code of ${_place}`)).toMatchObject({ nickname: '模拟读者' });
    });

    it('sends what it has to say', async () => {
      await make(place()).card.decryptCardCode('卡');
      expect(lastCall('/card/code/decrypt')?.received?.text).toBe('{"encrypt_code":"卡"}');
    });
  });

  it('makes one request and sees no error when the token died at WeChat', async () => {
    const { card } = make(PLACES['the hub']());
    await card.decryptCardCode('1');
    killAll(APPID);
    expect(await requestsOf(() => card.decryptCardCode('2'))).toBe(1);
    expectCalledTwice('/card/code/decrypt');
  });

  it('has its token from the hub and calls WeChat itself: when the token died, it asks again and goes on', async () => {
    const { card } = make({ url: stage.url, secret: ISSUED.split }, stage.simulator.url);
    await card.decryptCardCode('1');
    killAll(APPID);
    expect(await requestsOf(() => card.decryptCardCode('2'))).toBe(1);
    expectCalledTwice('/card/code/decrypt');
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(1);
  });
});

/** What an application writes to feed an SDK from the hub's own API: a token for each call, and a report of one that was refused. */
class HubAccessToken {
  private token = '';

  async getToken(): Promise<string> {
    const { json } = await stage.ask('/apps/mini/access-token');
    this.token = String(json['access_token']);
    return this.token;
  }

  async toQuery(): Promise<{ access_token: string }> {
    return { access_token: await this.getToken() };
  }

  async refused(errcode: number): Promise<void> {
    await stage.post('/apps/mini/access-token/report', { token: this.token, errcode });
  }
}

describe('node-easywechat, fed by the application itself', () => {
  it('calls WeChat with the hub’s token, has it replaced when it dies, and goes on', async () => {
    const accessToken = new HubAccessToken();
    const http = { baseURL: stage.simulator.url, throw: false };
    const app = new easywechat.MiniApp({ app_id: MINI.appid, secret: 'the-secret-stays-in-the-hub', http });
    app.setAccessToken(accessToken);
    const call = async () => (await app.getClient().get('cgi-bin/getcallbackip')).toObject<Record<string, unknown>>();

    expect(await call()).toHaveProperty('ip_list');
    const first = await accessToken.getToken();
    killAll(MINI.appid);
    const refused = await call();
    expect(refused['errcode']).toBe(40001);
    await accessToken.refused(Number(refused['errcode']));
    expect(await call()).toHaveProperty('ip_list');
    expect(await accessToken.getToken()).not.toBe(first);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(1);
  });
});
