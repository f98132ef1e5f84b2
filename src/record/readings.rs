//! Readings in a record: `{"gateway": {"memory": 5.1e8, "cpu": null}}`, a third of the size of a
//! list of objects, in the order in which they were read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};

use crate::measure::Reading;

/// Fields of one monitor, for the inner map.
struct Fields<'a>(&'a [Reading]);

impl serde::Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for reading in self.0 {
            map.serialize_entry(&reading.field, &reading.value)?;
        }
        map.end()
    }
}

/// Writes readings grouped by monitor. Those of one monitor stand together, as the monitors give
/// them.
pub(super) fn serialize<S: Serializer>(
    readings: &[Reading],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for group in readings.chunk_by(|a, b| a.monitor == b.monitor) {
        map.serialize_entry(&group[0].monitor, &Fields(group))?;
    }
    map.end()
}

/// Reads what [`serialize`] wrote.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Reading>, D::Error> {
    let mut readings = Vec::new();
    deserializer.deserialize_map(Monitors(&mut readings))?;
    Ok(readings)
}

struct Monitors<'a>(&'a mut Vec<Reading>);

impl<'de> Visitor<'de> for Monitors<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("readings by monitor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(monitor) = map.next_key::<String>()? {
            map.next_value_seed(OneMonitor(self.0, monitor))?;
        }
        Ok(())
    }
}

struct OneMonitor<'a>(&'a mut Vec<Reading>, String);

impl<'de> DeserializeSeed<'de> for OneMonitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneMonitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of one monitor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(readings, monitor) = self;
        while let Some((field, value)) = map.next_entry::<String, Option<f64>>()? {
            readings.push(Reading {
                monitor: monitor.clone(),
                field,
                value,
            });
        }
        Ok(())
    }
}
