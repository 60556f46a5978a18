//! Who holds what: what a worker has seen in the table, and what it takes or asks for, so that all have the same number.

mod donors;
pub(crate) mod pace;
pub(crate) mod plan;
pub(crate) mod survey;
mod targets;
#[cfg(test)]
mod tests;
// A table whose pages have segments is needed for it.
#[cfg(test)]
pub(crate) mod watch;
