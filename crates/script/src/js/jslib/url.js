// The library `url`: what the host has anyway.
const { URL, URLSearchParams } = globalThis[Symbol.for("k6:require")]("part:address");

export { URL, URLSearchParams };
export default { URL, URLSearchParams };
