(function (host) {
  'use strict';
  const refuse = () => {
    throw new TypeError('a SharedArray is read only');
  };
  function SharedArray(name, make) {
    if (new.target === undefined) throw new TypeError('SharedArray needs `new`');
    if (typeof name !== 'string' || name === '') {
      throw new TypeError('a SharedArray needs a name');
    }
    if (typeof make !== 'function') throw new TypeError('a SharedArray needs a function');
    let length = host.arrayLength(name);
    if (length === undefined || length === null) {
      const items = make();
      if (!Array.isArray(items)) throw new TypeError('the function of a SharedArray returns an array');
      host.makeArray(name, items.map((item) => JSON.stringify(item) ?? 'null'));
      length = items.length;
    }
    const at = (key) => {
      if (typeof key !== 'string' || !/^(?:0|[1-9]\d*)$/.test(key)) return -1;
      const index = Number(key);
      return index < length ? index : -1;
    };
    // An array to all who ask, without any element of its own.
    return new Proxy([], {
      get(target, key, receiver) {
        if (key === 'length') return length;
        const index = at(key);
        return index < 0 ? Reflect.get(target, key, receiver) : frozen(host.arrayItem(name, index));
      },
      has: (target, key) => at(key) >= 0 || Reflect.has(target, key),
      ownKeys: () => [...Array.from({ length }, (_, index) => String(index)), 'length'],
      getOwnPropertyDescriptor(target, key) {
        if (key === 'length') return { value: 0, writable: true };
        const index = at(key);
        if (index < 0) return undefined;
        return { value: frozen(host.arrayItem(name, index)), enumerable: true, configurable: true };
      },
      set: refuse,
      defineProperty: refuse,
      deleteProperty: refuse,
      setPrototypeOf: refuse,
      preventExtensions: refuse,
    });
  }
  const frozen = (value) => {
    if (value !== null && typeof value === 'object') {
      for (const key of Object.keys(value)) frozen(value[key]);
      Object.freeze(value);
    }
    return value;
  };
  return { SharedArray };
})
