//! The README: as short as it should be, with every feature and every chapter.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::manual::prose;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The most words that it may have outside of code and tables.
const WORDS: usize = 1_000;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// Outside of code, tables, comments and the targets of links.
fn words(page: &str) -> usize {
    let prose = prose(page);
    let lines = prose.lines().filter(|line| !line.starts_with('|') && !line.starts_with("<!--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut pieces = text.split("](");
    let first = pieces.next().unwrap().to_owned();
    let rest = pieces.map(|piece| piece.split_once(')').map_or("", |(_, after)| after));
    let text = rest.fold(first, |text, piece| text + piece);
    text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

/// The first cells of the table whose first heading is this.
fn first_cells(page: &str, heading: &str) -> BTreeSet<String> {
    let start = format!("| {heading} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&start)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned()).collect()
}

/// As Cargo.toml names them, without the default.
fn features() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let section = manifest.split("\n[features]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let names = section.lines().filter(|line| line.starts_with(|it: char| it.is_ascii_lowercase()));
    let names = names.map(|line| line.split(' ').next().unwrap().to_owned());
    names.filter(|name| name != "default").collect()
}

#[test]
fn it_is_short() {
    let words = words(&read("README.md"));
    println!("{words} words");
    assert!((300..=WORDS).contains(&words), "{words} words outside of code and tables");
}

#[test]
fn words_are_those_of_the_text() {
    let page = "# A title\n\ntwo [words here](src/a.md#b)\n\n```sh\nnot these\n```\n| nor | these |\n- but this\n";
    assert_eq!(words(page), 7);
}

#[test]
fn it_and_the_crates_page_name_every_feature() {
    let lib = read("src/lib.rs");
    let page: Vec<_> = lib.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    assert_eq!(first_cells(&read("README.md"), "feature"), features());
    assert_eq!(first_cells(&page.join("\n"), "feature"), features());
}

#[test]
fn every_cell_of_the_comparison_about_this_library_names_a_page() {
    let readme = read("README.md");
    let rows = readme.lines().skip_while(|line| !line.starts_with("| | this library |")).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let ours = row.split('|').nth(2).unwrap();
        let names_a_page = ["](src/manual/", "](CHANGELOG.md)"].iter().any(|it| ours.contains(it));
        assert!(names_a_page, "{ours}");
    }
}

#[test]
fn it_leads_to_every_chapter() {
    let readme = read("README.md");
    for chapter in fs::read_dir(Path::new(ROOT).join("src/manual")).unwrap() {
        let name = chapter.unwrap().file_name().into_string().unwrap();
        let is_linked = readme.contains(&format!("](src/manual/{name})"));
        assert!(is_linked || !name.ends_with(".md"), "{name} is not linked");
    }
}
