/* The same for Node. */
'use strict';

const net = require('node:net');

const real = net.Socket.prototype.connect;

net.Socket.prototype.connect = function connect(...given) {
  const [options] = Array.isArray(given[0]) ? given[0] : given;
  if (/\.weixin\.qq\.com$/.test(options?.host)) {
    const there = { ...options, host: '127.0.0.1', port: Number(process.env.NAMES_PORT) };
    if (Array.isArray(given[0])) {
      given[0][0] = there;
    } else {
      given[0] = there;
    }
  }
  return real.apply(this, given);
};
