//! The house stays as it is drawn: rooms, what each may know, where threads are made, how long things are.
//!
//! `rules.rs` is the drawing; a change of it is a change of the architecture.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod check;
mod rules;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use check::House;
use rules::ROOMS;

#[test]
fn every_file_keeps_to_its_room() {
    let mut texts = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut texts);
    assert!(texts.len() > 100, "{} files", texts.len());
    let faults = House::new(&texts).faults();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_room_names_one_above_it() {
    for (floor, room) in ROOMS.iter().enumerate() {
        let below: Vec<_> = ROOMS[..floor].iter().map(|room| room.name).collect();
        for name in room.may_name {
            assert!(below.contains(name), "{} names {name}, which is not below it", room.name);
        }
    }
}

#[test]
fn the_page_shows_every_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for room in ROOMS {
        let (folder, file) = (format!("`{}/", room.name), format!("`{}.rs`", room.name));
        let is_shown = page.contains(&folder) || page.contains(&file);
        assert!(is_shown, "ARCHITECTURE.md says nothing of {}", room.name);
        let is_there = ["", ".rs"]
            .iter()
            .any(|end| root.join("src").join(room.name.to_owned() + end).exists());
        assert!(is_there, "there is no {} in src", room.name);
    }
}

fn read(folder: &Path, name: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let step = path.file_name().unwrap().to_str().unwrap();
        let name = if name.is_empty() { step.to_owned() } else { format!("{name}/{step}") };
        if path.is_dir() {
            read(&path, &name, texts);
        } else if path.extension().is_some_and(|it| it == "rs") {
            texts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The faults of a small crate.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let always = [
        ("lib.rs", "mod core; pub use crate::model::gap::Gap;"),
        ("model/gap.rs", "pub struct Gap;"),
    ];
    let files = always.iter().chain(files);
    let texts = files.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    House::new(&texts).faults()
}

/// The only fault, which says this.
#[track_caller]
fn is_fault(files: &[(&str, &str)], says: &str) {
    let found = faults(files);
    assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
}

const STORE: (&str, &str) = ("store/mod.rs", "pub trait Store {} pub fn kept() {}");

#[test]
fn what_is_allowed_is_no_fault() {
    let core = "use crate::model::gap::Gap; fn decides(gap: Gap) -> std::sync::Arc<str> { say!(crate::model::gap::Gap) }";
    assert_eq!(faults(&[("core/mod.rs", core), STORE]), [""; 0]);
}

#[test]
fn a_room_above_is_a_fault_however_it_is_named() {
    for text in [
        "use crate::store::Store;",
        "use crate::{model::gap::Gap, store::Store};",
        "fn f() { crate::store::kept() }",
        "fn f() -> crate::store::Store {}",
        "fn f(store: &dyn crate::store::Store) {}",
        "fn f() { select! { recv(a) -> _ => crate::store::kept() } }",
        "use super::store::Store;",
        "impl crate::store::Store for X {}",
        "pub(crate) use crate::store::Store as Other;",
        "const X: fn() = crate::store::kept;",
    ] {
        is_fault(
            &[("core/mod.rs", text), STORE],
            "`core` (what is decided; nothing is done) must not",
        );
    }
}

#[test]
fn a_room_gets_no_second_name() {
    for text in ["use crate as k;", "use crate::{self as k};", "use super as up;"] {
        is_fault(&[("core/stream/mod.rs", text), STORE], "gets another name");
    }
}

#[test]
fn who_decides_brings_no_other_crate() {
    is_fault(&[("core/mod.rs", "use ureq::Agent;")], "must not know ureq");
    assert_eq!(faults(&[("aws/http/transport.rs", "use ureq::Agent;")]), [""; 0]);
}

#[test]
fn what_is_for_tests_may_name_anything() {
    let text =
        "#[cfg(test)] use crate::store::Store; #[cfg(test)] mod tests { use crate::store::Store; }";
    assert_eq!(
        faults(&[("core/mod.rs", text), ("core/tests.rs", "use crate::store::Store;"), STORE]),
        [""; 0]
    );
}

#[test]
fn an_import_names_the_module_that_defines() {
    is_fault(&[("core/mod.rs", "use crate::Gap;")], "re-export for users");
    let passed_on = ("model/mod.rs", "pub use crate::model::gap::Gap;");
    is_fault(&[passed_on, ("core/mod.rs", "use crate::model::Gap;")], "is not defined there");
    is_fault(&[("core/mod.rs", "use crate::model::gap::*;")], "is not defined there");
}

#[test]
fn who_decides_knows_no_thread_lock_channel_clock_or_order_of_a_map() {
    for text in [
        "use std::collections::HashMap;",
        "use std::{collections::{BTreeMap, HashSet}, fmt};",
        "use std::sync::atomic::AtomicBool;",
        "use crossbeam_channel::Sender;",
        "fn f() { std::time::Instant::now(); }",
        "fn f() { let now = SystemTime::now(); }",
        "fn f() { m! { x => std::thread::sleep(y) } }",
        "struct X(parking_lot::Mutex<u8>);",
        "thread_local! { static X: u8 = 1; }",
        "use std::fs;",
        "use std::sync::mpsc::Sender;",
        "fn f() { fastrand::u64(..) }",
        "fn f() { let rng = fastrand::Rng::new(); }",
    ] {
        for path in ["core/mod.rs", "model/token.rs", "record/mod.rs"] {
            is_fault(&[(path, text)], "decides");
        }
        assert_eq!(faults(&[("aws/mod.rs", text)]), [""; 0]);
    }
}

#[test]
fn what_waits_has_a_name_that_a_schedule_knows() {
    for text in [
        "fn f() { std::time::Instant::now(); }",
        "use std::time::SystemTime; fn f() { SystemTime::now(); }",
        "use parking_lot::Mutex;",
        "use crossbeam_channel::{Receiver, select_biased};",
        "use std::thread;",
        "use std::sync::Condvar;",
    ] {
        is_fault(&[("engine/mod.rs", text)], "no schedule knows of");
        assert_eq!(faults(&[("store/sqlite/file.rs", text)]), [""; 0]);
    }
    is_fault(&[("engine/mod.rs", "fn f() { std::thread::scope(g); }")], "no schedule knows of");
    let types = "use std::thread::Scope; use crossbeam_channel::{Receiver, never};";
    assert_eq!(faults(&[("engine/mod.rs", types)]), [""; 0]);
}

#[test]
fn threads_are_made_where_they_are_owned() {
    let text = "fn f() { std::thread::Builder::new(); }";
    is_fault(&[("delivery/mod.rs", text)], "threads are made in `engine`");
    assert_eq!(faults(&[("aws/http/resolver.rs", text)]), [""; 0]);
    let ours = "use crate::sync::thread; fn f() { thread::Builder::new(); }";
    let sync = ("sync/mod.rs", "mod thread {}");
    assert_eq!(faults(&[("engine/run.rs", ours), sync]), [""; 0]);
    is_fault(&[("engine/run.rs", "fn f() { std::thread::spawn(g); }")], "a name and an owner");
}

#[test]
fn long_functions_say_why_and_none_is_very_long() {
    let function =
        |lines: usize, above: &str| format!("{above}fn f() {{{}}}\n", "\n".repeat(lines - 1));
    let fault = |text: String, says: &str| is_fault(&[("engine/mod.rs", &text)], says);
    assert_eq!(faults(&[("engine/mod.rs", &function(25, ""))]), [""; 0]);
    assert_eq!(
        faults(&[("engine/mod.rs", &function(50, "/// It does.\n// long: a table.\n#[cold]\n"))]),
        [""; 0]
    );
    fault(function(26, ""), "`f` has 26 lines, more than 25");
    fault(function(51, "// long: a table.\n"), "`f` has 51 lines, more than 50");
    fault(function(9, "// long: a table.\n"), "needs no `// long:`");
    fault(format!("{}\n// long: of nothing.\n", function(9, "")), "stands above no function");
}

#[test]
fn a_long_file_is_a_fault_without_its_tests() {
    let (code, tests) =
        ("\n".repeat(390), "#[cfg(test)]\nmod tests {\n".to_owned() + &"\n".repeat(300) + "}");
    assert_eq!(faults(&[("engine/mod.rs", &(code.clone() + &tests))]), [""; 0]);
    is_fault(&[("engine/mod.rs", &("\n".repeat(401) + &tests))], "401 lines");
}

#[test]
fn a_file_without_a_room_is_a_fault() {
    is_fault(&[("attic.rs", "")], "no room of that name");
}
