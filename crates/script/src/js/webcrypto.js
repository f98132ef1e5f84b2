// The global `crypto`: random values and digests. The rest of WebCrypto rejects.
(function (native) {
  "use strict";
  const hashes = { "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" };
  const integers = [
    Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    BigInt64Array, BigUint64Array,
  ];

  function named(name, message) {
    const error = new Error(message);
    error.name = name;
    return error;
  }

  const subtle = {
    async digest(algorithm, data) {
      const name = String(typeof algorithm === "string" ? algorithm : algorithm && algorithm.name);
      const hash = hashes[name.toUpperCase()];
      if (hash === undefined) {
        const known = Object.keys(hashes).join(", ");
        throw named("NotSupportedError", `\`${name}\` is not a digest; use one of ${known}`);
      }
      if (!(data instanceof ArrayBuffer) && !ArrayBuffer.isView(data)) {
        throw new TypeError("the data of a digest must be an ArrayBuffer or a view of one");
      }
      return native.digest(hash, data);
    },
  };
  for (const name of [
    "encrypt", "decrypt", "sign", "verify", "generateKey", "deriveKey", "deriveBits", "importKey",
    "exportKey", "wrapKey", "unwrapKey",
  ]) {
    subtle[name] = async function () {
      throw named(
        "NotSupportedError",
        `crypto.subtle.${name} is not supported; use hmac of k6/crypto or --engine k6`,
      );
    };
  }

  const crypto = {
    subtle,
    getRandomValues(array) {
      if (!integers.some((kind) => array instanceof kind)) {
        throw named("TypeMismatchError", "getRandomValues fills typed arrays of integers only");
      }
      if (array.byteLength > 65536) {
        throw named("QuotaExceededError", "getRandomValues fills at most 65536 bytes at a time");
      }
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      bytes.set(new Uint8Array(native.random(array.byteLength)));
      return array;
    },
    randomUUID() {
      const bytes = new Uint8Array(native.random(16));
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return [
        hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20),
      ].join("-");
    },
  };
  return { crypto };
})
