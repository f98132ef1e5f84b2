// Written by breakpoint for the time of one run, to drive the k6 script beside it. It may be deleted when no run goes on.
import { sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import * as user from "__BREAKPOINT_SCRIPT__";

const config = "__BREAKPOINT_CONFIG__";
// Different messages that a VU tells: each becomes a time series in k6's memory.
const MOST_MESSAGES = 5;
const LONGEST_MESSAGE = 300;

for (const name of config.functions) {
  if (typeof user[name] !== 'function') {
    throw new Error(`the script exports no function '${name}'`);
  }
}

export const options = Object.assign({}, user.options);
for (const name of config.without) {
  delete options[name];
}
const always = { executor: 'constant-vus', duration: config.duration };
options.scenarios = {
  breakpoint: Object.assign({ vus: config.vus, exec: 'bp', gracefulStop: '1s' }, always),
  breakpoint_mark: Object.assign({ vus: 1, exec: 'bp_mark', gracefulStop: '0s' }, always),
};
// A browser is an option of a scenario.
for (const scenario of Object.values((user.options && user.options.scenarios) || {})) {
  if (scenario.options) {
    options.scenarios.breakpoint.options = scenario.options;
  }
}

const begun = new Counter('bp_begin');
const ended = new Counter('bp_end');
const threw = new Counter('bp_error');
const marked = new Counter('bp_mark');
// Longer than the buffer through which k6 writes: a mark pushes out everything that was written before it.
const pad = 'x'.repeat(4200);

export function setup() {
  return user.setup ? user.setup() : undefined;
}

export function teardown(data) {
  return user.teardown ? user.teardown(user.setup ? data : undefined) : undefined;
}

// What breakpoint answers. When it is gone, so is the load.
function ask(path) {
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      const answer = http.get(config.url + path, {
        redirects: 0,
        responseType: 'text',
        tags: { name: '__breakpoint' },
        timeout: '40s',
      });
      if (answer.status === 200) {
        return JSON.parse(answer.body);
      }
    } catch (error) {
      // With the option `throw` a request that fails throws.
    }
  }
  const why = 'breakpoint no longer responds: it has ended, or the script may not connect to 127.0.0.1';
  exec.test.abort(why);
  throw new Error(why);
}

// Of this VU: the function that it runs, and until when it need not ask again.
let turn = { run: '', until: 0 };
const told = new Set();

function message(error) {
  const text = String((error && error.message) || error).slice(0, LONGEST_MESSAGE);
  if (!told.has(text) && told.size >= MOST_MESSAGES) {
    return '(and others)';
  }
  told.add(text);
  return text;
}

export async function bp(data) {
  const vu = String(exec.vu.idInInstance);
  if (Date.now() >= turn.until) {
    // Who waits stays in one iteration: what an iteration begins with, such as a browser, is not
    // begun again and again.
    let answer = ask(`/vu/${vu}`);
    while (answer.wait) {
      answer = ask(`/vu/${vu}`);
    }
    turn = { run: answer.run, until: Date.now() + answer.ms };
  }
  begun.add(1, { vu });
  try {
    await user[turn.run](user.setup ? data : undefined);
  } catch (error) {
    threw.add(1, { vu, message: message(error) });
    throw error;
  } finally {
    ended.add(1, { vu });
  }
}

export function bp_mark() {
  for (let n = 0; ; n += 1) {
    marked.add(1, { pad });
    if (n % 4 === 0) {
      ask('/alive');
    }
    sleep(0.25);
  }
}
