//! The manual's table of trees: what each set of features brings.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What is there with rusoto alone.
const HEAVY: [&str; 5] = ["rusoto_core", "hyper", "h2", "tokio", "openssl-sys"];

/// The crates of a program that depends on this one with these features, each with its version.
fn tree(features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    // Not offline: a new machine has only what the features of the tests need.
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked"]);
    cargo.args(["-e", "normal", "--prefix", "none", "--no-dedupe"]).args(features);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The rows of the table: features, number of crates, and what is among them.
fn rows() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/on_aws.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| features | crates |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect())
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn each_set_of_features_brings_as_many_crates_as_the_manual_says_and_rusoto_can_be_left_out() {
    let sets: [(&str, &[&str]); 3] = [
        ("the default", &[]),
        ("`full`", &["--features", "full"]),
        ("`rustls` alone", &["--no-default-features", "--features", "rustls"]),
    ];
    let rows = rows();
    assert_eq!(rows.len(), sets.len());
    for (row, (name, features)) in rows.iter().zip(sets) {
        let tree = tree(features);
        let is_there = |name: &&str| tree.iter().any(|it| it.split(' ').next() == Some(*name));
        let heavy = HEAVY.iter().filter(|name| is_there(name)).count();
        let said = if name == "`rustls` alone" { (0, "none of them") } else { (5, "all of them") };
        assert_eq!((&*row[0], &*row[1], &*row[2]), (name, &*tree.len().to_string(), said.1));
        assert_eq!(heavy, said.0, "{name}");
    }
}
