//! What a Locust master and its workers say to each other: `MessagePack` of `[type, data, node]`.
//! Values only.

use rmpv::Value;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// What it is about.
    pub(super) kind: String,
    pub(super) data: Value,
    /// Which worker it is from, or for.
    pub(super) node: String,
}

impl Message {
    pub(super) fn new(kind: &str, data: Value, node: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            data,
            node: node.to_owned(),
        }
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let whole = Value::Array(vec![self.kind.into(), self.data, self.node.into()]);
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = rmpv::encode::write_value(&mut bytes, &whole);
        bytes
    }

    /// `None` for what is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let Value::Array(parts) = rmpv::decode::read_value(&mut rest).ok()? else {
            return None;
        };
        let [kind, data, node] = <[Value; 3]>::try_from(parts).ok()?;
        Some(Self {
            kind: kind.as_str()?.to_owned(),
            data,
            node: node.as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// A map with names.
pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(k, v)| (k.into(), v)).into())
}

/// What a map has under a name.
pub(super) fn get<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let found = map
        .as_map()?
        .iter()
        .find(|(k, _)| k.as_str() == Some(name))?;
    Some(&found.1)
}

/// A number, whole or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_it_was() {
        let data = map([
            ("user_classes_count", map([("Web", 3.into())])),
            ("timestamp", 17.5.into()),
            ("none", Value::Nil),
        ]);
        let message = Message::new("spawn", data, "host_1");
        let read = Message::decode(&message.clone().encode()).unwrap();
        assert_eq!(read, message);
        assert_eq!(get(&read.data, "timestamp").and_then(number), Some(17.5));
        assert_eq!(get(&read.data, "missing"), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b""[..],
            &[0xc1],
            &[0x93, 0xa1],
            &[0x92, 0xa1, b'x', 0xc0],
            &[0xff; 40],
        ] {
            assert_eq!(Message::decode(bytes), None, "{bytes:?}");
        }
    }
}
