/* wechat-api at the hub. */
'use strict';

const { promisify } = require('node:util');
const {
  HUB, APPID, KEY, OPENID, TEMPLATE_ID, PICTURE, TEXT, MENU, DATA, assert, checkMenu, checkFile, checkPicture, serve,
} = require('./flows.cjs');

// 改这几行
const WechatAPI = require('wechat-api');

const api = new WechatAPI(APPID, KEY);
api.endpoint = HUB;
api.mpPrefix = HUB + '/cgi-bin/';
// 到这里

const kept = {};
const call = (name, ...rest) => promisify(api[name]).call(api, ...rest);

serve({
  async token() {
    return (await call('getLatestToken')).accessToken.length;
  },
  async users() {
    assert.ok((await call('getFollowers')).data.openid.includes(OPENID));
  },
  async user_info() {
    assert.strictEqual((await call('getUser', OPENID)).openid, OPENID);
  },
  async users_batch() {
    assert.strictEqual((await call('batchGetUsers', [OPENID])).user_info_list[0].openid, OPENID);
  },
  async template_message() {
    return (await call('sendTemplate', OPENID, TEMPLATE_ID, '', DATA)).msgid;
  },
  async custom_message() {
    assert.strictEqual((await call('sendText', OPENID, TEXT)).errcode, 0);
  },
  async menu_create() {
    assert.strictEqual((await call('createMenu', MENU)).errcode, 0);
  },
  async menu_get() {
    checkMenu(await call('getMenu'));
  },
  async menu_delete() {
    assert.strictEqual((await call('removeMenu')).errcode, 0);
  },
  async media_upload() {
    kept.media_id = (await call('uploadMedia', PICTURE, 'image')).media_id;
  },
  async media_download() {
    checkFile(await call('getMedia', kept.media_id));
  },
  async qrcode() {
    kept.ticket = (await call('createTmpQRCode', '海报一', 600)).ticket;
  },
  async showqrcode() {
    await checkPicture(api.showQRCodeURL(encodeURIComponent(kept.ticket)));
  },
  async jsapi_ticket() {
    assert.ok((await call('getTicket')).ticket);
  },
}, (error) => /^WeChatAPI/.test(error?.name));
