//! The pages that people read, against the sources: the manual, and the list of all that is public.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod api;
mod manual;
