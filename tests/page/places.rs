//! `tests/README.md` has a place for every subject, and names none that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Whether a file of Rust, or one below a folder, holds a test.
fn holds_a_test(path: &Path) -> bool {
    if path.is_dir() {
        return entries(path).iter().any(|path| holds_a_test(path));
    }
    let is_rust = path.extension().is_some_and(|it| it == "rs");
    is_rust && fs::read_to_string(path).unwrap().lines().any(|line| line.trim() == "#[test]")
}

/// The files and folders that hold tests, as the page names them: `stops.rs`, `consumer/doors.rs`, `process/tail/`.
fn subjects() -> BTreeSet<String> {
    let (binaries, files): (Vec<_>, Vec<_>) =
        entries(&tests()).into_iter().partition(|path| path.join("main.rs").exists());
    let modules = binaries.iter().flat_map(|binary| entries(binary));
    let paths = modules.filter(|path| !path.ends_with("main.rs")).chain(files);
    let paths = paths.filter(|path| holds_a_test(path));
    let name = |path: PathBuf| {
        let name = path.strip_prefix(tests()).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() { name + "/" } else { name }
    };
    paths.map(name).collect()
}

/// Rows of the first table of the page: cells, without what is around them.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(tests().join("README.md")).unwrap();
    let lines = page.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What a cell has between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_subject_has_a_place() {
    let (rows, subjects) = (rows(), subjects());
    let places = rows.iter().flat_map(|row| quoted(&row[2])).map(str::to_owned);
    let places: BTreeSet<_> = places.filter(|it| !it.starts_with("src/")).collect();
    let missing: Vec<_> = subjects.difference(&places).collect();
    let gone: Vec<_> = places.difference(&subjects).collect();
    assert!(missing.is_empty(), "tests/README.md has no row for {missing:?}");
    assert!(gone.is_empty(), "tests/README.md has a row for {gone:?}, where there is no test");
}

#[test]
fn every_command_names_tests_that_are_there() {
    let subjects = subjects();
    let rows = rows();
    let commands: Vec<_> = rows.iter().flat_map(|row| quoted(&row[3])).collect();
    for command in commands.iter().filter(|it| it.starts_with("--test ")) {
        let words: Vec<_> = command.split(' ').collect();
        let binary = words[1];
        let names = match words.get(3) {
            Some(filter) => {
                let subject = filter.split("::").next().unwrap();
                [format!("{binary}/{subject}.rs"), format!("{binary}/{subject}/")]
            }
            None => [format!("{binary}.rs"), format!("{binary}/")],
        };
        let is_there = names.iter().any(|name| subjects.contains(name));
        assert!(is_there, "tests/README.md names tests that are not there: {command}");
    }
    assert!(commands.len() > 20, "{commands:?}");
}

/// What `ARCHITECTURE.md` says of what is checked by what, after a heading.
fn checked() -> String {
    let page = tests().parent().unwrap().join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).unwrap();
    page.split_once("## What is checked by what").unwrap().1.to_owned()
}

#[test]
fn what_checks_a_promise_is_there() {
    let (checked, root) = (checked(), tests().parent().unwrap().to_owned());
    let is_path =
        |it: &&str| ["src/", "tests/", "benches/", ".ci/"].iter().any(|at| it.starts_with(at));
    let paths: Vec<_> = quoted(&checked).filter(is_path).collect();
    let gone: Vec<_> = paths.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}, which are not there");
    assert!(paths.len() > 40, "{paths:?}");
    let scenarios = entries(&root.join("src/schedules")).into_iter().filter(|it| holds_a_test(it));
    for scenario in scenarios.filter(|it| !it.ends_with("scheduler.rs")) {
        let path = scenario.strip_prefix(&root).unwrap().to_str().unwrap();
        assert!(paths.contains(&path), "ARCHITECTURE.md does not say what {path} checks");
    }
}

/// All files of a folder, and of those below it, one after the other.
fn sources(folder: &Path) -> String {
    let text = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(path).unwrap(),
    };
    entries(folder).into_iter().map(text).collect()
}

#[test]
fn what_the_simulation_is_said_to_draw_it_draws() {
    let (checked, simulation) = (checked(), tests().parent().unwrap().join("src/simulation"));
    let sources = sources(&simulation);
    let said: Vec<_> = checked.split('"').skip(1).step_by(2).collect();
    let unknown: Vec<_> =
        said.iter().filter(|it| !sources.contains(&format!("fault(\"{it}\")"))).collect();
    assert!(unknown.is_empty(), "the simulation has no fault {unknown:?}");
    assert!(said.len() > 3, "{said:?}");
}
