/* Runs the page's script in a page that is as little as it needs, presses the button, and tells what became of it.
 * argv: the script's file, and JSON: ids, states, matches, url, agent, appid, key, answer {status, text}, or null where the connection broke, wechat. */
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');

const [file, given] = process.argv.slice(2);
const { ids, states, matches, url, agent, appid, key, answer, wechat } = JSON.parse(given);
const seen = { asked: [], scripts: [], configured: null };
const waiting = [];

class Element {
  constructor(dataset = {}) {
    Object.assign(this, { dataset, value: '', textContent: '', hidden: true, classes: new Set(), heard: {} });
    this.classList = { toggle: (name, is) => (is ? this.classes.add(name) : this.classes.delete(name)) };
  }

  addEventListener(name, does) { this.heard[name] = does; }

  scrollIntoView() {}

  remove() { this.isGone = true; }
}

const byId = Object.fromEntries(ids.map((id) => [id, new Element()]));
const stated = states.map((state) => new Element({ state }));
const matched = matches.map((match) => new Element({ match }));
const isOf = { '[data-state]': stated, '[data-match]': matched };

const context = vm.createContext({
  location: { href: url },
  navigator: { userAgent: agent },
  document: {
    documentElement: { lang: 'zh-CN' },
    getElementById: (id) => byId[id],
    querySelectorAll: (selector) => isOf[selector],
    querySelector: () => matched.find((one) => one.classes.has('met')),
    createElement: () => ({}),
    head: {
      append(script) {
        seen.scripts.push({ src: script.src, key: byId.form.isGone ? byId.key.value : 'may be typed' });
        if (wechat === 'away') {
          script.onerror();
          return;
        }
        script.onload();
      },
    },
  },
  async fetch(asked, how) {
    seen.asked.push({ url: asked, ...how });
    if (!answer) {
      throw new TypeError('Failed to fetch');
    }
    return { ok: answer.status === 200, status: answer.status, json: async () => JSON.parse(answer.text) };
  },
  setTimeout: (does) => waiting.push(does),
  clearTimeout: () => waiting.pop(),
  wx: {
    error: (does) => { context.failed = does; },
    ready: (does) => { context.worked = does; },
    checkJsApi: ({ success }) => success({ checkResult: { chooseImage: true, scanQRCode: false } }),
    config(what) {
      seen.configured = what;
      if (wechat === 'silent') {
        waiting.pop()();
      } else if (wechat === 'ready') {
        context.worked();
      } else {
        context.failed({ errMsg: wechat });
        context.worked(); // WeChat's script calls this one after a failure too
      }
    },
  },
});

vm.runInContext(fs.readFileSync(file, 'utf8'), context);
Object.assign(byId.appid, { value: appid });
Object.assign(byId.key, { value: key });
byId.form.heard.submit({ preventDefault: () => { seen.prevented = true; } });
setImmediate(() => setImmediate(() => {
  const texts = Object.fromEntries(ids.map((id) => [id, byId[id].textContent]));
  const state = stated.filter((one) => !one.hidden).map((one) => one.dataset.state);
  const met = matched.filter((one) => one.classes.has('met')).map((one) => one.dataset.match);
  console.log(JSON.stringify({ ...seen, texts, state, met, key: byId.key.value, shown: !byId.signed.hidden }));
}));
