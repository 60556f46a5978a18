//! Decisions, one a line: what a worker sees, and what it does.
//!
//! The worker is `m`. Rows are written as `a3`: worker `a` holds 3 rows. `-3` are rows without an owner. After the number:
//! `>b`: worker `b` asks for them; `/5`: they say that their holder wants 5 at most; `!`: their counters stand still;
//! `.`: their shards are read to the end; `~`: they have been asked for too long; `?`: they have been free for long.
//!
//! The survey before saw the rows of the second column: `=` is the same, `none` that there was no survey before.
//!
//! What it does: first its target, then `+2`: it takes 2 free rows, `a2`: it asks `a` for 2 rows, `a2!`: it takes 2 rows
//! that `a` holds, `^2`: 2 rows are beyond all limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::fleet::share::plan::{Move, Plan, plan};
use crate::core::fleet::share::survey::{Seen, Survey};

const NO_LIMIT: usize = usize::MAX;

type Case = (&'static str, &'static str, &'static str, usize, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Targets.
    ("all have the same number",                      "=",    "m2 a2 b2",        NO_LIMIT, "2"),
    ("the first ids have one more",                   "=",    "m2 a3 b2",        NO_LIMIT, "2"),
    ("so has this worker if its id is first",         "=",    "m3 n2 o2",        NO_LIMIT, "3"),
    ("alone it has all",                              "=",    "m3",              NO_LIMIT, "3"),
    ("an empty table gives nothing to do",            "=",    "",                NO_LIMIT, "0"),
    ("rows at their end are no load",                 "=",    "m2 a2 a5.",       NO_LIMIT, "2"),
    ("rows at their end are not taken",               "=",    "m1 -3.",          NO_LIMIT, "1"),
    ("who holds rows at their end lives",             "=",    "m4 a3.",          NO_LIMIT, "2"),
    ("who holds rows that stand still does not",      "=",    "m4 a3.!",         NO_LIMIT, "4"),
    ("with fewer rows than workers the first have one", "=",  "a1 b1",           NO_LIMIT, "0"),
    // Free rows.
    ("alone it takes all",                            "=",    "m3 -5",           NO_LIMIT, "8 +5"),
    ("unowned rows are taken up to the target",       "=",    "m1 a3 -4",        NO_LIMIT, "4 +3"),
    ("rows that stand still are taken",               "=",    "m1 a3 d4!",       NO_LIMIT, "4 +3"),
    ("both are free",                                 "=",    "m1 a3 -2 d2!",    NO_LIMIT, "4 +3"),
    ("one sight is no proof that a row stands still", "m1 a3", "m1 a3 d4!",      NO_LIMIT, "2 d1"),
    ("a row that was asked for and stands still is free", "=", "m1 a3 d4>b!",    NO_LIMIT, "4 +3"),
    ("who has its target leaves rows to others",      "=",    "m4 a1 -3",        NO_LIMIT, "4"),
    ("the one more is for whoever sees it",           "=",    "m4 a4 -1",        NO_LIMIT, "4 +1"),
    ("but only one",                                  "=",    "m4 a4 b4 -2",     NO_LIMIT, "4 +1"),
    ("who has one more takes no second",              "=",    "m5 a4 b4 -1",     NO_LIMIT, "4"),
    ("what is missing after that is asked for",       "=",    "m1 a5 -2",        NO_LIMIT, "4 +2 a1"),
    ("half of it",                                    "=",    "m1 a11 -4",       NO_LIMIT, "8 +4 a2"),
    ("nothing if free rows are enough",               "=",    "m2 a6 -4",        NO_LIMIT, "6 +4"),
    ("own rows that stand still are free",            "=",    "m3! a3",          NO_LIMIT, "3 +1"),
    // Asking.
    ("half of what is missing is asked for",          "=",    "m2 a10",          NO_LIMIT, "6 a2"),
    ("rounded up",                                    "=",    "m2 a9",           NO_LIMIT, "5 a2"),
    ("one at least",                                  "=",    "m2 a4",           NO_LIMIT, "3 a1"),
    ("in proportion to what each has too many",       "=",    "m2 a13 b11 c6",   NO_LIMIT, "8 a2 b1"),
    ("the same from the same",                        "=",    "m4 a10 b10",      NO_LIMIT, "8 a1 b1"),
    ("nobody who would have no more than it is due",  "=",    "m1 a7 b4",        NO_LIMIT, "4 a2"),
    ("nobody with one more",                          "=",    "m3 n4",           NO_LIMIT, "4"),
    ("nobody with one more, whoever is first",        "=",    "m3 a4 b4 c4",     NO_LIMIT, "3"),
    ("whoever has two more",                          "=",    "m3 n5 o3",        NO_LIMIT, "4 n1"),
    ("also after it took what is free",               "=",    "m2 n5 o3 -1",     NO_LIMIT, "4 +1 n1"),
    ("with one row each, nobody is asked",            "=",    "n1 o1",           NO_LIMIT, "1"),
    ("with two rows, one is asked for",               "=",    "n2 o1",           NO_LIMIT, "1 n1"),
    ("who lacks more comes first",                    "=",    "m3 n6 o2",        NO_LIMIT, "4"),
    ("those who have too many in any case give first", "=",   "m1 n5 o3 p3",     NO_LIMIT, "3 n1"),
    ("then those who have one more than their target", "=",   "m1 a3 n3",        NO_LIMIT, "2 n1"),
    ("who has its target asks nobody",                "=",    "m3 a1 b5",        NO_LIMIT, "3"),
    ("who has more than its target does nothing",     "=",    "m6 a1 b2",        NO_LIMIT, "3"),
    // Requests.
    ("a row that was asked for counts for who asked", "=",    "m1 a5 a2>m",      NO_LIMIT, "4 a1"),
    ("and is not asked for again",                    "=",    "m1 a1 a6>n",      NO_LIMIT, "3"),
    ("who can hand over none has no part in that",    "=",    "m2 o9>a b9",      NO_LIMIT, "5 b2"),
    ("who asks lives",                                "=",    "m3 a3 a3>n",      NO_LIMIT, "3"),
    ("who is asked for all lives",                    "=",    "m4 a4>n",         NO_LIMIT, "3"),
    ("a request of long ago counts for the holder",   "=",    "m4 a4>n~",        NO_LIMIT, "4"),
    ("the row is taken rather than asked for again",  "=",    "m2 a6>n~",        NO_LIMIT, "4 a1!"),
    ("who asked long ago lives by other rows",        "=",    "m3 n2 a4>n~",     NO_LIMIT, "3"),
    // Workers that nobody sees.
    ("the first survey takes one",                    "none", "-9",              NO_LIMIT, "9 +1"),
    ("also with rows",                                "none", "m2 -6",           NO_LIMIT, "8 +1"),
    ("or asks for one",                               "none", "a9",              NO_LIMIT, "4 a1"),
    ("not both",                                      "none", "a5 -3",           NO_LIMIT, "4 +1"),
    ("who has nothing may be one of many",            "=",    "a9",              NO_LIMIT, "4 a1"),
    ("also if rows are free",                         "=",    "a4 -4",           NO_LIMIT, "4 +1"),
    ("while many are new, rows double",               "m2 a2", "m2 a2 b1 c1 -14", NO_LIMIT, "5 +2"),
    ("so do those that are asked for",                "m1 a19", "m1 a19 b1 c1",  NO_LIMIT, "5 a1"),
    ("one of three is many",                          "m2 a2 b2", "m2 a2 b2 c1 -13", NO_LIMIT, "5 +2"),
    ("one of four is not",                            "m2 a2 b2 c2", "m2 a2 b2 c2 d1 -16", NO_LIMIT, "5 +3"),
    ("who is gone is not new",                        "m2 a2 b2 c2", "m2 a2 -4", NO_LIMIT, "4 +2"),
    ("who asks for the first time is new",            "m2 a6", "m2 a3 a3>b -8",  NO_LIMIT, "5 +2"),
    ("where each had one, others may have none",      "m1 a1", "m1 a1 -8",       NO_LIMIT, "5 +1"),
    ("where one had two, all others would have asked", "m1 a2", "m1 a2 -7",      NO_LIMIT, "5 +4"),
    ("one above the floor waits while many are new",  "m2 n4", "m2 n4 o2 p2",    NO_LIMIT, "3"),
    ("and is asked for when none is",                 "=",    "m2 n4 o2 p2",     NO_LIMIT, "3 n1"),
    ("the one more is not taken while many are new",  "m4 a2", "m4 a4 b4 -1",    NO_LIMIT, "4"),
    // Limits.
    ("it takes no more than its limit",               "=",    "m2 a2 -8",        3, "3 +1"),
    ("it asks for no more than its limit",            "=",    "m2 a10",          4, "4 a1"),
    ("a limit above the share changes nothing",       "=",    "m2 a10",          9, "6 a2"),
    ("the one more is not above the limit",           "=",    "m4 a4 -1",        4, "4"),
    ("nor if the others have the same number",        "=",    "m4 a4 b4 -1",     4, "4"),
    ("with a limit of nothing it has nothing",        "=",    "a4 -4",           0, "0"),
    ("others have what a limit forbids",              "=",    "m2 a2/2 -8",      NO_LIMIT, "10 +8"),
    ("smaller limits first",                          "=",    "m3 a1/1 b2/2 -6", NO_LIMIT, "9 +6"),
    ("another's limit above its share changes nothing", "=",  "m2 a2/9 -8",      NO_LIMIT, "6 +4"),
    ("who has more than its limit gives",             "=",    "m2 a6/4",         NO_LIMIT, "4 a1"),
    ("a limit is the holder's, not of who asks",      "=",    "m2 a4>n/1",       NO_LIMIT, "3"),
    ("rows beyond all limits are told",               "=",    "m3 a2/2 -4",      3, "3 ^4"),
    // Rows that are left.
    ("a row that nobody takes is taken at last",      "=",    "m4 a2 -2?",       NO_LIMIT, "4 +2"),
    ("so is one that stood still",                    "=",    "m4 a2 d2!?",      NO_LIMIT, "4 +2"),
    ("by all that have their targets",                "=",    "m4 a2 b4 -2?",    NO_LIMIT, "4 +1"),
    ("not above the limit",                           "=",    "m4 a2 -2?",       5, "4 +1"),
    ("who lacks rows takes them as any others",       "=",    "m2 a4 -2?",       NO_LIMIT, "4 +2"),
];

/// Rows of one kind.
struct Group {
    keys: Vec<String>,
    owner: Option<String>,
    giver: Option<String>,
    limit: Option<usize>,
    marks: String,
}

fn groups(text: &str) -> Vec<Group> {
    let mut numbers = BTreeMap::new();
    let group = |text: &str| {
        let (holder, rest) = text.split_at(1);
        let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        let by = rest.strip_prefix('>').map(|it| it[..1].to_owned());
        let limit = rest.split_once('/').map(|(_, it)| it.parse().unwrap());
        let from: &mut usize = numbers.entry(holder.to_owned()).or_default();
        let to = *from + number.parse::<usize>().unwrap();
        let keys = (std::mem::replace(from, to)..to).map(|it| format!("{holder}{it}")).collect();
        let holder = Some(holder.to_owned()).filter(|it| it != "-");
        let (owner, giver) = if by.is_some() { (by, holder) } else { (holder, None) };
        Group { keys, owner, giver, limit, marks: rest.to_owned() }
    };
    text.split_whitespace().map(group).collect()
}

/// The survey scans the rows that have one of these marks, or all.
fn scan(survey: &mut Survey, at: u64, rows: &[Group], marks: &[char]) {
    let counter =
        |group: &Group| if group.owner.is_none() || group.marks.contains('!') { 0 } else { at };
    let shown = rows.iter().filter(|it| marks.is_empty() || it.marks.contains(marks));
    let seen = shown.flat_map(|group| {
        group.keys.iter().map(|key| Seen {
            key,
            owner: group.owner.as_deref(),
            giver: group.giver.as_deref(),
            counter: counter(group),
            limit: group.limit,
            failover: None,
            is_end: group.marks.contains('.'),
        })
    });
    survey.scanned(Duration::from_secs(at), Duration::from_secs(at + 1), seen);
}

/// The rows that were seen, and the plan.
fn planned(before: &str, rows: &str, max_leases: Option<usize>, seed: u64) -> (Vec<Group>, Plan) {
    let mut survey = Survey::new("m", Duration::from_secs(10), Duration::from_secs(50));
    let rows = groups(rows);
    if before != "none" {
        scan(&mut survey, 0, &rows, &['~', '?']);
        let before = if before == "=" { None } else { Some(groups(before)) };
        scan(&mut survey, 85, before.as_ref().unwrap_or(&rows), &[]);
    }
    scan(&mut survey, 100, &rows, &[]);
    let plan = plan(&survey, max_leases, &mut fastrand::Rng::with_seed(seed));
    (rows, plan)
}

fn decide(before: &str, rows: &str, max_leases: Option<usize>, seed: u64) -> String {
    let (rows, plan) = planned(before, rows, max_leases, seed);
    let mut moves = BTreeMap::new();
    let holds = |it: &&Group, key: &str| it.keys.iter().any(|it| it == key);
    for it in &plan.moves {
        let text = match it {
            Move::Ask { holder, .. } => holder.to_string(),
            Move::Take { key, .. } => {
                let group = rows.iter().find(|it| holds(it, key)).unwrap();
                let is_held = group.marks.contains('~');
                if is_held { format!("{}!", group.giver.as_deref().unwrap()) } else { "+".into() }
            }
        };
        *moves.entry(text).or_insert(0) += 1;
    }
    let moves = moves.iter().map(|(what, number)| match what.strip_suffix('!') {
        Some(what) => format!(" {what}{number}!"),
        None => format!(" {what}{number}"),
    });
    let beyond = (plan.beyond > 0).then(|| format!(" ^{}", plan.beyond));
    format!("{}{}{}", plan.target, moves.collect::<String>(), beyond.unwrap_or_default())
}

#[test]
fn each_case_is_decided_as_its_line_says() {
    let mut wrong = Vec::new();
    for (name, before, rows, limit, expected) in CASES {
        let limit = Some(*limit).filter(|it| *it != NO_LIMIT);
        let decided: Vec<_> = (0..20).map(|seed| decide(before, rows, limit, seed)).collect();
        let other = decided.iter().find(|it| it != expected);
        wrong.extend(other.map(|it| format!("{name}: {rows}: {it} instead of {expected}")));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    assert!(CASES.len() >= 60);
}

#[test]
fn chance_decides_which_of_equal_donors_is_asked() {
    let asked = (0..20).map(|seed| decide("=", "m1 n3 o3", None, seed)).collect::<BTreeSet<_>>();
    assert_eq!(asked.iter().map(String::as_str).collect::<Vec<_>>(), ["3 n1", "3 o1"]);
}

#[test]
fn free_rows_are_urgent_and_rows_of_others_are_not() {
    let is_urgent = |rows| planned("=", rows, None, 1).1.is_urgent();
    assert!(is_urgent("m1 a3 -4"));
    assert!(!is_urgent("m2 a10"));
    assert!(!is_urgent("m2 a2"));
}

#[test]
fn a_watch_may_add_rows_up_to_one_above_the_floor() {
    let most = |before, rows, limit| planned(before, rows, limit, 1).1.most;
    assert_eq!(most("=", "m4 a4", None), 5);
    assert_eq!(most("=", "m5 a4", None), 5, "it has one more already");
    assert_eq!(most("=", "m4 a4", Some(4)), 4);
    assert_eq!(most("=", "m1 a9", None), 6);
    // While many may be unseen it adds nothing to what it takes and asks for.
    assert_eq!(most("none", "m2 -6", None), 3);
    assert_eq!(most("=", "a9", None), 1);
}
