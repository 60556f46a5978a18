//! The manual's pictures: they may stand in a page of rustdoc, several on one, and alone as images.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const NAMES: [&str; 4] = ["threads", "reshard", "commit", "lag"];
/// All together, in bytes.
const MOST: usize = 60_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names and texts.
fn pictures() -> Vec<(&'static str, String)> {
    let folder = root().join("src/manual/pictures");
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        NAMES.len(),
        "a picture without a name here"
    );
    NAMES.map(|it| (it, fs::read_to_string(folder.join(format!("{it}.svg"))).unwrap())).into()
}

/// What follows each of these, up to an end.
fn after<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).map(move |rest| rest.split(end).next().unwrap())
}

/// Of each rule of the style, without the query round it.
fn selectors(picture: &str) -> Vec<String> {
    let style = after(picture, "<style>", '<').collect::<String>();
    let dark = "@media (prefers-color-scheme: dark) {";
    let rules = style.replace(dark, "");
    let heads = rules.split('}').filter_map(|rule| rule.split_once('{')).map(|(head, _)| head);
    heads.flat_map(|head| head.split(',')).map(|it| it.trim().to_owned()).collect()
}

#[test]
fn they_are_small() {
    let bytes: usize = pictures().iter().map(|(_, picture)| picture.len()).sum();
    assert!(bytes <= MOST, "{bytes} bytes");
}

#[test]
fn markdown_takes_each_as_one_block() {
    for (name, picture) in pictures() {
        // Only a whole tag on a line of its own begins such a block, and a blank line ends it.
        let first = picture.lines().next().unwrap();
        assert!(first.starts_with("<svg ") && first.find('>') == Some(first.len() - 1), "{name}");
        assert!(picture.lines().all(|line| !line.trim().is_empty()), "{name}: a blank line");
        assert!(picture.ends_with("</svg>\n"), "{name}: something after it");
    }
}

#[test]
fn nothing_runs_or_is_fetched() {
    for (name, picture) in pictures() {
        for refused in ["<script", "<foreignObject", "@import", "src=", " on"] {
            let is_there = after(&picture, "<", '>').any(|tag| format!("<{tag}").contains(refused));
            assert!(!is_there, "{name}: {refused}");
        }
        let links = after(&picture, "href=\"", '"').chain(after(&picture, "url(", ')'));
        let outside: Vec<_> = links.filter(|it| !it.starts_with(&format!("#kc-{name}-"))).collect();
        assert!(outside.is_empty(), "{name}: {outside:?}");
    }
}

#[test]
fn each_has_a_title_and_a_description() {
    for (name, picture) in pictures() {
        let labels = format!("aria-labelledby=\"kc-{name}-title kc-{name}-desc\"");
        assert!(picture.contains(&labels) && picture.contains("role=\"img\""), "{name}");
        for part in ["title", "desc"] {
            let start = format!("<{part} id=\"kc-{name}-{part}\">");
            let text = after(&picture, &start, '<').next().unwrap_or_default();
            assert!(text.len() > 10, "{name}: {part}: {text:?}");
        }
    }
}

#[test]
fn none_touches_the_rest_of_its_page() {
    let mut ids = BTreeSet::new();
    for (name, picture) in pictures() {
        for id in after(&picture, " id=\"", '"') {
            assert!(id.starts_with(&format!("kc-{name}-")), "{name}: the id {id}");
            assert!(ids.insert(id.to_owned()), "{name}: the id {id} is there twice");
        }
        assert!(picture.contains(&format!(" class=\"kc-{name}\" ")), "{name}: its class");
        let selectors = selectors(&picture);
        assert!(selectors.len() > 5, "{name}: {selectors:?}");
        for selector in selectors {
            // The first matches only where the picture is the whole document.
            let is_own = selector == "svg:root" || selector.starts_with(&format!(".kc-{name} "));
            assert!(is_own, "{name}: the style of {selector:?}");
        }
    }
}

#[test]
fn the_table_has_the_columns_that_tail_prints() {
    let source = fs::read_to_string(root().join("examples/tail/table.rs")).unwrap();
    let heads = after(&source, "const HEAD: [&str; COLUMNS] =", ';').next().unwrap();
    let heads: Vec<_> = heads.split('"').skip(1).step_by(2).collect();
    assert_eq!(heads.len(), 7, "{heads:?}");
    let (_, picture) = pictures().pop().unwrap();
    for head in heads {
        assert!(picture.contains(&format!(">{head}</tspan>")), "{head}");
    }
}
