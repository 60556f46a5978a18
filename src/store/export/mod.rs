//! Positions as text that people read, edit and import into another store.

pub(crate) mod error;
mod form;
#[cfg(test)]
mod tests;

use self::form::Document;
use crate::error::store::StoreError;
use crate::store::Store;
use crate::store::export::error::ImportError;

/// What an import does if a shard has a position already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Import {
    /// The position that is ahead stays: no handled record comes again.
    Forward,
    /// The imported position replaces it, even if it is behind: the records after it come again.
    Overwrite,
}

/// The positions that a store holds for a stream, as JSON, one line for each shard.
///
/// ```json
/// {
///   "version": 1,
///   "stream": "orders",
///   "shards": {
///     "shardId-000000000000": {"end": "49590338271490256608559692538361571095921575989136588898"},
///     "shardId-000000000001": {"after": "49590338271512557353758223161503106814194224350626"},
///     "shardId-000000000002": {"after": "49590338271534858098956753784644642532466872712192", "sub": 3},
///     "shardId-000000000003": {"from": "2024-05-01T08:30:00.25Z"}
///   }
/// }
/// ```
///
/// `version` is 1. Each shard has one [`Position`](crate::Position):
///
/// - `"from"`: nothing is done; reading starts with what arrived at this time, in UTC, to the nanosecond.
///   A year before 0 or after 9999 has a sign and more digits.
/// - `"after"`: everything up to the record of this sequence number, and the record itself, is done. With `"sub"`, a
///   number, an aggregated record is done only up to that user record.
/// - `"end"`: the shard is done to its end, and this was the last number.
///
/// A sequence number is text, because it has more digits than a JSON number can hold. Nothing is lost:
/// [`import_positions`] reads exactly what was written.
///
/// ```
/// use kinesis_consumer::{Import, LocalStore, Position, Store};
/// use kinesis_consumer::{export_positions, import_positions};
///
/// let store = LocalStore::new();
/// let done = Position::after("42".parse()?);
/// store.update_shard_iterator("orders", "shardId-000000000000", &done)?;
///
/// let json = export_positions(&store, "orders")?;
/// assert!(json.contains(r#""shardId-000000000000": {"after": "42"}"#));
///
/// // Another store, and back to an earlier record.
/// let other = LocalStore::new();
/// import_positions(&other, &json.replace("42", "17"), Import::Overwrite)?;
/// # assert_eq!(
/// #     other.get_shard_iterator("orders", "shardId-000000000000")?,
/// #     Some(Position::after("17".parse()?))
/// # );
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
///
/// # Errors
/// If the store cannot be read.
pub fn export_positions(store: &dyn Store, stream: &str) -> Result<String, StoreError> {
    let mut positions = store.shard_iterators(stream)?;
    positions.sort();
    Ok(form::write(stream, &positions))
}

/// Stores positions that [`export_positions`] wrote, and that you may have edited, for the stream in the
/// text. Returns their number.
///
/// Nothing is stored unless the whole text is right. Shards that it does not name stay as they are.
/// Stop the consumers of the stream first: a running consumer keeps its own positions and would store them again.
///
/// # Errors
/// [`ImportError`], which says where the text is wrong, or that the store failed.
pub fn import_positions(
    store: &dyn Store,
    json: &str,
    import: Import,
) -> Result<usize, ImportError> {
    let Document { stream, positions } = form::read(json)?;
    store.import_shard_iterators(&stream, &positions, import)?;
    Ok(positions.len())
}
