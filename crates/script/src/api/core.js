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

  // The interpreter asks whether to go on while JavaScript runs, not within these: one call on
  // something that claims to be long would never end. A real array has no room to be that long.
  const LONGEST = 2 ** 25;
  const { apply, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const lengthOf = (value) =>
    (value !== null && typeof value === 'object' ? Number(value.length) || 0 : 0);
  const replace = (owner, name, call) => {
    const { value: { length } } = getOwnPropertyDescriptor(owner, name);
    defineProperty(call, 'name', { value: name, configurable: true });
    defineProperty(call, 'length', { value: length, configurable: true });
    defineProperty(owner, name, { value: call, writable: true, configurable: true });
  };
  const bound = (owner, name, measure) => {
    const native = owner[name];
    replace(owner, name, {
      call(...values) {
        if (measure(this, values) > LONGEST) {
          throw new RangeError(`${name}() takes up to ${LONGEST} elements`);
        }
        return apply(native, this, values);
      },
    }.call);
  };
  const bySelf = (self) => lengthOf(self);
  for (const name of ['copyWithin', 'join', 'reverse', 'shift', 'sort', 'splice', 'toLocaleString',
    'unshift']) bound(Array.prototype, name, bySelf);
  bound(Array.prototype, 'concat', (self, values) => {
    let all = lengthOf(self);
    for (let i = 0; i < values.length; i += 1) all += lengthOf(values[i]);
    return all;
  });
  bound(String, 'raw', (_, values) => lengthOf(values[0]?.raw));
  const flatten = (to, from, depth) => {
    const length = lengthOf(from);
    for (let i = 0; i < length; i += 1) {
      if (!(i in from)) continue;
      const one = from[i];
      if (depth > 0 && Array.isArray(one)) flatten(to, one, depth - 1);
      else defineProperty(to, to.length, { value: one, writable: true, enumerable: true, configurable: true });
    }
    return to;
  };
  const mapped = Array.prototype.map;
  replace(Array.prototype, 'flat', {
    flat(depth = 1) {
      return flatten([], this, Number(depth) || 0);
    },
  }.flat);
  replace(Array.prototype, 'flatMap', {
    flatMap(call, self) {
      if (lengthOf(this) > LONGEST) throw new RangeError(`flatMap() takes up to ${LONGEST} elements`);
      return flatten([], apply(mapped, this, [call, self]), 1);
    },
  }.flatMap);

  const timers = {
    setTimeout: (call, ms, ...args) =>
      later('setTimeout', typeof call === 'function' ? () => call(...args) : call, ms, false),
    setInterval: (call, ms, ...args) =>
      later('setInterval', typeof call === 'function' ? () => call(...args) : call, ms, true),
    clearTimeout: stop,
    clearInterval: stop,
  };
  for (const name of Object.keys(timers)) define(name, timers[name]);

  // Most lines are texts: what writes other values is made when it is asked for.
  const shown = (value) => (typeof value === 'string' ? value : part('console').shown(value));
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
