// The library `papaparse`: reads and writes CSV.
const BOM = "\ufeff";
const GUESSES = [",", "\t", "|", ";", "\x1e", "\x1f"];

// The first line that quotes do not go beyond decides which line end the text has.
function guessLineEnd(text, quote) {
  const start = text.slice(0, 1048576);
  const bare = start.split(quote).filter((_, part) => part % 2 === 0).join("");
  const end = bare.match(/\r\n|\n|\r/);
  return end === null ? "\n" : end[0];
}

// One record at a time: an array of fields, and where the next one begins.
function* records(text, { delimiter, lineEnd, quote, escape, comments }, errors) {
  let at = 0;
  let row = 0;
  while (at < text.length) {
    if (comments && text.startsWith(comments, at)) {
      const end = text.indexOf(lineEnd, at);
      at = end < 0 ? text.length : end + lineEnd.length;
      continue;
    }
    const fields = [];
    for (;;) {
      if (quote && text.startsWith(quote, at)) {
        const [field, after] = quotedField(text, at, { delimiter, lineEnd, quote, escape }, (error) =>
          errors.push({ type: "Quotes", ...error, row, index: at }));
        fields.push(field);
        at = after;
      } else {
        const separator = text.indexOf(delimiter, at);
        const line = text.indexOf(lineEnd, at);
        const ends = [separator, line].filter((end) => end >= 0);
        const end = ends.length === 0 ? text.length : Math.min(...ends);
        fields.push(text.slice(at, end));
        at = end;
      }
      if (at < text.length && text.startsWith(delimiter, at)) {
        at += delimiter.length;
        if (at === text.length) {
          fields.push("");
        } else {
          continue;
        }
      }
      break;
    }
    if (at < text.length) {
      at += lineEnd.length;
    }
    row += 1;
    yield [fields, at];
  }
}

// A field in quotes, and the place of what follows it.
function quotedField(text, start, { delimiter, lineEnd, quote, escape }, report) {
  let field = "";
  let from = start + quote.length;
  let search = from;
  for (;;) {
    const end = text.indexOf(quote, search);
    if (escape !== quote) {
      const escaped = text.indexOf(escape + quote, search);
      if (escaped >= 0 && escaped < end) {
        field += text.slice(from, escaped) + quote;
        from = search = escaped + escape.length + quote.length;
        continue;
      }
    }
    if (end < 0) {
      report({ code: "MissingQuotes", message: "Quoted field unterminated" });
      return [field + text.slice(from), text.length];
    }
    const after = end + quote.length;
    if (escape === quote && text.startsWith(quote, after)) {
      field += text.slice(from, end) + quote;
      from = search = after + quote.length;
      continue;
    }
    const spaces = text.slice(after).match(/^ */)[0].length;
    for (const gap of [0, spaces]) {
      const next = after + gap;
      if (next === text.length || text.startsWith(delimiter, next) || text.startsWith(lineEnd, next)) {
        return [field + text.slice(from, end), next];
      }
    }
    report({ code: "InvalidQuotes", message: "Trailing quote on quoted field is malformed" });
    search = after;
  }
}

// The delimiter that gives the same number of fields, and the most of them, in the first records.
function guessDelimiter(text, config, guesses) {
  let best = { delimiter: ",", difference: Infinity, fields: 1.99 };
  for (const delimiter of guesses) {
    let count = 0;
    let sum = 0;
    let difference = 0;
    let last;
    for (const [fields] of records(text, { ...config, delimiter }, [])) {
      if (fields.length === 1 && fields[0] === "") {
        continue;
      }
      if (last !== undefined) {
        difference += Math.abs(fields.length - last);
      }
      last = fields.length;
      sum += last;
      count += 1;
      if (count === 10) {
        break;
      }
    }
    const fields = count === 0 ? 0 : sum / count;
    const isBetter = difference < best.difference ||
      (difference === best.difference && fields > best.fields);
    if (fields > 1.99 && isBetter) {
      best = { delimiter, difference, fields, isFound: true };
    }
  }
  return best;
}

function typed(value) {
  if (/^true$/i.test(value)) {
    return true;
  }
  if (/^false$/i.test(value)) {
    return false;
  }
  if (value === "") {
    return null;
  }
  if (/^\s*-?(\d+\.?|\.\d+|\d+\.\d+)([eE][-+]?\d+)?\s*$/.test(value) &&
    Math.abs(Number(value)) < 2 ** 53) {
    return Number(value);
  }
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value)) {
    return new Date(value);
  }
  return value;
}

export function parse(input, config = {}) {
  let text = String(input);
  if (text.startsWith(BOM)) {
    text = text.slice(1);
  }
  const quote = config.quoteChar === undefined ? '"' : config.quoteChar || "";
  const lineEnd = config.newline || guessLineEnd(text, quote || '"');
  const escape = config.escapeChar ?? quote;
  const comments = config.comments === true ? "#" : config.comments || "";
  const errors = [];
  const base = { lineEnd, quote, escape, comments };
  let delimiter = config.delimiter;
  if (typeof delimiter === "function") {
    delimiter = delimiter(text);
  }
  if (!delimiter) {
    const guess = guessDelimiter(text, base, config.delimitersToGuess || GUESSES);
    delimiter = guess.delimiter;
    if (!guess.isFound) {
      errors.push({
        type: "Delimiter",
        code: "UndetectableDelimiter",
        message: "Unable to auto-detect delimiting character; defaulted to ','",
      });
    }
  }
  const meta = { delimiter, linebreak: lineEnd, aborted: false, truncated: false, cursor: 0 };
  const isEmpty = (fields) => config.skipEmptyLines === "greedy"
    ? fields.join("").trim() === ""
    : fields.length === 1 && fields[0] === "";
  const convert = (value, field) => {
    if (config.transform) {
      value = config.transform(value, field);
    }
    const types = config.dynamicTyping;
    const wanted = typeof types === "function" ? types(field)
      : typeof types === "object" && types !== null ? types[field] : types;
    return wanted && typeof value === "string" ? typed(value) : value;
  };
  const data = [];
  let names;
  for (const [fields, cursor] of records(text, { ...base, delimiter }, errors)) {
    meta.cursor = cursor;
    if (config.skipEmptyLines && isEmpty(fields)) {
      continue;
    }
    if (config.header && names === undefined) {
      const seen = new Map();
      names = fields.map((name, index) => {
        name = config.transformHeader ? config.transformHeader(name, index) : name;
        const count = seen.get(name) || 0;
        seen.set(name, count + 1);
        return count === 0 ? name : `${name}_${count}`;
      });
      meta.fields = names;
      continue;
    }
    let record;
    if (names === undefined) {
      record = fields.map((value, index) => convert(value, index));
    } else {
      record = {};
      fields.forEach((value, index) => {
        if (index < names.length) {
          record[names[index]] = convert(value, names[index]);
        } else {
          (record.__parsed_extra ||= []).push(convert(value, "__parsed_extra"));
        }
      });
      if (fields.length !== names.length) {
        const few = fields.length < names.length;
        errors.push({
          type: "FieldMismatch",
          code: few ? "TooFewFields" : "TooManyFields",
          message: `Too ${few ? "few" : "many"} fields: expected ${names.length} fields but ` +
            `parsed ${fields.length}`,
          row: data.length,
        });
      }
    }
    if (config.step) {
      const stop = { isWanted: false };
      const parser = { abort() { stop.isWanted = true; }, pause() {}, resume() {} };
      config.step({ data: record, errors: [], meta }, parser);
      if (stop.isWanted) {
        meta.aborted = true;
        break;
      }
    } else {
      data.push(record);
    }
    if (config.preview && data.length >= config.preview) {
      meta.truncated = cursor < text.length;
      break;
    }
  }
  // A line end at the end of the text is a record of nothing, unless it is skipped.
  if (!config.skipEmptyLines && !config.step && !meta.truncated && !meta.aborted &&
    text.endsWith(lineEnd)) {
    if (names === undefined) {
      data.push([""]);
    } else {
      data.push({ [names[0]]: convert("", names[0]) });
    }
  }
  const results = { data, errors, meta };
  if (typeof config.complete === "function") {
    config.complete(results);
    return undefined;
  }
  return results;
}

export function unparse(input, config = {}) {
  const data = typeof input === "string" ? JSON.parse(input) : input;
  const quote = config.quoteChar ?? '"';
  const escape = config.escapeChar ?? quote;
  const delimiter = config.delimiter ?? ",";
  const lineEnd = config.newline ?? "\r\n";
  let names = config.columns || undefined;
  let rows;
  if (Array.isArray(data)) {
    rows = data;
    if (rows.length > 0 && !Array.isArray(rows[0]) && typeof rows[0] === "object") {
      names ??= Object.keys(rows[0]);
    }
  } else {
    rows = data.data || [];
    names ??= data.fields;
  }
  const written = (value, column) => {
    if (value === undefined || value === null) {
      return "";
    }
    let text = value instanceof Date ? JSON.stringify(value).slice(1, -1) : String(value);
    if (config.escapeFormulae && /^[=+\-@\t\r]/.test(text)) {
      text = `'${text}`;
    }
    const always = typeof config.quotes === "function" ? config.quotes(value, column)
      : Array.isArray(config.quotes) ? config.quotes[column] : config.quotes;
    const isSpecial = [quote, delimiter, "\r", "\n", BOM].some((mark) => text.includes(mark)) ||
      text.startsWith(" ") || text.endsWith(" ");
    return always || isSpecial
      ? quote + text.replaceAll(quote, escape + quote) + quote
      : text;
  };
  const lines = [];
  if (names !== undefined && config.header !== false) {
    lines.push(names.map(written).join(delimiter));
  }
  for (const row of rows) {
    const values = Array.isArray(row) ? row : (names || Object.keys(row)).map((name) => row[name]);
    const texts = values.map(written);
    const isEmpty = config.skipEmptyLines === "greedy"
      ? texts.join("").trim() === ""
      : texts.length === 0 || (texts.length === 1 && texts[0] === "");
    if (!config.skipEmptyLines || !isEmpty) {
      lines.push(texts.join(delimiter));
    }
  }
  return lines.join(lineEnd);
}

export default { parse, unparse };
