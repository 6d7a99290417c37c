// co-wechat-api as a program uses it: `stampede.js BASE APPID SECRET COUNT` reads COUNT times at once; `storm` makes one call.
const API = require('co-wechat-api');

async function main(base, appid, secret, count) {
  const api = new API(appid, secret);
  api.prefix = `${base}/cgi-bin/`;
  const calls = count === 'storm' ? [api.getFollowers()] : Array.from({ length: Number(count) }, () => api.ensureAccessToken());
  await Promise.allSettled(calls);
}

main(...process.argv.slice(2));
