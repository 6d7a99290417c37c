/* A message server of co-wechat, as its README has it. It knows of no hub: what it gets and answers is WeChat's own form. */
'use strict';

const Koa = require('koa');
const wechat = require('co-wechat');
const { APPID, serve } = require('./flows.cjs');

const { TOKEN, ENCODING_AES_KEY } = process.env;
const app = new Koa();

app.use(wechat({ token: TOKEN, appid: APPID, encodingAESKey: ENCODING_AES_KEY }).middleware(async (message) => {
  if (message.MsgType === 'event' || message.Content === '无言') {
    return '';
  }
  if (message.Content === '图文') {
    return [{ title: '标题', description: '', picurl: '', url: 'https://example.com/?a=1&b=2' }];
  }
  return `收到 ${message.Content}`;
}));

serve({
  listen() {
    return new Promise((resolve) => {
      const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
    });
  },
}, () => false);
