// Sends every message back; writes how many it sent back in all, every 100 ms, to its standard output.
//
//     node server.js PORT     (with the package ws in NODE_PATH)
"use strict";
const { WebSocketServer } = require("ws");

let messages = 0;
let open = 0;
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });
server.on("connection", (socket) => {
  open += 1;
  socket.on("message", (data, isBinary) => {
    messages += 1;
    socket.send(data, { binary: isBinary });
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    open -= 1;
  });
});
setInterval(() => process.stdout.write(`${messages} ${open}\n`), 100);
