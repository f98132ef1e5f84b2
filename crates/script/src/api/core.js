// Globals, and what the event loop calls. `host` are functions of the program.
(function (host) {
  'use strict';
  const waiting = new Map();
  const intervals = new Map();
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

  const builtin = (name) => {
    let all = modules.get(name);
    if (all === undefined) {
      all = host.factory(name)(host, builtin, { timers, waiting, shown });
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

  return {
    begin: () => {
      waiting.clear();
      intervals.clear();
      globalThis.__ITER = host.begin(host.env);
    },
    settle: (id, value) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (call !== undefined) call(value);
    },
  };
})
