/* node-easywechat at the hub. It throws when it gets no token; a refusal it hands on as it came, errcode and all. */
'use strict';

const fs = require('node:fs');
const {
  HUB, APPID, KEY, OPENID, TEMPLATE_ID, PICTURE, TEXT, MENU, DATA, SCENE, assert, checkMenu, checkFile,
  serve,
} = require('./flows.cjs');

// 改这几行
const { OfficialAccount } = require('node-easywechat');

const app = new OfficialAccount({ app_id: APPID, secret: KEY, http: { baseURL: HUB + '/' } });
// 到这里

const kept = {};
const client = app.getClient();

class Failed extends Error {}

/** Returns what a response says; throws what it says of a refusal, as whoever uses this SDK must. */
function told(response) {
  const said = response.toObject();
  if (said.errcode) {
    throw new Failed(response.toJson());
  }
  return said;
}

serve({
  async token() {
    return (await app.getAccessToken().getToken()).length;
  },
  async users() {
    assert.ok(told(await client.get('cgi-bin/user/get')).data.openid.includes(OPENID));
  },
  async user_info() {
    assert.strictEqual(told(await client.get('cgi-bin/user/info', { params: { openid: OPENID } })).openid, OPENID);
  },
  async users_batch() {
    const answer = await client.postJson('cgi-bin/user/info/batchget', { user_list: [{ openid: OPENID }] });
    assert.strictEqual(told(answer).user_info_list[0].openid, OPENID);
  },
  async template_message() {
    const message = { touser: OPENID, template_id: TEMPLATE_ID, data: DATA };
    return told(await client.postJson('cgi-bin/message/template/send', message)).msgid;
  },
  async custom_message() {
    const message = { touser: OPENID, msgtype: 'text', text: { content: TEXT } };
    assert.strictEqual(told(await client.postJson('cgi-bin/message/custom/send', message)).errcode, 0);
  },
  async menu_create() {
    assert.strictEqual(told(await client.postJson('cgi-bin/menu/create', MENU)).errcode, 0);
  },
  async menu_get() {
    checkMenu(told(await client.get('cgi-bin/menu/get')));
  },
  async menu_delete() {
    assert.strictEqual(told(await client.get('cgi-bin/menu/delete')).errcode, 0);
  },
  async media_upload() {
    const answer = await client.withFile(PICTURE, 'media').post('cgi-bin/media/upload', { params: { type: 'image' } });
    kept.media_id = told(answer).media_id;
  },
  async media_download() {
    const asked = { params: { media_id: kept.media_id }, responseType: 'arraybuffer' };
    (await client.get('cgi-bin/media/get', asked)).saveAs('downloaded.jpg');
    checkFile(fs.readFileSync('downloaded.jpg'));
  },
  async qrcode() {
    return told(await client.postJson('cgi-bin/qrcode/create', SCENE)).ticket;
  },
  async jsapi_ticket() {
    assert.ok(await app.getTicket().getTicket());
  },
}, (error) => error instanceof Failed || /^Failed to get /.test(error?.message));
