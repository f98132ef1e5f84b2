(function (host, require, core) {
  'use strict';
  class Blob {
    #bytes;
    constructor(parts = [], options = {}) {
      this.#bytes = parts.length === 1 && parts[0] instanceof ArrayBuffer
        ? parts[0]
        : host.bytesOf(parts.map(String).join(''));
      this.type = String(options.type ?? '');
      this.size = this.#bytes.byteLength;
    }
    async arrayBuffer() {
      return this.#bytes.slice(0);
    }
    async text() {
      return host.text(this.#bytes);
    }
  }

  const EVENTS = ['open', 'message', 'error', 'close', 'ping', 'pong'];

  class WebSocket {
    #id;
    #listeners = new Map();
    #binaryType = 'blob';
    constructor(url, protocols, params) {
      this.url = String(url);
      this.readyState = WebSocket.CONNECTING;
      this.bufferedAmount = 0;
      this.extensions = '';
      this.protocol = '';
      const wanted = protocols === null || protocols === undefined ? [] : [protocols].flat();
      const headers = { ...params?.headers };
      if (wanted.length > 0) headers['Sec-WebSocket-Protocol'] = wanted.join(', ');
      this.#id = host.openChannel(0, 'GET', this.url, null, { ...params, headers });
      core.listeners.set(this.#id, (event) => this.#hear(event));
      for (const name of EVENTS) this[`on${name}`] = null;
    }
    get binaryType() {
      return this.#binaryType;
    }
    set binaryType(kind) {
      if (kind !== 'blob' && kind !== 'arraybuffer') {
        throw new TypeError('binaryType is "blob" or "arraybuffer"');
      }
      this.#binaryType = kind;
    }
    #tell(name, facts) {
      const event = { type: name, target: this, timestamp: Date.now(), ...facts };
      const own = this[`on${name}`];
      if (typeof own === 'function') own.call(this, event);
      for (const call of this.#listeners.get(name) ?? []) call.call(this, event);
    }
    #hear([, kind, ...values]) {
      switch (kind) {
        case 'open':
          this.readyState = WebSocket.OPEN;
          this.protocol = core.headersOf(values[1])['Sec-Websocket-Protocol'] ?? '';
          this.#tell('open');
          break;
        case 'message':
          this.#tell('message', { data: values[0] });
          break;
        case 'binaryMessage':
          this.#tell('message', {
            data: this.#binaryType === 'blob' ? new Blob([values[0]]) : values[0],
          });
          break;
        case 'ping':
        case 'pong':
          this.#tell(kind);
          break;
        case 'error':
          this.readyState = WebSocket.CLOSED;
          this.#tell('error', { error: values[0] });
          this.#tell('close', { code: 1006, reason: values[0] });
          break;
        default:
          this.readyState = WebSocket.CLOSED;
          this.#tell('close', { code: values[0], reason: values[1] });
      }
    }
    addEventListener(name, call) {
      if (!EVENTS.includes(name)) throw new TypeError(`a WebSocket has no event "${name}"`);
      if (typeof call !== 'function') throw new TypeError('addEventListener() takes a function');
      const all = this.#listeners.get(name);
      if (all === undefined) this.#listeners.set(name, [call]);
      else all.push(call);
    }
    #check() {
      if (this.readyState !== WebSocket.OPEN) {
        const error = new Error('the WebSocket is not open');
        error.name = 'InvalidStateError';
        throw error;
      }
    }
    send(data) {
      this.#check();
      if (ArrayBuffer.isView(data)) {
        const from = data.byteOffset;
        data = data.buffer.slice(from, from + data.byteLength);
      }
      if (data instanceof ArrayBuffer) host.sendTo(this.#id, 1, data);
      else host.sendTo(this.#id, 0, String(data));
    }
    ping() {
      this.#check();
      host.sendTo(this.#id, 2, '');
    }
    close(code, why) {
      if (this.readyState >= WebSocket.CLOSING) return;
      this.readyState = WebSocket.CLOSING;
      host.closeChannel(this.#id, code === undefined ? 1000 : Number(code), String(why ?? ''));
    }
  }
  ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].forEach((name, state) => {
    WebSocket[name] = state;
    WebSocket.prototype[name] = state;
  });
  return { WebSocket, Blob };
})
