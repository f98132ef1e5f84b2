// URL and URLSearchParams. The host parses; an address is its text.
(function (native) {
  "use strict";

  const changed = Symbol("changed");
  const pairs = Symbol("pairs");
  const text = (value) => {
    const string = String(value);
    return string.isWellFormed() ? string : string.toWellFormed();
  };

  class URLSearchParams {
    constructor(init = "") {
      Object.defineProperty(this, pairs, { value: [], writable: true });
      Object.defineProperty(this, changed, { value: undefined, writable: true });
      if (init === null || init === undefined) {
        return;
      }
      if (typeof init === "object" || typeof init === "function") {
        if (typeof init[Symbol.iterator] === "function") {
          for (const pair of init) {
            const both = [...pair];
            if (both.length !== 2) {
              throw new TypeError("each pair of a query must be a name and a value");
            }
            this[pairs].push([text(both[0]), text(both[1])]);
          }
          return;
        }
        for (const name of Object.keys(init)) {
          this[pairs].push([text(name), text(init[name])]);
        }
        return;
      }
      this[pairs] = native.read(text(init).replace(/^\?/, ""));
    }

    append(name, value) {
      this[pairs].push([text(name), text(value)]);
      this[changed]?.();
    }
    delete(name, value) {
      this[pairs] = this[pairs].filter(([own, its]) =>
        own !== text(name) || (value !== undefined && its !== text(value)));
      this[changed]?.();
    }
    get(name) {
      const pair = this[pairs].find(([own]) => own === text(name));
      return pair === undefined ? null : pair[1];
    }
    getAll(name) {
      return this[pairs].filter(([own]) => own === text(name)).map(([, value]) => value);
    }
    has(name, value) {
      return this[pairs].some(([own, its]) =>
        own === text(name) && (value === undefined || its === text(value)));
    }
    set(name, value) {
      const first = this[pairs].findIndex(([own]) => own === text(name));
      if (first < 0) {
        this.append(name, value);
        return;
      }
      this[pairs][first][1] = text(value);
      this[pairs] = this[pairs].filter(([own], at) => own !== text(name) || at === first);
      this[changed]?.();
    }
    sort() {
      this[pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this[changed]?.();
    }
    forEach(callback, self) {
      for (const [name, value] of this[pairs]) {
        callback.call(self, value, name, this);
      }
    }
    get size() { return this[pairs].length; }
    *entries() {
      for (const [name, value] of this[pairs]) {
        yield [name, value];
      }
    }
    *keys() {
      for (const [name] of this[pairs]) {
        yield name;
      }
    }
    *values() {
      for (const [, value] of this[pairs]) {
        yield value;
      }
    }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return native.written(this[pairs]); }
    get [Symbol.toStringTag]() { return "URLSearchParams"; }
  }

  const href = Symbol("href");
  const query = Symbol("query");

  class URL {
    constructor(address, base) {
      const whole = native.parse(text(address), base === undefined ? undefined : text(base));
      if (whole === undefined || whole === null) {
        throw new TypeError(`Invalid URL: ${text(address).slice(0, 200)}`);
      }
      Object.defineProperty(this, href, { value: whole, writable: true });
      Object.defineProperty(this, query, { value: undefined, writable: true });
    }

    static canParse(address, base) {
      const whole = native.parse(text(address), base === undefined ? undefined : text(base));
      return typeof whole === "string";
    }
    static parse(address, base) {
      return URL.canParse(address, base) ? new URL(address, base) : null;
    }

    get href() { return this[href]; }
    set href(address) {
      this[href] = new URL(address)[href];
      this.#reread();
    }
    get origin() { return native.part(this[href], "origin"); }
    get searchParams() {
      if (this[query] === undefined) {
        this[query] = new URLSearchParams();
        this[query][changed] = () => {
          this[href] = native.with(this[href], "search", this[query].toString());
        };
        this.#reread();
      }
      return this[query];
    }
    #reread() {
      if (this[query] !== undefined) {
        this[query][pairs] = native.read(this.search.slice(1));
      }
    }

    static {
      for (const name of [
        "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash",
      ]) {
        Object.defineProperty(URL.prototype, name, {
          configurable: true,
          enumerable: true,
          get() { return native.part(this[href], name); },
          set(value) {
            this[href] = native.with(this[href], name, text(value));
            if (name === "search") {
              this.#reread();
            }
          },
        });
      }
    }

    toString() { return this[href]; }
    toJSON() { return this[href]; }
    get [Symbol.toStringTag]() { return "URL"; }
  }

  return { URL, URLSearchParams };
})
