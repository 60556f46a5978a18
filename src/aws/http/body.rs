//! Bodies of answers, read into a buffer that is reused.

use std::io::{self, Read};

use ureq::Body;

use crate::budget::buffer::Buffer;
use crate::budget::pool::WORTH_KEEPING;
use crate::control::call::Call;

/// Three times Amazon's largest answer (10 MiB of records, a third more as base64), whatever `Content-Length` claims.
pub(crate) const MAX_BODY: u64 = 32 << 20;

/// The smallest read if the length of the body is unknown.
const STEP: usize = 64 << 10;

/// The bytes reserved for a body of unknown length and the data decoded from it.
const UNKNOWN: usize = 16 << 20;

/// Why a body was not read to its end.
pub(crate) enum Unread {
    /// The connection, or the body, broke.
    Broken(ureq::Error),
    /// There is no room for it.
    OverBudget,
}

/// Reads a body to its end, or to `limit`, and returns the bytes and the reason of the end.
pub(crate) fn read<T>(
    body: Body,
    limit: u64,
    call: &Call,
    then: impl FnOnce(&[u8], Result<(), Unread>) -> T,
) -> T {
    // One byte more, so that the end is seen without growing.
    let announced = body.content_length().map(|length| length.min(limit) as usize + 1);
    // The system's allocator would keep small buffers for each thread.
    let length = announced.map(|length| length.max(WORTH_KEEPING));
    let memory = call.budget().and_then(|budget| budget.take_text(length.unwrap_or(STEP)));
    let mut buffer = memory.map(Buffer::reuse).unwrap_or_default();
    let result = read_into(&mut buffer, body, length, limit, call);
    let records = if result.is_ok() { buffer.filled().len() } else { 0 };
    call.fill(buffer.capacity() + records);
    let answer = then(buffer.filled(), result);
    call.fill(records);
    keep(buffer, call);
    answer
}

fn keep(buffer: Buffer, call: &Call) {
    if let Some(budget) = call.budget() {
        budget.keep_text(buffer.into_memory());
    }
}

/// Reads a body into a buffer of this length, if the length of the body is known.
// long: the loop works on the buffer that is being filled.
fn read_into(
    buffer: &mut Buffer,
    body: Body,
    length: Option<usize>,
    limit: u64,
    call: &Call,
) -> Result<(), Unread> {
    if body.content_length().is_some_and(|length| length > limit) {
        return Err(Unread::Broken(ureq::Error::BodyExceedsLimit(limit)));
    }
    let least = if length.is_some() { 0 } else { UNKNOWN.min(2 * limit as usize) };
    grow(buffer, length.unwrap_or(1), least, call)?;
    let mut reader = body.into_with_config().limit(limit).reader();
    loop {
        if buffer.unfilled().is_empty() {
            let filled = buffer.filled().len();
            grow(buffer, next_length(filled, call), least, call)?;
        }
        match reader.read(buffer.unfilled()) {
            Ok(0) => return Ok(()),
            Ok(read) => buffer.advance(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread::Broken(error.into())),
        }
    }
}

/// The next length of the buffer when this much of it is filled: half as much again, but no longer than the budget
/// could ever hold with the records, unless the answer is longer.
fn next_length(filled: usize, call: &Call) -> usize {
    let length = filled + (filled / 2).max(STEP);
    let most = call.budget().map(|budget| budget.limit() / 2);
    most.filter(|most| *most > filled).map_or(length, |most| length.min(most))
}

/// Makes the buffer this long, if there is room for it and for the records: JSON is longer than decoded records, since
/// names and quotes take more than the index, and base64 a third more than data.
fn grow(buffer: &mut Buffer, length: usize, least: usize, call: &Call) -> Result<(), Unread> {
    let has_room = |capacity: usize| {
        let text = capacity.max(length);
        call.try_reserve_of((text + length).max(least), text)
    };
    if !has_room(buffer.capacity()) {
        // A kept buffer may be larger than necessary.
        if !buffer.filled().is_empty() || !has_room(0) {
            return Err(Unread::OverBudget);
        }
        keep(std::mem::take(buffer), call);
    }
    buffer.grow(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;
    use crate::budget::room::Room;

    fn body(bytes: &[u8]) -> Body {
        Body::builder().data(bytes.to_vec())
    }

    #[test]
    fn a_body_is_read_whole_up_to_the_limit_and_no_further() {
        for length in [0, 1, 100, 101, 5_000] {
            let bytes = vec![7; length];
            let (read, fits) =
                read(body(&bytes), 100, &Call::unbounded(), |read, end| (read.len(), end.is_ok()));
            assert_eq!(fits, length <= 100, "{length}");
            assert!(read == length || !fits && read <= 100, "{read} of {length}");
        }
    }

    #[test]
    fn the_largest_record_fits_into_the_least_budget_also_where_nothing_says_how_long_it_is() {
        for data in [8, 9, 10] {
            let text = (data << 20) * 4 / 3 + 1_000;
            let room = Arc::new(Room::new(Budget::new(Budget::MIN)));
            assert!(room.try_enter());
            let call = Call::unbounded().with_room(room);
            let body = Body::builder().reader(io::repeat(7).take(text));
            let (filled, fits) =
                read(body, MAX_BODY, &call, |read, end| (read.len() as u64, end.is_ok()));
            assert_eq!((filled, fits), (text, true), "{data} MiB");
        }
    }

    #[test]
    fn an_answer_needs_no_room_for_more_than_its_text_though_a_larger_buffer_was_kept() {
        const MIB: usize = 1 << 20;
        let budget = Budget::new(Budget::MIN);
        let room = Arc::new(Room::new(budget.clone()));
        let call = Call::unbounded().with_room(Arc::clone(&room));
        budget.keep_text(vec![0; MIB + MIB / 5]);
        let _held = budget.try_reserve(Budget::MIN - 2 * MIB - 2).unwrap();
        for wanted in [MIB, MIB + 1] {
            assert!(room.try_enter());
            let body = body(&vec![7; wanted]);
            let is_read = read(body, MAX_BODY, &call, |_, end| end.is_ok());
            assert_eq!(is_read, wanted == MIB);
            drop(room.leave());
            assert!(budget.take_text(MIB + MIB / 10).is_some(), "it is kept on");
            budget.keep_text(vec![0; MIB + MIB / 5]);
        }
    }
}
