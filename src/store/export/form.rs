//! The JSON of exported positions, version 1.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::BoxError;
use crate::model::position::Position;
use crate::model::time;
use crate::store::export::error::ImportError;

const VERSION: u64 = 1;

/// The content of the text.
pub(super) struct Document {
    pub(super) stream: String,
    pub(super) positions: Vec<(String, Position)>,
}

/// One line for each shard, so that tools that compare lines show the changes.
pub(super) fn write(stream: &str, positions: &[(String, Position)]) -> String {
    let mut json = format!("{{\n  \"version\": {VERSION},\n  \"stream\": {},\n", quoted(stream));
    json.push_str("  \"shards\": {");
    for (number, (shard, position)) in positions.iter().enumerate() {
        let separator = if number == 0 { "" } else { "," };
        write_position(&mut json, separator, &quoted(shard), position)
            .expect("writing to a String does not fail");
    }
    json.push_str(if positions.is_empty() { "}\n}\n" } else { "\n  }\n}\n" });
    json
}

fn write_position(
    json: &mut String,
    separator: &str,
    shard: &str,
    position: &Position,
) -> fmt::Result {
    write!(json, "{separator}\n    {shard}: ")?;
    match position {
        Position::Since(at) => write!(json, "{{\"from\": \"{}\"}}", time::text(*at)),
        Position::After { sequence, sub: u64::MAX } => {
            write!(json, "{{\"after\": \"{sequence}\"}}")
        }
        Position::After { sequence, sub } => {
            write!(json, "{{\"after\": \"{sequence}\", \"sub\": {sub}}}")
        }
        Position::End { sequence } => write!(json, "{{\"end\": \"{sequence}\"}}"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn read(json: &str) -> Result<Document, ImportError> {
    // First, because the rest may look different in another version.
    let OfVersion { version } = serde_json::from_str(json).map_err(malformed)?;
    if version != VERSION {
        return Err(ImportError::Version { found: version });
    }
    let Form { _version, stream, shards: Shards(shards) } =
        serde_json::from_str(json).map_err(malformed)?;
    let positions = shards.into_iter().map(|(shard, entry)| match entry.position() {
        Ok(position) => Ok((shard, position)),
        Err((field, source)) => Err(ImportError::Position { shard, field, source }),
    });
    Ok(Document { stream, positions: positions.collect::<Result<_, _>>()? })
}

fn malformed(error: serde_json::Error) -> ImportError {
    let (line, column) = (error.line(), error.column());
    ImportError::Format { line, column, source: error.into() }
}

#[derive(Deserialize)]
struct OfVersion {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    /// It was read before.
    #[serde(rename = "version")]
    _version: IgnoredAny,
    stream: String,
    shards: Shards,
}

/// In the order of the text. A map would take the last of two entries of one shard.
struct Shards(Vec<(String, Entry)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    from: Option<String>,
    after: Option<String>,
    sub: Option<u64>,
    end: Option<String>,
}

/// The wrong member, and the reason.
type Wrong = (&'static str, BoxError);

impl Entry {
    fn position(self) -> Result<Position, Wrong> {
        let Self { from, after, sub, end } = self;
        match (from, after, end) {
            (None, Some(sequence), None) => {
                let sequence = sequence.parse().map_err(|error| wrong("after", error))?;
                Ok(Position::After { sequence, sub: sub.unwrap_or(u64::MAX) })
            }
            _ if sub.is_some() => Err(wrong("sub", "it belongs to \"after\"")),
            (Some(at), None, None) => {
                time::parse(&at).map(Position::Since).map_err(|error| wrong("from", error))
            }
            (None, None, Some(sequence)) => {
                let sequence = sequence.parse().map_err(|error| wrong("end", error))?;
                Ok(Position::End { sequence })
            }
            (from, _, _) => {
                let field = if from.is_some() { "from" } else { "after" };
                Err(wrong(field, "a shard has one of \"from\", \"after\" and \"end\""))
            }
        }
    }
}

fn wrong(field: &'static str, source: impl Into<BoxError>) -> Wrong {
    (field, source.into())
}

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnceEach)
    }
}

struct OnceEach;

impl<'de> Visitor<'de> for OnceEach {
    type Value = Shards;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for each shard")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shards, A::Error> {
        let (mut shards, mut seen) = (Vec::new(), HashSet::new());
        while let Some(shard) = map.next_key::<String>()? {
            if !seen.insert(shard.clone()) {
                return Err(A::Error::custom(format_args!("shard {shard:?} is there twice")));
            }
            shards.push((shard, map.next_value()?));
        }
        Ok(Shards(shards))
    }
}
