/* The page that tries wx.config: it has the hub sign its own address, shows what was signed, and hands it to WeChat.
 * The key is sent in a header, stands in no address, is kept nowhere, and is gone before WeChat's own script comes. */
"use strict";

(() => {
  const LISTED = ["checkJsApi", "updateAppMessageShareData", "updateTimelineShareData", "scanQRCode", "chooseImage"];
  const HOSTS = ["https://res.wx.qq.com", "https://res2.wx.qq.com"];
  const PATIENCE = 10000;
  const at = (id) => document.getElementById(id);
  const page = location.href.split("#")[0];
  const isInside = /MicroMessenger/i.test(navigator.userAgent);
  let turn = 0;

  function show(state, told) {
    for (const one of document.querySelectorAll("[data-state]")) {
      one.hidden = one.dataset.state !== state;
    }
    at("told").textContent = told || "";
    at("told").hidden = !told;
  }

  /** Marks the failures of the list that WeChat's words name. */
  function explain(told) {
    const words = told.toLowerCase();
    for (const one of document.querySelectorAll("[data-match]")) {
      one.classList.toggle("met", one.dataset.match.split("|").some((match) => words.includes(match)));
    }
    document.querySelector(".met")?.scrollIntoView({ block: "nearest" });
  }

  function list(found) {
    return Object.entries(found).map(([name, may]) => `${name} ${may ? "✓" : "✗"}`).join("  ");
  }

  function showSigned(signed) {
    const names = ["appId", "timestamp", "nonceStr", "signature"];
    for (const name of names) {
      at(name).textContent = signed[name];
    }
    const { nonceStr, timestamp } = signed;
    at("text").textContent = `jsapi_ticket=******&noncestr=${nonceStr}&timestamp=${timestamp}&url=${page}`;
    at("signed").hidden = false;
  }

  function failure(state, told) {
    return Object.assign(new Error(told), { state });
  }

  /** Returns what the hub signed. Whatever stands before it may answer in its stead, and then seldom in JSON. */
  async function sign(appid, key) {
    const asked = `v1/accounts/${encodeURIComponent(appid)}/jsapi_config?url=${encodeURIComponent(page)}`;
    const headers = { Authorization: `Bearer ${key}`, "Accept-Language": document.documentElement.lang };
    const answer = await fetch(asked, { headers, cache: "no-store", referrerPolicy: "no-referrer" }).catch((error) => {
      throw failure("unreached", error.message);
    });
    const said = await answer.json().catch(() => null);
    if (answer.ok && said?.signature) {
      return said;
    }
    throw said?.detail ? failure("refused", said.detail) : failure("foreign", `HTTP ${answer.status}`);
  }

  /** Loads WeChat's script, from the other host if one is away. */
  function load(version, hosts = HOSTS) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${hosts[0]}/open/js/jweixin-${version}.js`;
      script.onload = resolve;
      script.onerror = () => (hosts.length > 1 ? load(version, hosts.slice(1)).then(resolve, reject) : reject(new Error()));
      document.head.append(script);
    });
  }

  function configure(signed, isWecom, mine) {
    const end = (state, told) => {
      if (mine === turn) {
        clearTimeout(late);
        show(state, told);
        explain(state === "failed" ? told : "");
      }
    };
    const late = setTimeout(() => end("silent"), PATIENCE);
    let hasFailed = false;
    wx.error((said) => {
      hasFailed = true;
      end("failed", said.errMsg);
    });
    wx.ready(() => {
      if (!hasFailed) {
        end("ready");
        wx.checkJsApi({ jsApiList: LISTED, success: (said) => end("ready", list(said.checkResult)) });
      }
    });
    wx.config({ ...signed, debug: false, beta: isWecom, jsApiList: LISTED });
  }

  async function attempt() {
    const appid = at("appid").value.trim();
    const key = at("key").value.trim();
    const mine = ++turn;
    at("key").value = "";
    at("signed").hidden = true;
    explain("");
    show("asking");
    try {
      const signed = await sign(appid, key);
      showSigned(signed);
      if (!isInside) {
        show("outside");
        return;
      }
      at("form").remove(); // another key is typed into a page without WeChat's script: one that was loaded anew
      show("loading");
      const isWecom = appid.includes(":");
      await load(isWecom ? "1.2.0" : "1.6.0").then(
        () => configure(signed, isWecom, mine),
        () => show("unloaded"),
      );
    } catch (error) {
      show(error.state ?? "unloaded", error.message);
    }
  }

  at("url").textContent = page;
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt();
  });
})();
