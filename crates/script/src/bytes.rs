//! Bytes of a script, in and out.

use rquickjs::{ArrayBuffer, Ctx, Exception, Object, Result, TypedArray, Value};

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
        let length = buffer.len();
        return copy(&TypedArray::<u8>::from_arraybuffer(buffer)?, 0, length);
    }
    // Every view has these three, whatever its elements are.
    if let Ok(buffer) = object.get::<_, Object>("buffer")
        && let Some(buffer) = ArrayBuffer::from_object(buffer)
    {
        let (from, length) = (object.get("byteOffset")?, object.get("byteLength")?);
        return copy(&TypedArray::<u8>::from_arraybuffer(buffer)?, from, length);
    }
    // What `bytes` of old scripts are: an array of numbers.
    if let Some(array) = object.as_array() {
        return array.iter::<u8>().collect();
    }
    Err(Exception::throw_type(ctx, wrong))
}

/// One by one: this crate has no unsafe code.
fn copy(array: &TypedArray<'_, u8>, from: usize, length: usize) -> Result<Vec<u8>> {
    let object = array.as_object();
    if from
        .checked_add(length)
        .is_none_or(|end| end > array.len() || end > MAX_BYTES)
    {
        return Err(Exception::throw_range(
            object.ctx(),
            "the input is too long",
        ));
    }
    let indexes = from..from + length;
    indexes
        .map(|at| object.get(u32::try_from(at).unwrap_or(u32::MAX)))
        .collect()
}

/// A new `ArrayBuffer`.
pub(crate) fn buffer<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<Value<'js>> {
    Ok(ArrayBuffer::new_copy(ctx.clone(), bytes)?.into_value())
}
