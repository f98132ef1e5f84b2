(function (host) {
  'use strict';
  class Metric {
    #index;
    constructor(kind, name, isTime) {
      this.name = name;
      this.#index = host.declare(kind, String(name), Boolean(isTime));
    }
    add(value, tags) {
      const number = Number(value);
      if (Number.isNaN(number)) {
        host.print(2, `"${value}" is not a value for the metric "${this.name}"`);
        return false;
      }
      host.add(this.#index, number, tags);
      return true;
    }
  }
  return {
    Counter: class Counter extends Metric {
      constructor(name, isTime) {
        super(0, name, isTime);
      }
    },
    Gauge: class Gauge extends Metric {
      constructor(name, isTime) {
        super(1, name, isTime);
      }
    },
    Rate: class Rate extends Metric {
      constructor(name, isTime) {
        super(2, name, isTime);
      }
      add(value, tags) {
        return super.add(value ? 1 : 0, tags);
      }
    },
    Trend: class Trend extends Metric {
      constructor(name, isTime) {
        super(3, name, isTime);
      }
    },
  };
})
