//! What breaks a rule.

use std::collections::BTreeMap;

use crate::rules::{
    FACADES, FOR_TESTS, IMPURE, LONG_FUNCTION, MAX_FILE, MAX_FUNCTION, OUTSIDE_OF_SCHEDULES, PURE,
    PURE_CRATES, ROOMS, Room, THREADS, WAITS,
};
use crate::source::{Named, Source};

/// The crate, by the paths of its files below `src`.
pub(crate) struct House {
    files: BTreeMap<String, Source>,
    modules: BTreeMap<Vec<String>, String>,
}

impl House {
    /// Files for tests alone are left out.
    pub(crate) fn new(texts: &BTreeMap<String, String>) -> Self {
        let is_tests = |path: &str| {
            let mut steps = path.trim_end_matches(".rs").split('/');
            steps.any(|it| FOR_TESTS.contains(&it) || it.ends_with("_tests"))
        };
        let read = |(path, text): (&String, &String)| (path.clone(), Source::read(path, text));
        let files: BTreeMap<_, _> =
            texts.iter().filter(|(path, _)| !is_tests(path)).map(read).collect();
        let module = |(path, source): (&String, &Source)| (source.module.clone(), path.clone());
        let modules = files.iter().map(module).collect();
        Self { files, modules }
    }

    /// A line for each, which says what is wrong and where it belongs.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, source) in &self.files {
            // It holds modules and re-exports alone: the surface that users see.
            if path == "lib.rs" {
                continue;
            }
            let Some(room) = room(&source.module[0]) else {
                faults.push(format!("{path}: no room of that name: rules.rs lists the rooms"));
                continue;
            };
            for named in &source.paths {
                let fault = self.names(room, named).or_else(|| purity(room, named));
                let fault =
                    fault.or_else(|| threads(source, named)).or_else(|| waits(source, named));
                faults.extend(fault.map(|fault| format!("{path}:{}: {fault}", named.line)));
            }
            let rename = |line| {
                format!(
                    "{path}:{line}: `crate` or a module above gets another name: name what is meant"
                )
            };
            faults.extend(source.renames.iter().map(rename));
            faults.extend(lengths(source).map(|fault| format!("{path}{fault}")));
        }
        faults
    }

    /// Whether a room may name what it names, and names it where it is defined.
    fn names(&self, room: &Room, named: &Named) -> Option<String> {
        let path = absolute(&named.module, &named.path)?;
        let shown = format!("crate::{}", path.join("::"));
        let is_module = |depth: &usize| self.modules.contains_key(&path[..*depth]);
        let Some(depth) = (1..=path.len()).rev().find(is_module) else {
            return Some(format!(
                "{shown} is a re-export for users: name the module that defines it"
            ));
        };
        let other = &path[0];
        if other != room.name && !room.may_name.contains(&other.as_str()) {
            let purpose = self::room(other).map_or("", |room| room.purpose);
            return Some(format!(
                "`{}` ({}) must not name {shown}: `{other}` ({purpose}) is above it, or none of its business; what \
                 both need belongs into a room below",
                room.name, room.purpose
            ));
        }
        let item = path.get(depth).filter(|_| !FACADES.contains(&other.as_str()))?;
        let file = &self.files[&self.modules[&path[..depth]]];
        (!file.defines.contains(item)).then(|| {
            format!("{shown}: `{item}` is not defined there: name the module that defines it")
        })
    }
}

fn room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// From the root on; `None` for another crate's, and for what a module has itself.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" => module[..module.len() - 1].to_vec(),
        "self" if path.len() > 1 => module.to_vec(),
        _ => return None,
    };
    for step in &path[1..] {
        if step == "super" { drop(base.pop()) } else { base.push(step.clone()) }
    }
    (path.len() > 1).then_some(base)
}

fn purity(room: &Room, named: &Named) -> Option<String> {
    if !PURE.contains(&room.name) {
        return None;
    }
    let is_clock = named.path.ends_with(&["SystemTime".to_owned(), "now".to_owned()]);
    // A field or an argument may have any name.
    let is_name = named.path.len() == 1
        && ["thread", "atomic", "fs", "net", "env", "process"].contains(&named.path[0].as_str());
    let impure = named.path.iter().find(|step| IMPURE.contains(&step.as_str()) && !is_name);
    let first = &named.path[0];
    let is_crate = named.path.len() > 1 && first.starts_with(char::is_lowercase);
    let is_foreign = named.is_import && is_crate && !PURE_CRATES.contains(&first.as_str());
    let foreign = is_foreign.then_some(first);
    let is_chance = named.path.windows(2).any(|pair| {
        pair == ["Rng", "new"] || (pair[0] == "fastrand" && pair[1].starts_with(char::is_lowercase))
    });
    let chance = is_chance.then_some(first);
    let impure = impure.or(foreign).or(chance);
    let what = if is_clock { "SystemTime::now" } else { impure? };
    Some(format!(
        "`{}` decides, so that it must not know {what}: it belongs into `engine` or `delivery`, which hand over what \
         it tells",
        room.name
    ))
}

/// Whether a module is one of a list, or below one.
fn is_listed(source: &Source, list: &[(&str, &str)]) -> bool {
    let here = source.module.join("/");
    list.iter().any(|(it, _)| here == *it || here.starts_with(&format!("{it}/")))
}

fn waits(source: &Source, named: &Named) -> Option<String> {
    let waits = WAITS.iter().any(|wait| named.path.windows(2).any(|pair| pair == *wait));
    // These are the same in a schedule.
    let is_same =
        named.path.last().is_some_and(|it| ["Scope", "panicking", "Result"].contains(&&**it));
    let makes_threads =
        named.path.starts_with(&["std".to_owned(), "thread".to_owned()]) && !is_same;
    let is_hidden = (waits || makes_threads) && !is_listed(source, OUTSIDE_OF_SCHEDULES);
    let what = named.path.join("::");
    is_hidden.then(|| format!("no schedule knows of {what}: `sync` has a name for it"))
}

fn threads(source: &Source, named: &Named) -> Option<String> {
    let names = |what: &str| named.path.windows(2).any(|pair| pair == ["thread", what]);
    let (makes, is_bare) = (names("Builder") || names("scope"), names("spawn"));
    let may = is_listed(source, THREADS);
    if is_bare {
        return Some("a thread has a name and an owner: use thread::Builder in `engine`".into());
    }
    (makes && !may).then(|| "threads are made in `engine`, or where rules.rs says".into())
}

fn lengths(source: &Source) -> impl Iterator<Item = String> {
    let file = (source.lines > MAX_FILE).then(|| {
        format!(
            ": {} lines without tests, more than {MAX_FILE}: what second thing is in it?",
            source.lines
        )
    });
    let functions = source.functions.iter().filter_map(|it| {
        let lines = it.last - it.first + 1;
        let (name, first) = (&it.name, it.first);
        if lines > MAX_FUNCTION {
            Some(format!(":{first}: `{name}` has {lines} lines, more than {MAX_FUNCTION}: split it"))
        } else if lines > LONG_FUNCTION && !it.is_excused {
            Some(format!(
                ":{first}: `{name}` has {lines} lines, more than {LONG_FUNCTION}: split it, or say why above it: \
                 // long: …"
            ))
        } else if lines <= LONG_FUNCTION && it.is_excused {
            Some(format!(":{first}: `{name}` has {lines} lines, and needs no `// long:`"))
        } else {
            None
        }
    });
    let functions: Vec<_> = functions.collect();
    let excused = source.functions.iter().filter(|it| it.is_excused).count();
    let lost = (source.excuses.len() > excused)
        .then(|| ": a `// long:` stands above no function".to_owned());
    file.into_iter().chain(functions).chain(lost)
}
