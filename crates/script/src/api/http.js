(function (host, require, core) {
  'use strict';
  const { canonical, pairs, headersOf } = core;

  const cookieOf = (line) => {
    const [pair, ...rest] = line.split(';');
    const at = pair.indexOf('=');
    const cookie = {
      name: pair.slice(0, at).trim(),
      value: pair.slice(at + 1).trim(),
      domain: '',
      path: '',
      httpOnly: false,
      secure: false,
      maxAge: 0,
      expires: 0,
    };
    for (const part of rest) {
      const [key, ...value] = part.split('=');
      const text = value.join('=').trim();
      switch (key.trim().toLowerCase()) {
        case 'domain': cookie.domain = text; break;
        case 'path': cookie.path = text; break;
        case 'httponly': cookie.httpOnly = true; break;
        case 'secure': cookie.secure = true; break;
        case 'max-age': cookie.maxAge = Number(text) || 0; break;
        case 'expires': cookie.expires = Date.parse(text) || 0; break;
        default:
      }
    }
    return at < 0 ? undefined : cookie;
  };

  const cookiesOf = (text) => {
    const all = {};
    pairs(text, (name, value) => {
      if (name.toLowerCase() !== 'set-cookie') return;
      const cookie = cookieOf(value);
      if (cookie !== undefined) (all[cookie.name] ??= []).push(cookie);
    });
    return all;
  };

  // Those that a request took along; `+` stands before those that replace one of the jar.
  const sentCookiesOf = (text) => {
    const all = {};
    pairs(text, (marked, value) => {
      const name = marked.slice(1);
      (all[name] ??= []).push({ name, value, replace: marked[0] === '+' });
    });
    return all;
  };

  // Its parts stand at 10 and after.
  const timingsOf = (raw) => ({
    blocked: raw[10],
    looking_up: 0,
    connecting: raw[11],
    tls_handshaking: raw[12],
    sending: raw[13],
    waiting: raw[14],
    receiving: raw[15],
    duration: raw[13] + raw[14] + raw[15],
  });

  const textOf = (body) => (typeof body === 'string' ? body : host.text(body));

  // Built of what the program gives (`outcome` of `http/exchange.rs`). What costs something is made
  // when it is asked for.
  class Response {
    #raw;
    constructor(raw, sent) {
      raw[19] = sent;
      this.status = raw[0];
      this.status_text = raw[1];
      this.url = raw[2];
      this.proto = raw[3];
      this.remote_ip = raw[4];
      this.remote_port = raw[5];
      this.body = raw[6];
      this.error = raw[7];
      this.error_code = raw[8];
      this.#raw = raw;
    }
    get headers() {
      return (this.#raw.headers ??= headersOf(this.#raw[9]));
    }
    get cookies() {
      return (this.#raw.cookies ??= cookiesOf(this.#raw[9]));
    }
    get timings() {
      return (this.#raw.timings ??= timingsOf(this.#raw));
    }
    get request() {
      if (this.#raw.request === undefined) {
        const headers = {};
        pairs(this.#raw[17] ?? '', (name, value) => (headers[canonical(name)] ??= []).push(value));
        this.#raw.request = {
          method: this.#raw[16],
          url: this.#raw[2],
          headers,
          body: this.#raw[18] ?? (typeof this.#raw[19] === 'string' ? this.#raw[19] : ''),
          cookies: sentCookiesOf(this.#raw[20] ?? ''),
        };
      }
      return this.#raw.request;
    }
    get tls_version() {
      return '';
    }
    get tls_cipher_suite() {
      return '';
    }
    get ocsp() {
      return { status: '' };
    }
    json(selector) {
      if (this.body === null) {
        throw new Error(
          'the body is null, so it is no JSON: it was discarded or there was no answer',
        );
      }
      if (selector !== undefined) return host.select(textOf(this.body), String(selector));
      if (!('json' in this.#raw)) {
        try {
          this.#raw.json = JSON.parse(textOf(this.body));
        } catch (error) {
          throw new Error(`the body is no JSON: ${error.message}`);
        }
      }
      return this.#raw.json;
    }
    html(selector) {
      if (this.body === null) throw new Error('the body is null, so it is no HTML');
      const page = (this.#raw.html ??= require('k6/html').parseHTML(textOf(this.body)));
      return selector === undefined ? page : page.find(String(selector));
    }
    submitForm({ formSelector = 'form', fields = {}, submitSelector, params } = {}) {
      const form = this.html(formSelector).first();
      if (form.size() === 0) {
        throw new Error(`no form found for the selector '${formSelector}' in '${this.url}'`);
      }
      const method = (form.attr('method') ?? 'GET').toUpperCase();
      const address = host.join(this.url, form.attr('action') ?? '');
      const values = form.serializeObject();
      const button = form.find(submitSelector ?? '[type="submit"]').first();
      const name = button.attr('name');
      if (name !== undefined && name !== '') values[name] = button.attr('value') ?? '';
      Object.assign(values, fields);
      if (method !== 'GET') return request(method, address, values, params);
      const query = Object.keys(values).sort().flatMap((key) =>
        [values[key]].flat().map((one) => `${encodeURIComponent(key)}=${encodeURIComponent(one)}`),
      );
      return request('GET', `${address.replace(/[?#].*$/, '')}?${query.join('&')}`, undefined, params);
    }
    clickLink({ selector = 'a[href]', params } = {}) {
      const link = this.html(selector).first();
      const href = link.attr('href');
      if (href === undefined) {
        throw new Error(`no link found for the selector '${selector}' in '${this.url}'`);
      }
      return request('GET', host.join(this.url, href), undefined, params);
    }
    toJSON() {
      const { headers, cookies, timings, request } = this;
      return { ...this, headers, cookies, timings, request };
    }
  }

  const respond = (raw, params, sent) => {
    const response = new Response(raw, sent);
    if (response.error !== '' && (params?.throw ?? host.throws)) {
      const error = new Error(response.error);
      error.response = response;
      throw error;
    }
    return response;
  };

  const request = (method, url, body, params) =>
    respond(host.request(String(method), url, body, params), params, body);

  const split = (one) => {
    if (Array.isArray(one)) return [String(one[0]), one[1], one[2], one[3]];
    if (typeof one === 'object' && one !== null && typeof one.method === 'string') {
      return [one.method, one.url, one.body, one.params];
    }
    return ['GET', one, undefined, undefined];
  };

  const batch = (requests) => {
    if (requests === null || typeof requests !== 'object') {
      throw new TypeError('batch() takes an array or an object of requests');
    }
    const keys = Object.keys(requests);
    const all = keys.map((key) => split(requests[key]));
    const outcomes = host.batch(all);
    const responses = Array.isArray(requests) ? [] : {};
    keys.forEach((key, index) => {
      responses[key] = respond(outcomes[index], all[index][3], all[index][2]);
    });
    return responses;
  };

  const asyncRequest = (method, url, body, params) =>
    new Promise((resolve, reject) => {
      const id = host.beginRequest(String(method), url, body, params);
      core.waiting.set(id, (raw) => {
        try {
          resolve(respond(raw, params, body));
        } catch (error) {
          reject(error);
        }
      });
    });

  class FileData {
    constructor(data, filename, type) {
      this.data = data;
      this.filename = filename === undefined ? `${Date.now()}` : String(filename);
      this.content_type = type === undefined ? 'application/octet-stream' : String(type);
    }
  }

  const freed = typeof FinalizationRegistry === 'function'
    ? new FinalizationRegistry((jar) => host.dropJar(jar))
    : undefined;

  class CookieJar {
    constructor(own) {
      const jar = own === 'own' ? 0 : host.newJar();
      Object.defineProperty(this, '__jar', { value: jar });
      if (jar !== 0) freed?.register(this, jar);
    }
    cookiesForURL(url) {
      const all = {};
      const flat = host.cookies(this.__jar, String(url));
      for (let i = 0; i < flat.length; i += 2) (all[flat[i]] ??= []).push(flat[i + 1]);
      return all;
    }
    set(url, name, value, options) {
      let line = `${name}=${value}`;
      if (options?.domain) line += `; Domain=${options.domain}`;
      if (options?.path) line += `; Path=${options.path}`;
      if (options?.expires) line += `; Expires=${options.expires}`;
      if (options?.max_age) line += `; Max-Age=${options.max_age}`;
      if (options?.secure) line += '; Secure';
      if (options?.http_only) line += '; HttpOnly';
      host.setCookie(this.__jar, String(url), line);
      return true;
    }
    clear(url) {
      host.removeCookies(this.__jar, String(url), null);
    }
    delete(url, name) {
      host.removeCookies(this.__jar, String(url), String(name));
    }
  }
  const ownJar = new CookieJar('own');

  const expectedStatuses = (...statuses) => {
    if (statuses.length === 0) throw new TypeError('expectedStatuses() takes statuses');
    const flat = statuses.flatMap((one) => {
      if (Number.isInteger(one)) return [one, one];
      if (Number.isInteger(one?.min) && Number.isInteger(one?.max)) return [one.min, one.max];
      throw new TypeError('expectedStatuses() takes numbers and { min, max }');
    });
    return Object.defineProperty({}, '__statuses', { value: flat });
  };

  const url = (parts, ...values) => {
    if (typeof parts === 'string') return { name: parts, url: parts };
    const name = parts.join('${}');
    const whole = parts.reduce((text, part, index) => `${text}${values[index - 1]}${part}`);
    return { name, url: whole, clean_url: whole, toString: () => whole };
  };

  return {
    get: (address, params) => request('GET', address, undefined, params),
    head: (address, params) => request('HEAD', address, undefined, params),
    post: (address, body, params) => request('POST', address, body, params),
    put: (address, body, params) => request('PUT', address, body, params),
    patch: (address, body, params) => request('PATCH', address, body, params),
    del: (address, body, params) => request('DELETE', address, body, params),
    options: (address, body, params) => request('OPTIONS', address, body, params),
    request,
    asyncRequest,
    batch,
    file: (data, name, type) => new FileData(data, name, type),
    url,
    expectedStatuses,
    setResponseCallback: (callback) => host.setResponseCallback(callback),
    cookieJar: () => ownJar,
    CookieJar,
    FileData,
    Response,
    SSL_3_0: 'ssl3.0',
    TLS_1_0: 'tls1.0',
    TLS_1_1: 'tls1.1',
    TLS_1_2: 'tls1.2',
    TLS_1_3: 'tls1.3',
    OCSP_STATUS_GOOD: 'good',
    OCSP_STATUS_REVOKED: 'revoked',
    OCSP_STATUS_UNKNOWN: 'unknown',
    OCSP_STATUS_SERVER_FAILED: 'server_failed',
    OCSP_REASON_UNSPECIFIED: 'unspecified',
    OCSP_REASON_KEY_COMPROMISE: 'key_compromise',
    OCSP_REASON_CA_COMPROMISE: 'ca_compromise',
    OCSP_REASON_AFFILIATION_CHANGED: 'affiliation_changed',
    OCSP_REASON_SUPERSEDED: 'superseded',
    OCSP_REASON_CESSATION_OF_OPERATION: 'cessation_of_operation',
    OCSP_REASON_CERTIFICATE_HOLD: 'certificate_hold',
    OCSP_REASON_REMOVE_FROM_CRL: 'remove_from_crl',
    OCSP_REASON_PRIVILEGE_WITHDRAWN: 'privilege_withdrawn',
    OCSP_REASON_AA_COMPROMISE: 'aa_compromise',
  };
})
