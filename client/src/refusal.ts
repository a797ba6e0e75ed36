/** What WeChat says of an access token that it does not take, or no more. */
const REFUSALS: readonly unknown[] = [40001, 40014, 42001];

/**
 * The errcode with which WeChat refused the access token, in whatever a call to it returned or threw: `{ errcode }`, the
 * response of axios with that as its `data`, or the error of an SDK, which may call it `code`.
 */
export function refusalIn(outcome: unknown): number | undefined {
  const { errcode, code, data } = Object(outcome) as { errcode?: unknown; code?: unknown; data?: unknown };
  const inside = (Object(data) as { errcode?: unknown }).errcode;
  return [errcode, code, inside].find((one): one is number => REFUSALS.includes(one));
}
