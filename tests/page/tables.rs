//! The tables of the manual whose rows are the variants of an enum: each variant has one, and nothing else has.

use std::fs;
use std::path::Path;

use syn::Item;

use crate::modules::Modules;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// The names of the variants, as the sources have them.
fn variants(module: &[&str], name: &str) -> Vec<String> {
    let root = Path::new(SOURCE);
    let modules = Modules::read(&|file| fs::read_to_string(root.join(file)).ok());
    let module: Vec<_> = module.iter().map(|it| (*it).to_owned()).collect();
    match modules.find(&module, name) {
        Some((_, Item::Enum(found))) => {
            found.variants.iter().map(|variant| variant.ident.to_string()).collect()
        }
        _ => panic!("{module:?} has no enum {name}"),
    }
}

#[track_caller]
fn has_a_row_for_each(name: &str, variants: &[String]) {
    let chapter = fs::read_to_string(Path::new(SOURCE).join("manual/errors.md")).unwrap();
    let of_this = format!("](crate::{name}::");
    let first_cell = |line: &str| line.split(" | ").next().unwrap_or_default().contains(&of_this);
    let rows = chapter.lines().filter(|line| line.starts_with("| [`") && first_cell(line));
    let rows: Vec<_> = rows.collect();
    for variant in variants {
        let row = format!("| [`{variant}`](crate::{name}::{variant}) | ");
        let count = rows.iter().filter(|it| it.starts_with(&row)).count();
        assert_eq!(count, 1, "rows of {variant}");
    }
    assert_eq!(rows.len(), variants.len(), "there are rows of what is no variant");
}

#[test]
fn the_table_has_a_row_for_every_error() {
    has_a_row_for_each("Error", &variants(&["error"], "Error"));
}

#[test]
fn the_table_has_a_row_for_every_class() {
    let classes = variants(&["error", "client"], "ErrorClass");
    has_a_row_for_each("ErrorClass", &classes);
}
