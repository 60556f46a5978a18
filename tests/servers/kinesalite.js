// Starts kinesalite on this port of this machine: `node kinesalite.js PORT`, with NODE_PATH where it is.
'use strict'

const server = require('kinesalite')({
  createStreamMs: 50, deleteStreamMs: 50, updateStreamMs: 50, shardLimit: 1000,
})

// It throws, and so ends, when a client goes away in the middle of a request, as a consumer that stops does.
server.on('request', (request) => request.removeAllListeners('error').on('error', () => {}))

// Node closes a connection that was idle for five seconds, perhaps just when a busy client uses it again.
server.keepAliveTimeout = 120_000

server.listen(Number(process.argv[2]), '127.0.0.1')
