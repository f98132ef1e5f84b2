// A NestJS gateway, with the adapter for `ws` or with Socket.IO's: what docs/websocket.md has profiles for. Without
// decorators, so that no compiler is needed. What it counted is at /count.
import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { IoAdapter } from "@nestjs/platform-socket.io";
import { WsAdapter } from "@nestjs/platform-ws";
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";

const isSocketIo = process.argv[2] === "socket.io";
const counted = { opened: 0, closed: 0, said: 0, asked: 0 };

class Chat {
  handleConnection() {
    counted.opened += 1;
  }

  handleDisconnect() {
    counted.closed += 1;
  }

  say(data) {
    counted.said += 1;
    const text = JSON.stringify({ event: "said", data });
    for (const client of this.server.clients) client.send(text);
  }

  ask(client, data) {
    counted.asked += 1;
    client.emit("answer", data);
  }
}

const handler = (name, parameters) => {
  parameters.forEach((parameter, at) => parameter()(Chat.prototype, name, at));
  SubscribeMessage(name)(Chat.prototype, name, Object.getOwnPropertyDescriptor(Chat.prototype, name));
};
WebSocketServer()(Chat.prototype, "server");
if (isSocketIo) {
  handler("ask", [ConnectedSocket, MessageBody]);
  WebSocketGateway()(Chat);
} else {
  handler("say", [MessageBody]);
  WebSocketGateway({ path: "/ws" })(Chat);
}

class App {}
Module({ providers: [Chat] })(App);

const app = await NestFactory.create(App, { logger: ["error"] });
app.useWebSocketAdapter(isSocketIo ? new IoAdapter(app) : new WsAdapter(app));
app.getHttpAdapter().get("/count", (_, answer) => answer.json(counted));
await app.listen(0, "127.0.0.1");
console.log(`port ${app.getHttpServer().address().port}`);
