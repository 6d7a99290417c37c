/* co-wechat-api at the hub. */
'use strict';

const {
  HUB, APPID, KEY, OPENID, TEMPLATE_ID, PICTURE, TEXT, MENU, DATA, assert, checkMenu, checkFile, checkPicture, serve,
} = require('./flows.cjs');

// 改这几行
const WechatAPI = require('co-wechat-api');

const api = new WechatAPI(APPID, KEY);
api.prefix = api.mpPrefix = HUB + '/cgi-bin/';
// 到这里

const kept = {};

serve({
  async token() {
    return (await api.ensureAccessToken()).accessToken.length;
  },
  async users() {
    assert.ok((await api.getFollowers()).data.openid.includes(OPENID));
  },
  async user_info() {
    assert.strictEqual((await api.getUser(OPENID)).openid, OPENID);
  },
  async users_batch() {
    assert.strictEqual((await api.batchGetUsers([OPENID])).user_info_list[0].openid, OPENID);
  },
  async template_message() {
    return (await api.sendTemplate(OPENID, TEMPLATE_ID, '', '#000000', DATA)).msgid;
  },
  async custom_message() {
    assert.strictEqual((await api.sendText(OPENID, TEXT)).errcode, 0);
  },
  async menu_create() {
    assert.strictEqual((await api.createMenu(MENU)).errcode, 0);
  },
  async menu_get() {
    checkMenu(await api.getMenu());
  },
  async menu_delete() {
    assert.strictEqual((await api.removeMenu()).errcode, 0);
  },
  async media_upload() {
    kept.media_id = (await api.uploadMedia(PICTURE, 'image')).media_id;
  },
  async media_download() {
    checkFile(await api.getMedia(kept.media_id));
  },
  async qrcode() {
    kept.ticket = (await api.createTmpQRCode('海报一', 600)).ticket;
  },
  async showqrcode() {
    await checkPicture(api.showQRCodeURL(encodeURIComponent(kept.ticket)));
  },
  async jsapi_ticket() {
    assert.ok((await api.getTicket()).ticket);
  },
}, (error) => error?.name === 'WeChatAPIError');
