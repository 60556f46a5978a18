//! Listings in pages, children that are announced, and ends that hold records.

use std::time::Duration;

use kinesis_consumer::{Error, Store};

use super::trial::{OTHER_SHARD, Run, SHARD, Trial, at_once};
use crate::common::logs;
use crate::common::support::{Fault, Operation, Rule};

fn id(number: usize) -> String {
    format!("shardId-{number:012}")
}

#[test]
fn a_listing_in_pages_is_read_whole() {
    let trial = Trial::new("pages", 10, 100);
    let run = trial.read_all_through(&Fault::Paged(3), Rule::always);
    assert_eq!(run.records.len(), 10);
    assert_eq!(trial.calls(Operation::ListShards), 1);
    assert_eq!(trial.calls(Operation::ListNextShards), 3);
}

#[test]
fn a_page_token_that_expires_begins_the_listing_again() {
    let trial = Trial::new("old-token", 10, 100);
    trial.faults.add(Rule::always(Fault::Paged(4)));
    let expired = Fault::refusal("ExpiredNextTokenException");
    trial.read_all_through(&expired, |fault| {
        Rule::once(fault).on(Operation::ListNextShards).after(1)
    });
    assert_eq!(trial.calls(Operation::ListShards), 2);
    assert_eq!(logs::warnings("old-token", ""), [""; 0]);
}

#[test]
fn page_tokens_that_always_expire_are_an_error_when_start_patience_ends() {
    let trial = Trial::new("old-tokens", 10, 10);
    trial.faults.add(Rule::always(Fault::Paged(4)));
    let expired = Fault::refusal("ExpiredNextTokenException");
    trial.faults.add(Rule::always(expired).on(Operation::ListNextShards));
    let config = Trial::config().start_patience(Duration::from_millis(300));
    let run = Run::of(trial.stream(config), 10, |_| {});
    assert!(matches!(run.result, Err(Error::Client { shard: None, .. })), "{:?}", run.result);
    let text = run.error();
    assert!(text.contains("old-tokens") && text.contains("ListShards"), "{text}");
}

#[test]
fn a_broken_page_is_read_again() {
    let faults = [Fault::Truncated, Fault::NoAnswer, Fault::Error { status: 500, code: None }];
    at_once(faults, |fault| {
        let trial = Trial::new("broken-page", 10, 50);
        trial.faults.add(Rule::always(Fault::Paged(3)));
        let run = trial.read_all_through(&fault, |fault| {
            Rule::once(fault).on(Operation::ListNextShards).after(1)
        });
        assert_eq!(run.records.len(), 10, "{fault:?}");
    });
}

/// Reads a stream that is resharded, and filled again, when the first batch has come.
fn through(trial: &Trial, reshard: impl Fn(&Trial)) -> Run {
    through_more(trial, 0, reshard)
}

/// The same, if the resharding puts so many records.
fn through_more(trial: &Trial, more: usize, reshard: impl Fn(&Trial)) -> Run {
    let total = trial.count() + more + 60;
    let mut is_done = false;
    let run = Run::of(trial.stream(Trial::config()), total, |_| {
        if !std::mem::replace(&mut is_done, true) {
            reshard(trial);
            trial.put(60);
        }
    });
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    run
}

fn split(trial: &Trial, shard: usize) {
    let open = trial.admin.open_shards().unwrap();
    trial.admin.split(open.iter().find(|it| it.shard_id == id(shard)).unwrap()).unwrap();
}

fn merge(trial: &Trial) {
    let open = trial.admin.open_shards().unwrap();
    trial.admin.merge(&open[0], &open[1]).unwrap();
}

#[test]
fn two_children_that_the_last_answer_names_go_on_where_it_ended() {
    let trial = Trial::new("two-children", 1, 60);
    trial.faults.add(Rule::always(Fault::ChildShards));
    let run = through(&trial, |trial| split(trial, 0));
    assert_eq!(trial.faults.count(&Fault::ChildShards), 1);
    run.check_order(&id(1), &[SHARD]);
    run.check_order(&id(2), &[SHARD]);
    assert_eq!(trial.calls(Operation::ListShards), 2);
}

#[test]
fn a_child_that_both_its_parents_name_starts_once_after_both() {
    let trial = Trial::new("one-child", 2, 60);
    trial.faults.add(Rule::always(Fault::ChildShards));
    let run = through(&trial, merge);
    assert_eq!(trial.faults.count(&Fault::ChildShards), 2);
    run.check_order(&id(2), &[SHARD, OTHER_SHARD]);
    let began = trial
        .faults
        .seen()
        .into_iter()
        .filter(|it| it.operation == Operation::GetShardIterator && it.shard == Some(id(2)));
    assert_eq!(began.count(), 1);
}

#[test]
fn children_that_are_finished_when_they_are_named_are_read_to_their_end() {
    let trial = Trial::new("finished-children", 1, 60);
    trial.faults.add(Rule::always(Fault::ChildShards));
    let run = through_more(&trial, 30, |trial| {
        split(trial, 0);
        trial.put(30);
        split(trial, 1);
        merge(trial); // of the two youngest
    });
    for (child, parents) in
        [(1, vec![0]), (2, vec![0]), (3, vec![1]), (4, vec![1]), (5, vec![3, 4])]
    {
        let parents: Vec<String> = parents.into_iter().map(id).collect();
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        run.check_order(&id(child), &parents);
    }
    assert_eq!(trial.faults.count(&Fault::ChildShards), 4);
}

#[test]
fn children_that_nobody_names_are_found_by_listing() {
    let trial = Trial::new("unnamed-children", 2, 60);
    let run = through(&trial, |trial| {
        split(trial, 1);
        merge(trial);
    });
    assert!(run.batches.iter().filter(|(.., ends)| *ends).count() >= 3);
}

#[test]
fn records_that_come_with_the_end_of_a_shard_are_read() {
    for name in ["end-with-records", "end-with-all"] {
        let trial = Trial::new(name, 1, 60);
        trial.faults.add(Rule::always(Fault::EndsWithRecords));
        if name == "end-with-all" {
            trial.faults.add(Rule::always(Fault::ChildShards));
        }
        let run = through(&trial, |trial| split(trial, 0));
        // Without children it is a claim, which is read once more when a listing has shown the shard closed.
        let names_children = name == "end-with-all";
        let times = if names_children { 1 } else { 2 };
        assert_eq!(trial.faults.count(&Fault::EndsWithRecords), times);
        assert_eq!(run.end(SHARD).1 > 0, names_children, "{:?}", run.batches);
        let stored = trial.store.get_shard_iterator(name, SHARD).unwrap();
        assert!(stored.is_some_and(|position| position.is_end()));
    }
}

#[test]
fn a_shard_that_fails_at_its_end_still_hands_over_to_its_children() {
    let trial = Trial::new("failing-end", 1, 20);
    trial.faults.add(Rule::always(Fault::ChildShards));
    trial.faults.add(Rule::always(Fault::EndsWithRecords));
    for fault in [Fault::Truncated, Fault::Reset, Fault::refusal("ExpiredIteratorException")] {
        // About half of all calls, those about an end among them.
        trial.faults.add(Rule::every(5, fault).on(Operation::GetRecords));
    }
    let run = through(&trial, |trial| {
        split(trial, 0);
        merge(trial);
    });
    run.check_order(&id(3), &[&id(1), &id(2)]);
}
