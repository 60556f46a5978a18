//! The package for crates.io: what is in it, how large it is, and that its pages name nothing which it lacks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::manual::{anchors, prose};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The most that it may have, compressed.
const BYTES: u64 = 600_000;

/// What it prints.
fn cargo_package(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).args(["package", "--offline", "--locked", "--allow-dirty"]);
    let output = cargo.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn files() -> BTreeSet<String> {
    cargo_package(&["--list"]).lines().map(|line| line.replace('\\', "/")).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// A path below the root, seen from a file there.
fn resolve(file: &str, target: &str) -> String {
    let mut path = PathBuf::from(file);
    path.pop();
    for step in target.split('/') {
        match step {
            ".." => assert!(path.pop(), "{file} leads out of the package: {target}"),
            "." => {}
            step => path.push(step),
        }
    }
    path.to_str().unwrap().replace('\\', "/")
}

/// What a page links to or shows, unless that has an address or is an item of Rust.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    let targets = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let relative = targets.filter(|target| !target.contains("://") && !target.contains("::"));
    relative.filter(|target| !target.starts_with("crate#")).map(str::to_owned).collect()
}

#[test]
fn it_is_small_and_has_no_tests() {
    let files = files();
    let unwanted = |file: &&String| {
        let parts: Vec<_> = file.split('/').collect();
        let is_test = |part: &&str| part.trim_end_matches(".rs").ends_with("tests");
        ["benches", "tests", ".ci"].contains(&parts[0])
            || ["simulation", "schedules", "controlled"].iter().any(|it| parts.contains(it))
            || parts.iter().any(is_test)
    };
    assert_eq!(files.iter().filter(unwanted).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(files.len() > 200, "{files:?}");

    // Not in the usual directory, where another Cargo may be at work.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    cargo_package(&["--no-verify", "--target-dir", directory.to_str().unwrap()]);
    let name = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), ".crate");
    let bytes = fs::metadata(directory.join("package").join(name)).unwrap().len();
    println!("{bytes} bytes");
    assert!(bytes <= BYTES, "{bytes} bytes");
}

#[test]
fn its_pages_name_only_what_is_in_it() {
    let files = files();
    let mut seen = 0;
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        for target in targets(&read(file)) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path = if path.is_empty() { file.clone() } else { resolve(file, path) };
            assert!(files.contains(&path), "{file}: {target} is not in the package");
            let there = || anchors(&read(&path)).contains(heading);
            assert!(heading.is_empty() || there(), "{file}: {target} is no heading");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} links were found");
}

#[test]
fn the_whole_manual_is_in_it() {
    let files = files();
    let manual = |folder: &str, ending: &str| {
        let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
        names.into_iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    let (chapters, pictures) = (manual("src/manual", ".md"), manual("src/manual/pictures", ".svg"));
    assert!(chapters.len() > 20 && pictures.len() == 4, "{chapters:?}, {pictures:?}");
    for file in chapters.iter().chain(&pictures) {
        assert!(files.contains(file), "{file} is not in the package");
    }
}

#[test]
fn its_sources_include_only_what_is_in_it() {
    let files = files();
    let mut seen = 0;
    for file in files.iter().filter(|file| file.starts_with("src/") && file.ends_with(".rs")) {
        let text = read(file);
        for target in text.split("include_str!(\"").skip(1) {
            let path = resolve(file, target.split('"').next().unwrap());
            assert!(files.contains(&path), "{file}: {path} is not in the package");
            seen += 1;
        }
    }
    assert!(seen > 0, "nothing is included");
}
