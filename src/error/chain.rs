//! An error and its sources as one text.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Shows an error of any crate with all of its sources, whatever it shows by itself.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        whole(f, self.0.to_string(), self.0.source())
    }
}

/// Writes the own text of an error, and in the longer form, `{:#}`, the texts of its sources too.
pub(crate) fn write(
    f: &mut Formatter<'_>,
    own: impl Display,
    source: Option<&(dyn Error + 'static)>,
) -> fmt::Result {
    if f.alternate() { whole(f, format!("{own:#}"), source) } else { write!(f, "{own}") }
}

fn whole(
    f: &mut Formatter<'_>,
    own: String,
    mut source: Option<&(dyn Error + 'static)>,
) -> fmt::Result {
    f.write_str(&own)?;
    let mut last = own;
    while let Some(error) = source {
        let text = error.to_string();
        if !is_said(&last, &text) {
            write!(f, ": {text}")?;
        }
        last = text;
        source = error.source();
    }
    Ok(())
}

/// Whether a text ends with that of its source: many crates repeat it.
fn is_said(text: &str, source: &str) -> bool {
    let before = text.strip_suffix(source);
    before.is_some_and(|before| before.is_empty() || before.ends_with(": ") || source.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::client::{ClientError, ErrorClass};
    use crate::error::store::StoreError;
    use crate::error::{BoxError, Error as OfConsumer};
    use crate::model::position::Position;
    use crate::model::sequence::SequenceNumber;
    use crate::model::stream_id::StreamId;
    use crate::store::export::error::ImportError;

    /// As many crates write it: with the text of its source, which it has too.
    #[derive(Debug, thiserror::Error)]
    #[error("billing: {0}")]
    struct Repeating(#[source] BoxError);

    /// An error of another crate.
    #[derive(Debug, thiserror::Error)]
    #[error("billing")]
    struct Billing(#[source] BoxError);

    fn lost() -> ClientError {
        let unreachable = Billing(io::Error::other("no route").into());
        ClientError::new(ErrorClass::Transient, "GetRecords", "lost").with_source(unreachable)
    }

    fn full() -> StoreError {
        StoreError::retry("the disk is full").with_source("SQLITE_FULL")
    }

    fn of_handler(source: impl Into<BoxError>) -> OfConsumer {
        let (stream, shard) = ("orders".to_owned(), "shardId-7".to_owned());
        OfConsumer::Handler { stream, shard, source: source.into() }
    }

    fn of_dead_letter() -> OfConsumer {
        let (stream, shard) = ("orders".to_owned(), "shardId-7".to_owned());
        let handler = Billing("no price".into()).into();
        OfConsumer::DeadLetter { stream, shard, handler, source: full().into() }
    }

    fn invalid_key() -> BoxError {
        "4".parse::<Position>().unwrap_err().into()
    }

    /// Errors of every public type, and of others, with what the longer form shows after the shorter one.
    fn all() -> Vec<(BoxError, &'static str)> {
        let stream = || "orders".to_owned();
        let client =
            OfConsumer::Client { stream: stream(), shard: None, lasted: None, source: lost() };
        let (key, field) = (invalid_key(), "after");
        let position = ImportError::Position { shard: "shardId-7".into(), field, source: key };
        vec![
            (client.into(), ": GetRecords failed: lost: billing: no route"),
            (
                OfConsumer::of_store("orders", None, full()).into(),
                ": the disk is full: SQLITE_FULL",
            ),
            (OfConsumer::NoShards { stream: stream() }.into(), ""),
            (lost().into(), ": billing: no route"),
            (full().into(), ": SQLITE_FULL"),
            (StoreError::fatal("read-only").into(), ""),
            (ImportError::from(full()).into(), ": the disk is full: SQLITE_FULL"),
            (position.into(), ": \"4\" is not a position key"),
            (ImportError::Version { found: 2 }.into(), ""),
            (invalid_key(), ""),
            (SequenceNumber::new("x").unwrap_err().into(), ""),
            (StreamId::new("a b").unwrap_err().into(), ""),
            // Ours round a foreign one, round ours again.
            (
                of_handler(Billing(lost().into())).into(),
                ": billing: GetRecords failed: lost: billing: no route",
            ),
            (of_handler(full()).into(), ": the disk is full: SQLITE_FULL"),
            (
                of_handler(Billing(of_handler(io::Error::other("no room")).into())).into(),
                ": billing: the handler failed on a batch of stream \"orders\", shard \"shardId-7\"; the batch comes \
                 again at the next start: no room",
            ),
            // A text that is there already.
            (of_handler(Repeating("no price".into())).into(), ": billing: no price"),
            (
                of_handler(Repeating(lost().into())).into(),
                ": billing: GetRecords failed: lost: billing: no route",
            ),
            (of_handler(Repeating(Repeating("".into()).into())).into(), ": billing: billing: "),
            (StoreError::retry("busy").with_source("busy").into(), ""),
            // What only ends alike is another text.
            (StoreError::retry("no room").with_source("room").into(), ": room"),
        ]
    }

    #[test]
    fn the_longer_form_tells_each_deeper_source_once_and_the_shorter_none() {
        for (error, more) in all() {
            let short = error.to_string();
            assert_eq!(format!("{error:#}"), format!("{short}{more}"));
            assert_eq!(Chain(&*error).to_string(), format!("{short}{more}"));
        }
    }

    #[test]
    fn an_error_within_a_text_tells_its_sources_in_the_longer_form() {
        let error = of_dead_letter();
        let (short, long) = (error.to_string(), format!("{error:#}"));
        assert!(short.contains("(billing), and") && short.ends_with("next start"), "{short}");
        assert!(long.contains("(billing: no price), and"), "{long}");
        assert!(long.ends_with("next start: the disk is full: SQLITE_FULL"), "{long}");
    }

    #[test]
    fn an_error_of_another_crate_is_told_whole_too() {
        let error = Billing(Repeating("no price".into()).into());
        assert_eq!(Chain(&error).to_string(), "billing: billing: no price");
    }
}
