(function (host, require, core) {
  'use strict';
  const Channel = core.part('channel');

  class Client extends Channel {
    close() {
      if (!this.closing) {
        this.closing = true;
        host.closeChannel(this.id, 0, '');
        this.closed = true;
      }
    }
  }

  const open = (url, params, call) => {
    if (typeof params === 'function') {
      call = params;
      params = undefined;
    }
    if (typeof call !== 'function') throw new TypeError('sse.open() takes a function');
    const client = new Client();
    const response = { status: 0, url: String(url), headers: {}, body: '', error: '', error_code: 0 };
    const method = params?.method === undefined ? 'GET' : String(params.method);
    call(client);
    client.id = host.openChannel(1, method, String(url), params?.body, params);
    client.run(([kind, ...values]) => {
      switch (kind) {
        case 'open':
          response.status = values[0];
          response.headers = core.headersOf(values[1]);
          response.body = values[2] ?? '';
          client.tell('open', response);
          break;
        case 'event': {
          const [id, name, data, comment] = values;
          client.tell('event', { id, name, data, comment });
          break;
        }
        case 'error':
          client.closed = true;
          response.error = values[0];
          response.error_code = values[1];
          client.tell('error', Object.assign(new Error(values[0]), { error: () => values[0] }));
          break;
        default:
          client.closed = true;
      }
    });
    return response;
  };
  return { open };
})
