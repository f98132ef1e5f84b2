// Globals, and what the event loop calls. `host` are functions of the program.
(function (host) {
  'use strict';
  const waiting = new Map();
  const intervals = new Map();
  const listeners = new Map();
  const modules = new Map();

  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });

  const later = (name, call, ms, again) => {
    if (typeof call !== 'function') throw new TypeError(`${name}() takes a function`);
    const time = Number(ms) || 0;
    let first;
    const start = () => {
      const id = host.timer(time);
      if (first === undefined) first = id;
      if (again) intervals.set(first, id);
      waiting.set(id, () => {
        if (again) start();
        call();
      });
      return id;
    };
    return start();
  };
  const stop = (id) => {
    const own = intervals.get(id) ?? id;
    intervals.delete(id);
    if (waiting.delete(own)) host.drop(own);
  };
  const timers = {
    setTimeout: (call, ms, ...args) =>
      later('setTimeout', typeof call === 'function' ? () => call(...args) : call, ms, false),
    setInterval: (call, ms, ...args) =>
      later('setInterval', typeof call === 'function' ? () => call(...args) : call, ms, true),
    clearTimeout: stop,
    clearInterval: stop,
  };
  for (const name of Object.keys(timers)) define(name, timers[name]);

  const shown = (value) => {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return value.stack ? `${value}\n${value.stack}` : String(value);
    if (typeof value === 'object' && value !== null) {
      try {
        const text = JSON.stringify(value);
        if (text !== undefined) return text;
      } catch {
        // Cycles: as a text.
      }
    }
    try {
      return String(value);
    } catch {
      return 'something that has no text';
    }
  };
  const printer = (level) => (...values) => host.print(level, values.map(shown).join(' '));
  define('console', {
    log: printer(1),
    info: printer(1),
    debug: printer(0),
    warn: printer(2),
    error: printer(3),
    trace: printer(0),
    assert: (holds, ...values) => {
      if (!holds) host.print(3, ['Assertion failed', ...values].map(shown).join(' '));
    },
  });

  const canonical = (name) =>
    name.toLowerCase().replace(/(^|-)([a-z])/g, (_, before, letter) => before + letter.toUpperCase());
  const pairs = (text, each) => {
    const lines = text.split('\n');
    for (let i = 0; i + 1 < lines.length; i += 2) each(lines[i], lines[i + 1]);
  };
  const headersOf = (text) => {
    const all = {};
    pairs(text, (name, value) => {
      const key = canonical(name);
      all[key] = Object.hasOwn(all, key) ? `${all[key]}, ${value}` : value;
    });
    return all;
  };

  const shared = { timers, waiting, listeners, shown, canonical, pairs, headersOf, part };
  function part(name) {
    return builtin(`part:${name}`);
  }
  const builtin = (name) => {
    let all = modules.get(name);
    if (all === undefined) {
      all = host.factory(name);
    if (typeof all === 'function') all = all(host, builtin, shared);
      modules.set(name, all);
    }
    return all;
  };
  Object.defineProperty(globalThis, Symbol.for('k6:require'), { value: builtin });

  define('__ENV', host.env);
  define('__VU', host.vu);
  define('__ITER', 0);
  define('open', (path, mode) => {
    if (typeof path !== 'string' || path === '') throw new TypeError('open() takes a path');
    return host.open(host.caller(), path, mode === 'b');
  });
  define('require', (name) => {
    if (typeof name !== 'string' || name === '') throw new TypeError('require() takes a name');
    const whole = host.resolve(host.caller() ?? '', name);
    return whole.startsWith('k6') && !whole.includes('.') ? builtin(whole) : host.load(whole);
  });
  define('global', globalThis);

  // What costs something is made when it is asked for.
  for (const [name, from] of [
    ['crypto', 'part:webcrypto'],
    ['URL', 'part:address'],
    ['URLSearchParams', 'part:address'],
  ]) {
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        const value = builtin(from)[name];
        define(name, value);
        return value;
      },
      set: (value) => define(name, value),
    });
  }

  return {
    begin: () => {
      listeners.clear();
      waiting.clear();
      intervals.clear();
      globalThis.__ITER = host.begin(host.env);
    },
    hear: (id, event, isOver) => {
      const call = listeners.get(id);
      if (isOver) listeners.delete(id);
      if (call !== undefined) call(event);
    },
    settle: (id, value) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (call !== undefined) call(value);
    },
  };
})
