import { ok, Refusal, type Inquiry, type Reply } from './answer.js';
import { Download, Picture, type MediaShelf } from './media.js';
import type { ReceivedPart } from './received.js';

/** What a business call answers once its token was found good. */
export type Business = (inquiry: Inquiry) => Reply | Refusal | Download;

/** What official accounts and mini programs are there for, by path. */
export function wechatBusiness(media: MediaShelf): Readonly<Record<string, Business>> {
  return {
    '/cgi-bin/get_api_domain_ip': () => ({ ip_list: ['101.89.47.18', '101.91.34.103'] }),
    '/cgi-bin/getcallbackip': () => ({ ip_list: ['106.55.206.146', '106.55.206.211'] }),
    '/cgi-bin/user/get': () => ({
      total: 2,
      count: 2,
      data: { openid: ['oSimulatedReader000000000001', 'oSimulatedReader000000000002'] },
      next_openid: 'oSimulatedReader000000000002',
    }),
    '/cgi-bin/message/custom/send': (inquiry) => posted(inquiry) ?? ok,
    '/cgi-bin/menu/create': (inquiry) => posted(inquiry) ?? ok,
    '/cgi-bin/media/upload': uploading(({ bytes }, inquiry) => ({
      type: inquiry.param('type'),
      media_id: media.add(bytes),
      created_at: seconds(inquiry),
    })),
    '/cgi-bin/material/add_material': uploading(({ bytes }) => {
      const id = media.add(bytes);
      return { media_id: id, url: `http://mmbiz.qpic.cn/simulated/${id}` };
    }),
    '/cgi-bin/media/get': (inquiry) => media.find(inquiry.param('media_id')) ?? new Refusal(40007),
    '/cgi-bin/material/get_material': (inquiry) =>
      posted(inquiry) ?? media.find(inquiry.field('media_id')) ?? new Refusal(40007),
    '/wxa/getwxacodeunlimit': (inquiry) => posted(inquiry) ?? new Download(new Picture(20_000), 'code.png'),
  };
}

/** The same of WeCom, apart from what is about an application. */
export function wecomBusiness(media: MediaShelf): Readonly<Record<string, Business>> {
  return {
    '/cgi-bin/get_api_domain_ip': () => ({ ...ok, ip_list: ['182.254.11.176', '182.254.78.66'] }),
    '/cgi-bin/getcallbackip': () => ({ ...ok, ip_list: ['101.226.103.59', '101.226.103.60'] }),
    '/cgi-bin/user/get': (inquiry) =>
      inquiry.param('userid') === employee.userid ? { ...ok, ...employee } : new Refusal(60111),
    '/cgi-bin/user/list': () => ({ ...ok, userlist: [employee] }),
    '/cgi-bin/user/simplelist': () => ({ ...ok, userlist: [{ userid: employee.userid, department: [1] }] }),
    '/cgi-bin/department/list': () => ({ ...ok, department: [{ id: 1, name: 'Simulated Department', parentid: 0 }] }),
    '/cgi-bin/media/upload': uploading(({ bytes }, inquiry) => ({
      ...ok,
      type: inquiry.param('type'),
      media_id: media.add(bytes),
      created_at: `${seconds(inquiry)}`,
    })),
    '/cgi-bin/media/get': (inquiry) => media.find(inquiry.param('media_id')) ?? new Refusal(40007),
  };
}

const employee = { userid: 'simulated.employee', name: '模拟员工' };

/** Why the body of a POST is not even looked into. */
export function posted(inquiry: Inquiry): Refusal | undefined {
  if (inquiry.method !== 'POST') return new Refusal(43002);
  if (inquiry.body === '') return new Refusal(44002);
  return Object.keys(inquiry.json).length === 0 && inquiry.body.trim() !== '{}' ? new Refusal(47001) : undefined;
}

/** A call that takes a file, in the field `media` as everywhere at WeChat. */
function uploading(take: (file: ReceivedPart, inquiry: Inquiry) => Reply): Business {
  return (inquiry) => {
    if (inquiry.method !== 'POST') return new Refusal(43002);
    const file = inquiry.received.parts?.find(({ name, filename }) => name === 'media' && filename !== undefined);
    return file ? take(file, inquiry) : new Refusal(41005);
  };
}

function seconds({ now }: Inquiry): number {
  return Math.floor(now / 1000);
}
