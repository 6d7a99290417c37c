// A business server in Node by HTTP alone (Node 18 or later, nothing installed).
//   ZHONGKONG_KEY=zk_… node node.mjs wx0123456789abcdef
const hub = process.env.ZHONGKONG_HUB ?? "http://127.0.0.1:8600";
const wechat = process.env.WECHAT_API ?? "https://api.weixin.qq.com";
const refused = new Set([40001, 40014, 42001]);
const held = new Map(); // appid -> {token, etag, askAgainAt, usableUntil}
const asking = new Map(); // appid -> the one request under way

async function fromHub(path, options = {}) {
  const headers = { Authorization: `Bearer ${process.env.ZHONGKONG_KEY}`, ...options.headers };
  const answer = await fetch(hub + path, { signal: AbortSignal.timeout(10_000), ...options, headers });
  if (answer.ok || answer.status === 304) return answer;
  const problem = await answer.json().catch(() => ({})); // `detail` says who must do what
  throw Object.assign(new Error(problem.detail ?? `${hub} answered ${answer.status}`), { status: answer.status });
}

function keep(appid, body, etag, began) {
  const { access_token: token, refresh_in, expires_in } = body;
  held.set(appid, { token, etag, askAgainAt: began + refresh_in * 1000, usableUntil: began + expires_in * 1000 });
  return token;
}

async function ask(appid) {
  const mine = held.get(appid);
  const began = performance.now();
  try {
    const answer = await fromHub(`/v1/accounts/${appid}/access_token`, {
      headers: mine ? { "If-None-Match": mine.etag } : {},
    });
    if (answer.status !== 304) return keep(appid, await answer.json(), answer.headers.get("etag"), began);
    mine.askAgainAt = began + 1000 * Number(answer.headers.get("cache-control").split("=").pop());
  } catch (error) {
    const isAway = !(error.status < 500);
    if (!isAway || !mine || began >= mine.usableUntil) throw error;
    mine.askAgainAt = began + 1000; // the hub is away: go on with what it promised
  }
  return mine.token;
}

export async function accessToken(appid) {
  const mine = held.get(appid);
  if (mine && performance.now() < mine.askAgainAt) return mine.token;
  if (!asking.has(appid)) asking.set(appid, ask(appid).finally(() => asking.delete(appid)));
  return asking.get(appid);
}

export async function callWechat(appid, path, options = {}) {
  const call = async (token) => {
    const url = new URL(path, wechat);
    url.searchParams.set("access_token", token);
    return (await fetch(url, { signal: AbortSignal.timeout(10_000), ...options })).json();
  };
  const token = await accessToken(appid);
  const answer = await call(token);
  if (!refused.has(answer.errcode)) return answer;
  const began = performance.now();
  const rejected = await fromHub(`/v1/accounts/${appid}/access_token/reject`, {
    method: "POST",
    body: JSON.stringify({ rejected: token }),
  });
  const body = await rejected.json();
  keep(appid, body, rejected.headers.get("etag"), began);
  return body.outcome === "still_valid" ? answer : call(body.access_token);
}

if (import.meta.url === `file://${process.argv[1]}`) {
  console.log(JSON.stringify(await callWechat(process.argv[2], "/cgi-bin/user/get")));
}
