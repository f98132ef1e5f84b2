// The library `k6-summary`: the data of handleSummary() as text and as JUnit.
const COLORS = { red: 31, green: 32, cyan: 36, faint: 2 };
const MARKS = { passed: "✓", failed: "✗", group: "█", detail: "↳" };

const list = (items) => (Array.isArray(items) ? items : Object.values(items || {}));

function painter(isOn) {
  return (text, color) => (isOn ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text);
}

// Three significant places are enough for who reads it.
function plainNumber(number) {
  const text = Number(number).toFixed(6);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function duration(milliseconds, unit) {
  if (unit === "s") {
    return `${(milliseconds / 1000).toFixed(2)}s`;
  }
  if (unit === "ms") {
    return `${milliseconds.toFixed(2)}ms`;
  }
  if (unit === "us") {
    return `${(milliseconds * 1000).toFixed(2)}µs`;
  }
  const two = (number) => plainNumber(Math.trunc(number * 100) / 100);
  if (milliseconds === 0) {
    return "0s";
  }
  if (milliseconds < 0.001) {
    return `${Math.trunc(milliseconds * 1000000)}ns`;
  }
  if (milliseconds < 1) {
    return `${two(milliseconds * 1000)}µs`;
  }
  if (milliseconds < 1000) {
    return `${two(milliseconds)}ms`;
  }
  const seconds = milliseconds / 1000;
  if (seconds < 60) {
    return `${two(seconds)}s`;
  }
  const minutes = Math.floor(seconds / 60);
  const rest = Math.floor(seconds % 60);
  return minutes < 60 ? `${minutes}m${rest}s`
    : `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}s`;
}

function bytes(count) {
  if (count < 1000) {
    return `${plainNumber(Math.trunc(count))} B`;
  }
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let power = -1;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return `${count < 10 ? count.toFixed(1) : count.toFixed(0)} ${units[power]}`;
}

export function humanizeValue(value, metric, timeUnit) {
  if (metric.type === "rate") {
    return `${(Math.trunc(value * 10000) / 100).toFixed(2)}%`;
  }
  switch (metric.contains) {
    case "data":
      return bytes(value);
    case "time":
      return duration(value, timeUnit);
    default:
      return plainNumber(value);
  }
}

function checkLines(check, indent, paint) {
  if (!check.fails) {
    return [paint(`${indent}${MARKS.passed} ${check.name}`, "green")];
  }
  const share = Math.floor((100 * check.passes) / (check.passes + check.fails));
  return [
    paint(`${indent}${MARKS.failed} ${check.name}`, "red"),
    paint(
      `${indent} ${MARKS.detail}  ${share}% — ${MARKS.passed} ${check.passes} / ${MARKS.failed} ` +
        check.fails,
      "red",
    ),
  ];
}

function groupLines(group, indent, paint) {
  const lines = [];
  let inside = indent;
  if (group.name) {
    lines.push(`${indent}${MARKS.group} ${group.name}`, "");
    inside = `${indent}  `;
  }
  for (const check of list(group.checks)) {
    lines.push(...checkLines(check, inside, paint));
  }
  if (list(group.checks).length > 0) {
    lines.push("");
  }
  for (const inner of list(group.groups)) {
    lines.push(...groupLines(inner, inside, paint));
  }
  return lines;
}

// What stands behind a metric's name: its main value, and those beside it.
function values(metric, stats, timeUnit) {
  const human = (value) => humanizeValue(value, metric, timeUnit);
  const of = metric.values;
  switch (metric.type) {
    case "counter":
      return [human(of.count), `${human(of.rate)}/s`];
    case "gauge":
      return [human(of.value), `min=${human(of.min)}`, `max=${human(of.max)}`];
    case "rate":
      return [human(of.rate), `${MARKS.passed} ${of.passes}`, `${MARKS.failed} ${of.fails}`];
    default:
      return stats.map((stat) => {
        const value = of[stat];
        const text = value === undefined ? "-" : stat === "count" ? plainNumber(value) : human(value);
        return `${stat}=${text}`;
      });
  }
}

function metricLines(data, options, indent, paint) {
  const metrics = data.metrics || {};
  const settings = data.options || {};
  const stats = options.summaryTrendStats || settings.summaryTrendStats ||
    ["avg", "min", "med", "max", "p(90)", "p(95)"];
  const unit = options.summaryTimeUnit || settings.summaryTimeUnit;
  // Metrics of a part of the values follow the whole.
  const names = Object.keys(metrics).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const shown = names.map((name) => {
    const part = name.match(/^[^{]*(\{.*\})$/);
    return part === null ? name : `  ${part[1].replace(/^\{\s*/, "{ ").replace(/\s*\}$/, " }")}`;
  });
  const rows = names.map((name) => values(metrics[name], stats, unit));
  const width = Math.max(0, ...shown.map((name) => name.length));
  const columns = new Map();
  names.forEach((name, row) => {
    rows[row].forEach((text, column) => {
      const key = `${metrics[name].type === "trend"}${column}`;
      columns.set(key, Math.max(columns.get(key) || 0, text.length));
    });
  });
  return names.map((name, row) => {
    const metric = metrics[name];
    const results = Object.values(metric.thresholds || {});
    const isFailed = results.some((result) => !result.ok);
    const mark = results.length === 0 ? " "
      : isFailed ? paint(MARKS.failed, "red") : paint(MARKS.passed, "green");
    const texts = rows[row].map((text, column) =>
      text.padEnd(columns.get(`${metric.type === "trend"}${column}`)));
    const dots = ".".repeat(width - shown[row].length + 3);
    const cells = texts.map((text, column) => paint(text, column === 0 ? "cyan" : "faint"));
    return `${indent}${mark} ${shown[row]}${paint(dots, "faint")}: ${cells.join(" ")}`.trimEnd();
  });
}

export function textSummary(data, options = {}) {
  const indent = options.indent ?? " ";
  const settings = data.options || {};
  const paint = painter(options.enableColors ?? !settings.noColor);
  const lines = [
    ...groupLines(data.root_group || {}, `${indent}    `, paint),
    ...metricLines(data, options, `${indent}  `, paint),
  ];
  return lines.join("\n");
}

const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// A case for each threshold.
export function jUnit(data, options = {}) {
  const name = escaped(options.name ?? "k6 thresholds");
  const classname = escaped(options.classname ?? "Unnamed folder");
  const cases = [];
  let failures = 0;
  for (const [metric, { thresholds }] of Object.entries(data.metrics || {})) {
    for (const [threshold, { ok }] of Object.entries(thresholds || {})) {
      const test = `    <testcase name="${escaped(`${metric} - ${threshold}`)}" classname="${classname}"`;
      if (ok) {
        cases.push(`${test} />`);
      } else {
        failures += 1;
        cases.push(`${test}><failure message="failed" /></testcase>`);
      }
    }
  }
  return [
    '<?xml version="1.0"?>',
    `<testsuites tests="${cases.length}" failures="${failures}">`,
    `  <testsuite name="${name}" tests="${cases.length}" failures="${failures}">`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
  ].join("\n");
}
