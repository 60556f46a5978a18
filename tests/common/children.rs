//! Tests that run in a process of their own: this program again, with one test alone.

/// How a test of a module is called in its binary, for `--exact`; the module says `module_path!()`.
pub(crate) fn test_of(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, module)) => format!("{module}::{test}"),
        None => test.to_owned(),
    }
}
