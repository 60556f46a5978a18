// Loaded with `node -r` before a server that would listen on every interface: it gets this machine's own.
'use strict'

const net = require('net')
const listen = net.Server.prototype.listen

net.Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'object' && args[0] !== null) {
    args[0] = { ...args[0], host: '127.0.0.1' }
  } else {
    const rest = args.slice(1).filter((arg) => typeof arg !== 'string')
    args = [args[0], '127.0.0.1', ...rest]
  }
  return listen.apply(this, args)
}
