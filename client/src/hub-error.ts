/** What an error of the hub is made of, as far as it is known. */
export interface Particulars {
  readonly type?: string | undefined;
  readonly status?: number | undefined;
  readonly detail?: string | undefined;
  readonly errcode?: number | undefined;
  readonly errmsg?: string | undefined;
  readonly rid?: string | undefined;
  readonly retryAfter?: number | undefined;
  readonly requestId?: string | undefined;
}

/** Why there is nothing from the hub: it refused, could not be reached, or could not be asked. */
export class HubError extends Error {
  override readonly name = 'HubError';
  /** The stable name of the problem, as `/problems/rotation-budget`; `about:blank` where the hub did not name one. */
  readonly type: string;
  /** The status of the answer; absent where there was none. */
  readonly status: number | undefined;
  /** What this very case is about, in the hub's words. */
  readonly detail: string | undefined;
  /** WeChat's errcode, where WeChat refused. */
  readonly errcode: number | undefined;
  /** WeChat's words for it. */
  readonly errmsg: string | undefined;
  /** WeChat's id of the refused call. */
  readonly rid: string | undefined;
  /** Seconds, from the answer on, until it pays to ask again. */
  readonly retryAfter: number | undefined;
  /** The id under which the hub's log has the request. */
  readonly requestId: string | undefined;

  constructor(message: string, particulars: Particulars = {}, options?: ErrorOptions) {
    super(message, options);
    this.type = particulars.type ?? 'about:blank';
    this.status = particulars.status;
    this.detail = particulars.detail;
    this.errcode = particulars.errcode;
    this.errmsg = particulars.errmsg;
    this.rid = particulars.rid;
    this.retryAfter = particulars.retryAfter;
    this.requestId = particulars.requestId;
  }
}

/** The error that an answer of the hub stands for, whoever on the way made it. */
export async function problemIn(response: Response): Promise<HubError> {
  const { status, headers } = response;
  const problem = await fieldsIn(response);
  const title = textOf(problem['title']) ?? 'The hub refused';
  const detail = textOf(problem['detail']);
  return new HubError(`${title} (${status})${detail === undefined ? '' : `: ${detail}`}`, {
    type: textOf(problem['type']),
    status,
    detail,
    errcode: numberOf(problem['errcode']),
    errmsg: textOf(problem['errmsg']),
    rid: textOf(problem['rid']),
    // Its other form, a date, is not the hub's.
    retryAfter: numberOf(Number(headers.get('retry-after') ?? NaN)),
    requestId: headers.get('x-request-id') ?? undefined,
  });
}

/** The fields of an answer in JSON; none, if it is something else, as a proxy's page is. */
export async function fieldsIn(response: Response): Promise<Readonly<Record<string, unknown>>> {
  const body = await response.text();
  try {
    return Object(JSON.parse(body)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
