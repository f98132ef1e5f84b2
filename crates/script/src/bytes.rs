//! Bytes of a script, in and out.

use breakpoint_coroutine::buffer;
use rquickjs::{ArrayBuffer, Ctx, Exception, Object, Result, Value};

/// The longest input that is taken, bytes.
const MAX_BYTES: usize = 256 << 20;

/// The bytes of a string (as UTF-8), an `ArrayBuffer`, or a view of one.
pub(crate) fn of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<u8>> {
    if let Some(text) = value.as_string() {
        return Ok(text.to_string()?.into_bytes());
    }
    let wrong = "the input must be a string or an ArrayBuffer";
    let Some(object) = value.as_object() else {
        return Err(Exception::throw_type(ctx, wrong));
    };
    if let Some(buffer) = ArrayBuffer::from_object(object.clone()) {
        return copy(ctx, &buffer, 0, buffer.len());
    }
    // Every view has these three, whatever its elements are.
    if let Ok(buffer) = object.get::<_, Object>("buffer")
        && let Some(buffer) = ArrayBuffer::from_object(buffer)
    {
        let (from, length) = (object.get("byteOffset")?, object.get("byteLength")?);
        return copy(ctx, &buffer, from, length);
    }
    // What `bytes` of old scripts are: an array of numbers.
    if let Some(array) = object.as_array() {
        return array.iter::<u8>().collect();
    }
    Err(Exception::throw_type(ctx, wrong))
}

/// The bytes of a part of a buffer.
fn copy(ctx: &Ctx, buffer: &ArrayBuffer, from: usize, length: usize) -> Result<Vec<u8>> {
    if buffer.len() > MAX_BYTES {
        return Err(Exception::throw_range(ctx, "the input is too long"));
    }
    let whole = buffer::bytes(buffer)
        .ok_or_else(|| Exception::throw_type(ctx, "the buffer was given away"))?;
    let part = from
        .checked_add(length)
        .and_then(|end| whole.get(from..end));
    match part {
        Some(part) if part.len() == whole.len() => Ok(whole),
        Some(part) => Ok(part.to_vec()),
        None => Err(Exception::throw_range(ctx, "the view is beyond its buffer")),
    }
}

/// A new `ArrayBuffer`.
pub(crate) fn buffer<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<Value<'js>> {
    Ok(ArrayBuffer::new_copy(ctx.clone(), bytes)?.into_value())
}
