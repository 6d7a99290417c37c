/* wechat-jssdk at the hub: it knows the token, the ticket and what it signs with it. */
'use strict';

const { HUB, APPID, KEY, assert, serve } = require('./flows.cjs');

// 改这几行
const { Wechat } = require('wechat-jssdk');

const wx = new Wechat({
  appId: APPID,
  appSecret: KEY,
  accessTokenUrl: HUB + '/cgi-bin/token',
  ticketUrl: HUB + '/cgi-bin/ticket/getticket',
});
// 到这里

const kept = {};

serve({
  async token() {
    kept.token = (await wx.jssdk.getAccessToken()).access_token;
    return kept.token.length;
  },
  async jsapi_ticket() {
    assert.ok((await wx.jssdk.getJsApiTicket(kept.token)).ticket);
  },
  async signature() {
    const signed = await wx.jssdk.createSignature('https://example.com/page');
    assert.match(signed.signature, /^[0-9a-f]{40}$/);
  },
}, (error) => typeof error?.errcode === 'number');
