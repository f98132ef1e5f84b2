// The library `k6-utils`.
import { check as checkNow } from "k6";
import execution from "k6/execution";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

export function randomIntBetween(min, max) {
  return Math.floor(Math.random() * (max - min + 1)) + min;
}

export function randomItem(items) {
  return items[Math.floor(Math.random() * items.length)];
}

export function randomString(length, charset = LETTERS) {
  let text = "";
  for (let left = length; left > 0; left--) {
    text += charset[Math.floor(Math.random() * charset.length)];
  }
  return text;
}

// By the generator that randomSeed() sets, unless it must be hard to guess.
export function uuidv4(secure = false) {
  if (secure) {
    return crypto.randomUUID();
  }
  return "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, (place) => {
    const digit = Math.floor(Math.random() * 16);
    return (place === "x" ? digit : (digit & 3) | 8).toString(16);
  });
}

export function findBetween(content, left, right, repeat = false) {
  const found = [];
  let from = 0;
  for (;;) {
    const start = content.indexOf(left, from);
    const end = start < 0 ? -1 : content.indexOf(right, start + left.length);
    if (end < 0) {
      return repeat ? found : "";
    }
    const text = content.slice(start + left.length, end);
    if (!repeat) {
      return text;
    }
    found.push(text);
    from = Math.max(end + right.length, from + 1);
    if (from > content.length) {
      return found;
    }
  }
}

// The targets follow a bell curve from two standard deviations before its height to two after it.
export function normalDistributionStages(maxVus, durationSeconds, numberOfStages = 10) {
  const count = Math.max(1, Math.floor(numberOfStages));
  const stages = [];
  let spent = 0;
  for (let stage = 1; stage <= count; stage++) {
    const end = Math.round((durationSeconds * stage) / count);
    const place = count === 1 ? 0 : (4 * (stage - 0.5)) / count - 2;
    const target = stage === count && count > 1 ? 0 : Math.ceil(maxVus * Math.exp(-(place ** 2) / 2));
    stages.push({ duration: `${end - spent}s`, target });
    spent = end;
  }
  return stages;
}

const UNITS = { d: 86400000, h: 3600000, m: 60000, s: 1000, ms: 1, us: 1e-3, "µs": 1e-3, ns: 1e-6 };

// Milliseconds of a duration such as `1m30s`; a number is one already.
export function parseDuration(duration) {
  if (typeof duration === "number") {
    return duration;
  }
  const text = String(duration).trim();
  if (text !== "" && Number.isFinite(Number(text))) {
    return Number(text);
  }
  if (!/^(\d+(\.\d+)?(d|h|ms|m|s|us|µs|ns))+$/.test(text)) {
    throw new Error(`\`${text}\` is not a duration such as \`1m30s\``);
  }
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(d|h|ms|m|s|us|µs|ns)/g)) {
    total += Number(number) * UNITS[unit];
  }
  return total;
}

// The scenario that runs, with its stages.
function staged() {
  const { name, startTime, executor } = execution.scenario;
  const scenarios = execution.test.options.scenarios || {};
  const scenario = scenarios[name];
  const stages = scenario && scenario.stages;
  if (!Array.isArray(stages) || stages.length === 0) {
    throw new Error(
      `the executor ${executor || "of this scenario"} has no stages; use ramping-vus or ` +
        "ramping-arrival-rate",
    );
  }
  return { scenario, stages, startTime };
}

export function getCurrentStageIndex() {
  const { stages, startTime } = staged();
  const elapsed = Date.now() - startTime;
  let end = 0;
  for (let index = 0; index < stages.length; index++) {
    end += parseDuration(stages[index].duration);
    if (elapsed < end) {
      return index;
    }
  }
  return stages.length - 1;
}

export function tagWithCurrentStageIndex() {
  execution.vu.tags.stage = String(getCurrentStageIndex());
}

export function tagWithCurrentStageProfile() {
  const { scenario, stages } = staged();
  const index = getCurrentStageIndex();
  const first = scenario.startVUs ?? scenario.startRate ?? (scenario.executor === "ramping-vus" ? 1 : 0);
  const before = index === 0 ? Number(first) : Number(stages[index - 1].target);
  const target = Number(stages[index].target);
  execution.vu.tags.stage_profile =
    target > before ? "ramp-up" : target < before ? "ramp-down" : "steady";
}

const isPromise = (value) => value !== null && typeof value === "object" && typeof value.then === "function";

// k6's check, which also waits for what it checks and for what its functions give.
export function check(value, sets, tags) {
  if (isPromise(value)) {
    return value.then((value) => check(value, sets, tags));
  }
  const results = Object.entries(sets).map(([name, test]) => [
    name,
    typeof test === "function" ? test(value) : test,
  ]);
  const now = (results) => checkNow(value, Object.fromEntries(results), tags);
  if (!results.some(([, result]) => isPromise(result))) {
    return now(results);
  }
  const waited = results.map(async ([name, result]) => [name, await result]);
  return Promise.all(waited).then(now);
}
