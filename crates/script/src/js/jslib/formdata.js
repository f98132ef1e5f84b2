// The library `formdata`: bodies of multipart/form-data.
const bytesOf = (text) => {
  const encoded = unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.from(encoded, (c) => c.charCodeAt(0));
};

// Names within quotes, as browsers write them.
const quoted = (text) =>
  String(text).replace(/\r?\n|\r/g, "%0D%0A").replace(/"/g, "%22");

function contents(data) {
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data);
  }
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (Array.isArray(data)) {
    return Uint8Array.from(data);
  }
  return bytesOf(String(data));
}

export class FormData {
  constructor(obj) {
    this.parts = [];
    this.boundary = "----FormDataBoundary" +
      Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);
    for (const [name, value] of Object.entries(obj || {})) {
      this.append(name, value);
    }
  }

  // A value is text, bytes, or a file as http.file() makes it.
  append(name, value, filename) {
    const isFile = value !== null && typeof value === "object" && "data" in value;
    this.parts.push({
      name: String(name),
      data: isFile ? value.data : value,
      filename: filename ?? (isFile ? value.filename : undefined),
      type: isFile ? value.content_type : undefined,
    });
  }

  get contentType() {
    return `multipart/form-data; boundary=${this.boundary}`;
  }

  body() {
    const pieces = [];
    for (const { name, data, filename, type } of this.parts) {
      let head = `--${this.boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
      if (filename !== undefined) {
        head += `; filename="${quoted(filename)}"`;
        head += `\r\nContent-Type: ${type || "application/octet-stream"}`;
      } else if (type) {
        head += `\r\nContent-Type: ${type}`;
      }
      pieces.push(bytesOf(`${head}\r\n\r\n`), contents(data), bytesOf("\r\n"));
    }
    pieces.push(bytesOf(`--${this.boundary}--\r\n`));
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole.buffer;
  }
}

export default FormData;
