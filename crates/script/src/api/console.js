// How `console` writes values.
(function () {
  'use strict';
  // Without the lines of a stack that are the host's.
  const stackOf = (error) =>
    String(error.stack ?? '').split('\n').filter((line) => line !== '' && !/\(native\)|k6:/.test(line));
  const bytesOf = (buffer) =>
    Array.from(new Uint8Array(buffer), (one) => one.toString(16).padStart(2, '0')).join(' ');
  const between = (open, all, close) =>
    (all.length === 0 ? open + close : `${open} ${all.join(', ')} ${close}`);
  // A value within another one; `above` are those that it is in.
  const nested = (value, above) => {
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'function') return '[object Function]';
    if (typeof value !== 'object' || value === null) return String(value);
    if (above.includes(value)) return '[Circular]';
    if (value instanceof Error) return String(value);
    if (value instanceof ArrayBuffer) {
      return `ArrayBuffer { [Uint8Contents]: <${bytesOf(value)}>, byteLength: ${value.byteLength} }`;
    }
    const all = [...above, value];
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return between(`${value.constructor.name}(${value.length}) [`, Array.from(value, String), ']');
    }
    if (Array.isArray(value)) return between('[', Array.from(value, (one) => nested(one, all)), ']');
    if (typeof value.toJSON === 'function') return nested(value.toJSON(), all);
    const keys = Object.keys(value).sort();
    return between('{', keys.map((key) => `${key}: ${nested(value[key], all)}`), '}');
  };
  const shown = (value) => {
    try {
      if (value instanceof Error) return [String(value), ...stackOf(value)].join('\n');
      return nested(value, []);
    } catch {
      try {
        return String(value);
      } catch {
        return 'something that has no text';
      }
    }
  };
  return { shown };
})
