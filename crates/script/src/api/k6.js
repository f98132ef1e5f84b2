(function (host, require, core) {
  'use strict';
  const AsyncFunction = (async () => {}).constructor;

  const passes = (name, rule, value) => {
    try {
      const result = typeof rule === 'function' ? rule(value) : rule;
      if (result instanceof Promise) {
        // It is true whatever comes of it: such a check could not fail.
        result.catch(() => {});
        throw new TypeError('check() does not wait for promises; await the value before it');
      }
      return Boolean(result);
    } catch (error) {
      host.goOn();
      host.print(2, `the check "${name}" threw: ${core.shown(error)}`);
      return false;
    }
  };

  // A generator with 128 bits of state, seeded by a number.
  const seeded = (seed) => {
    let a = 0x9e3779b9 ^ seed, b = 0x243f6a88, c = 0xb7e15162, d = seed | 1;
    const next = () => {
      const sum = (a + b | 0) + d | 0;
      d = d + 1 | 0;
      a = b ^ b >>> 9;
      b = c + (c << 3) | 0;
      c = (c << 21 | c >>> 11) + sum | 0;
      return sum >>> 0;
    };
    for (let i = 0; i < 16; i += 1) next();
    return () => (next() * 0x200000 + (next() >>> 11)) / 2 ** 53;
  };

  return {
    check(value, rules, tags) {
      if (rules === null || typeof rules !== 'object') {
        throw new TypeError('check() takes an object of checks as its second argument');
      }
      let all = true;
      for (const name of Object.keys(rules)) {
        const passed = passes(name, rules[name], value);
        host.check(name, passed, tags);
        all = all && passed;
      }
      return all;
    },
    sleep(seconds) {
      host.sleep(Number(seconds));
    },
    group(name, call) {
      if (typeof call !== 'function') throw new TypeError('group() takes a name and a function');
      if (call instanceof AsyncFunction) {
        throw new TypeError('group() does not take async functions');
      }
      const text = String(name);
      if (text.includes('::')) throw new Error(`the group's name "${text}" must not contain "::"`);
      const since = host.enterGroup(text);
      try {
        return call();
      } finally {
        host.leaveGroup(since);
      }
    },
    fail(why) {
      const error = new Error(why === undefined ? 'fail() was called' : String(why));
      Object.defineProperty(error, '__fail', { value: true });
      throw error;
    },
    randomSeed(seed) {
      Math.random = seeded(Math.trunc(Number(seed)) | 0);
    },
  };
})
