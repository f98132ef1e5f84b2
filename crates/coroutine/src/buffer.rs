//! Reads the bytes of a script's buffer.

use rquickjs::ArrayBuffer;

/// A copy of a buffer's bytes; `None` where it was detached.
pub fn bytes(buffer: &ArrayBuffer<'_>) -> Option<Vec<u8>> {
    // SAFETY: the slice ends with this statement, and copying it runs no JavaScript.
    unsafe { buffer.as_bytes() }.map(<[u8]>::to_vec)
}
