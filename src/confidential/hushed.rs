//! A value as JSON without secrets. Only texts lose them: the names of fields, and the words of
//! closed sets (`"held"`), say nothing of anybody, and could not be read again.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Value;

use crate::secret::Hidden;

/// How histograms begin as text (the four bytes of their kind, and the first of their length, in
/// base64): numbers, which must stay what they are.
const HISTOGRAM: &str = "HISTFAAA";

pub(super) fn to_value<T: Serialize + ?Sized>(
    value: &T,
    hidden: &Hidden,
) -> serde_json::Result<Value> {
    Hushed { value, hidden }.serialize(serde_json::value::Serializer)
}

/// A value that serializes without secrets.
struct Hushed<'a, T: ?Sized> {
    value: &'a T,
    hidden: &'a Hidden,
}

impl<T: Serialize + ?Sized> Serialize for Hushed<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let hidden = self.hidden;
        self.value.serialize(Hush { inner, hidden })
    }
}

/// A serializer, or a part of one, that passes everything on but texts.
struct Hush<'a, S> {
    inner: S,
    hidden: &'a Hidden,
}

fn is_histogram(text: &str) -> bool {
    text.starts_with(HISTOGRAM)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

macro_rules! passed_on {
    ($($name:ident: $of:ty),* $(,)?) => {$(
        fn $name(self, value: $of) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        }
    )*};
}

macro_rules! begun {
    ($($name:ident($($argument:ident: $of:ty),*) -> $kind:ident),* $(,)?) => {$(
        fn $name(self, $($argument: $of),*) -> Result<Self::$kind, S::Error> {
            let hidden = self.hidden;
            self.inner.$name($($argument),*).map(|inner| Hush { inner, hidden })
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Hush<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Hush<'a, S::SerializeSeq>;
    type SerializeTuple = Hush<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Hush<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Hush<'a, S::SerializeTupleVariant>;
    type SerializeMap = Hush<'a, S::SerializeMap>;
    type SerializeStruct = Hush<'a, S::SerializeStruct>;
    type SerializeStructVariant = Hush<'a, S::SerializeStructVariant>;

    passed_on! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    begun! {
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeTupleVariant,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeStructVariant,
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if is_histogram(text) {
            return self.inner.serialize_str(text);
        }
        self.inner.serialize_str(&self.hidden.in_text(text))
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let hidden = self.hidden;
        self.inner.serialize_some(&Hushed { value, hidden })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let hidden = self.hidden;
        self.inner
            .serialize_newtype_struct(name, &Hushed { value, hidden })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let hidden = self.hidden;
        self.inner
            .serialize_newtype_variant(name, index, variant, &Hushed { value, hidden })
    }
}

macro_rules! elements {
    ($($part:ident.$name:ident),* $(,)?) => {$(
        impl<S: $part> $part for Hush<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let hidden = self.hidden;
                self.inner.$name(&Hushed { value, hidden })
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

macro_rules! fields {
    ($($part:ident),* $(,)?) => {$(
        impl<S: $part> $part for Hush<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let hidden = self.hidden;
                self.inner.serialize_field(name, &Hushed { value, hidden })
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq.serialize_element,
    SerializeTuple.serialize_element,
    SerializeTupleStruct.serialize_field,
    SerializeTupleVariant.serialize_field,
}

fields! { SerializeStruct, SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Hush<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        let hidden = self.hidden;
        self.inner.serialize_key(&Hushed { value: key, hidden })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let hidden = self.hidden;
        self.inner.serialize_value(&Hushed { value, hidden })
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Held,
        Because(String),
        Both { held: String, n: u32 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        held: String,
        words: Vec<Word>,
        pair: (String, f64),
        more: Option<String>,
        map: std::collections::BTreeMap<String, String>,
        histogram: String,
    }

    #[test]
    fn texts_lose_secrets_and_nothing_else_changes() {
        let record = |secret: &str| Record {
            held: format!("a {secret} b"),
            words: vec![
                Word::Held,
                Word::Because(secret.to_owned()),
                Word::Both {
                    held: secret.to_owned(),
                    n: 1,
                },
            ],
            pair: (secret.to_owned(), 0.1),
            more: Some(secret.to_owned()),
            map: [(secret.to_owned(), secret.to_owned())].into(),
            histogram: "HISTFAAAAheldAAA==".to_owned(),
        };
        // A secret that is also the word of a closed set.
        let hidden = Hidden::new(["held".to_owned()]);
        let value = to_value(&record("held"), &hidden).unwrap();
        let back: Record = serde_json::from_value(value).unwrap();
        assert_eq!(back, record("***"));
    }
}
