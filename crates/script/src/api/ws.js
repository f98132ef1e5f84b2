(function (host, require, core) {
  'use strict';
  const Channel = core.part('channel');

  class Socket extends Channel {
    #ends(code) {
      if (!this.closing) {
        this.closing = true;
        host.closeChannel(this.id, code, '');
      }
    }
    send(text) {
      host.sendTo(this.id, 0, String(text));
    }
    sendBinary(data) {
      host.sendTo(this.id, 1, data);
    }
    ping() {
      host.sendTo(this.id, 2, '');
    }
    close(code) {
      this.#ends(code === undefined ? 1000 : Number(code));
    }
  }

  const connect = (url, params, call) => {
    if (typeof params === 'function') {
      call = params;
      params = undefined;
    }
    if (typeof call !== 'function') throw new TypeError('ws.connect() takes a function');
    const socket = new Socket();
    const response = { status: 0, url: String(url), headers: {}, body: '', error: '', error_code: 0 };
    socket.id = host.openChannel(0, 'GET', String(url), null, params);
    socket.run(([kind, ...values]) => {
      switch (kind) {
        case 'open':
          response.status = values[0];
          response.headers = core.headersOf(values[1]);
          response.body = values[2] ?? '';
          call(socket);
          socket.tell('open', socket);
          break;
        case 'error':
          socket.closed = true;
          response.error = values[0];
          response.error_code = values[1];
          if (response.status === 0) break;
          socket.tell('error', Object.assign(new Error(values[0]), { error: () => values[0] }));
          socket.tell('close', 1006);
          break;
        case 'close':
          socket.closed = true;
          socket.tell('close', values[0]);
          break;
        default:
          socket.tell(kind, ...values);
      }
    });
    if (response.status === 0 && (params?.throw ?? host.throws)) throw new Error(response.error);
    return response;
  };
  return { connect };
})
