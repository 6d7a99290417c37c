/* What the Node programs share: what they are given, and the conversation with the harness (see flows.py). */
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const readline = require('node:readline');

const { HUB, APPID, KEY, OPENID, TEMPLATE_ID, PICTURE } = process.env;
const TEXT = '你好，世界';
const MENU = { button: [{ type: 'view', name: '官网', url: 'https://example.com/?a=1&b=2' }] };

/** Throws unless the menu came back as it was made. */
function checkMenu(told) {
  const { name, url } = told.menu.button[0];
  assert.deepStrictEqual([name, url], ['官网', 'https://example.com/?a=1&b=2']);
}

/** Throws unless it is the file that was uploaded, byte for byte. */
function checkFile(content) {
  assert.ok(fs.readFileSync(PICTURE).equals(content), `${content.length} other bytes`);
}

/** Throws unless at the address there is a picture. */
async function checkPicture(url) {
  const answer = await fetch(url);
  const content = Buffer.from(await answer.arrayBuffer());
  const isPicture = content.subarray(1, 4).equals(Buffer.from('PNG')) || content[0] === 0xff;
  assert.ok(isPicture, `${answer.status} ${content.subarray(0, 60)}`);
}

function say(message) {
  console.log(JSON.stringify(message));
}

/** Does the flows that the harness names until it has no more; `isOwn` tells what the SDK throws. */
async function serve(flows, isOwn) {
  say({ flows: Object.keys(flows) });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const flow = line.trim();
    try {
      say({ flow, ok: true, detail: await flows[flow]() });
    } catch (error) {
      const kind = error?.name ?? typeof error;
      say({ flow, ok: false, own: isOwn(error), error: kind, detail: String(error?.message ?? JSON.stringify(error)) });
    }
  }
  process.exit(0); // some SDKs have timers that would keep it
}

module.exports = {
  HUB, APPID, KEY, OPENID, TEMPLATE_ID, PICTURE, TEXT, MENU,
  DATA: { thing: { value: TEXT } },
  SCENE: { action_name: 'QR_STR_SCENE', expire_seconds: 600, action_info: { scene: { scene_str: '海报一' } } },
  assert, checkMenu, checkFile, checkPicture, serve,
};
