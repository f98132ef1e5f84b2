// What ws and sse share: a script's callbacks run until the connection has ended.
(function (host, require, core) {
  'use strict';
  return class Channel {
    id;
    #listeners = new Map();
    #timers = new Map();
    closed = false;
    on(name, call) {
      if (typeof call !== 'function') throw new TypeError(`on("${name}") takes a function`);
      const all = this.#listeners.get(name);
      if (all === undefined) this.#listeners.set(name, [call]);
      else all.push(call);
    }
    tell(name, ...values) {
      for (const call of this.#listeners.get(name) ?? []) call(...values);
    }
    has(name) {
      return this.#listeners.has(name);
    }
    #after(call, ms, again) {
      if (typeof call !== 'function') throw new TypeError('a timer takes a function');
      const time = Number(ms);
      if (!(time > 0)) throw new TypeError('a timer takes a time in milliseconds above 0');
      const start = () => {
        const id = host.timer(time);
        this.#timers.set(id, () => {
          if (again) start();
          call();
        });
      };
      start();
    }
    setTimeout(call, ms) {
      this.#after(call, ms, false);
    }
    setInterval(call, ms) {
      this.#after(call, ms, true);
    }
    // Until it has ended: `hear` gets what happens to the connection.
    run(hear) {
      try {
        while (!this.closed) {
          const [id, ...event] = host.next([this.id, ...this.#timers.keys()]);
          const timer = this.#timers.get(id);
          if (timer === undefined) {
            hear(event);
          } else {
            this.#timers.delete(id);
            timer();
          }
        }
      } finally {
        for (const id of this.#timers.keys()) host.drop(id);
        host.drop(this.id);
      }
    }
  };
})
