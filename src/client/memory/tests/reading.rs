//! What one answer holds, and how a shard ends.

use super::*;

#[test]
fn answers_hold_up_to_the_limit_and_go_on_after_the_last_record() {
    let (kinesis, puts) = with_records(&["a", "b", "c"]);
    let first = read(&kinesis, &token(&kinesis, FIRST, &TrimHorizon), 2).unwrap();
    assert_eq!(data(&first), ["a", "b"]);
    let second = read(&kinesis, &first.next.unwrap(), 2).unwrap();
    assert_eq!(data(&second), ["c"]);
    let record = second.records.first().unwrap();
    assert_eq!(record.sequence_number(), puts[2].sequence.as_str());
    assert_eq!(
        (record.partition_key(), record.approximate_arrival()),
        ("key", Some(kinesis.now()))
    );
    kinesis.put("s", "key", b"d");
    assert_eq!(data(&read(&kinesis, &second.next.unwrap(), 2).unwrap()), ["d"]);
}

#[test]
fn the_same_token_gives_the_same_answer() {
    let (kinesis, _) = with_records(&["a", "b"]);
    kinesis.split("s", FIRST);
    kinesis.set_empty_answers("s", 1);
    let mut next = Some(token(&kinesis, FIRST, &TrimHorizon));
    let mut answers = 0;
    while let Some(token) = next {
        let [one, two] = [(); 2].map(|()| read(&kinesis, &token, 1).unwrap());
        assert_eq!(data(&one), data(&two));
        assert_eq!(one.children, two.children);
        assert_eq!(one.next.as_ref().map(Token::as_str), two.next.as_ref().map(Token::as_str));
        next = one.next;
        answers += 1;
    }
    assert_eq!(answers, 4, "two records, one empty answer, the end");
}

#[test]
fn limits_outside_1_to_10_000_are_refused() {
    let (kinesis, _) = with_records(&["a"]);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    for limit in [0, 10_001] {
        assert_eq!(refusal(read(&kinesis, &token, limit)), invalid());
    }
    assert!(read(&kinesis, &token, 10_000).is_ok());
}

#[test]
fn an_answer_holds_10_mib_but_at_least_one_record() {
    let kinesis = with_shards(1);
    let mib = vec![0; 1024 * 1024];
    for _ in 0..11 {
        kinesis.put("s", "key", &mib);
    }
    kinesis.put("s", "key", &vec![0; 11 * 1024 * 1024]);
    let mut token = token(&kinesis, FIRST, &TrimHorizon);
    for expected in [10, 1, 1, 0] {
        let answer = read(&kinesis, &token, 10_000).unwrap();
        assert_eq!(answer.records.len(), expected);
        token = answer.next.unwrap();
    }
}

#[test]
fn an_answer_tells_how_far_it_is_behind() {
    let (kinesis, _) = with_records(&["a"]);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    let behind = |limit| read(&kinesis, &token, limit).unwrap().behind_latest;
    kinesis.advance(Duration::from_secs(2));
    kinesis.put("s", "key", b"b");
    assert_eq!(behind(1), Some(Duration::from_millis(1)), "0 would say that nothing is left");
    kinesis.advance(Duration::from_secs(3));
    assert_eq!(behind(1), Some(Duration::from_secs(3)), "since the oldest record not read");
    assert_eq!(behind(2), Some(Duration::ZERO));
    kinesis.report_behind_latest("s", false);
    assert_eq!(behind(1), Some(Duration::ZERO));
}

#[test]
fn a_closed_shard_ends_with_its_last_records_and_tells_its_children() {
    let (kinesis, _) = with_records(&["a", "b"]);
    let [low, high] = kinesis.split("s", FIRST);
    let first = read(&kinesis, &token(&kinesis, FIRST, &TrimHorizon), 1).unwrap();
    assert!(first.children.is_empty());
    let last = read(&kinesis, &first.next.unwrap(), 1).unwrap();
    assert_eq!((data(&last), last.next), (vec!["b".to_owned()], None));
    let told: Vec<_> = last.children.iter().map(|child| (&child.id, &child.parents)).collect();
    let parents = vec![FIRST.to_owned()];
    assert_eq!(told, [(&low, &parents), (&high, &parents)]);
    assert_eq!(last.children[1].hash_keys, Some(shard(&kinesis, &high).hash_keys()));
}

#[test]
fn an_iterator_at_the_tip_finds_the_end_when_the_shard_is_closed() {
    let (kinesis, _) = with_records(&["a"]);
    let next = read(&kinesis, &token(&kinesis, FIRST, &Latest), 10).unwrap().next.unwrap();
    kinesis.split("s", FIRST);
    for token in [next, token(&kinesis, FIRST, &Latest)] {
        let answer = read(&kinesis, &token, 10).unwrap();
        assert!(answer.next.is_none() && answer.records.is_empty());
        assert_eq!(answer.children.len(), 2);
    }
}

#[test]
fn both_parents_of_a_merge_tell_the_same_child() {
    let kinesis = with_shards(2);
    let ids: Vec<_> = kinesis.shards("s").iter().map(|shard| shard.id().to_owned()).collect();
    let child = kinesis.merge("s", &ids[1], &ids[0]);
    for id in &ids {
        let answer = read(&kinesis, &token(&kinesis, id, &TrimHorizon), 10).unwrap();
        assert_eq!(answer.children.len(), 1);
        assert_eq!(answer.children[0].id, child);
        assert_eq!(answer.children[0].parents, [ids[1].clone(), ids[0].clone()]);
    }
}

#[test]
fn children_are_told_only_if_they_are_to_be() {
    let (kinesis, _) = with_records(&[]);
    kinesis.split("s", FIRST);
    kinesis.announce_children("s", false);
    let answer = read(&kinesis, &token(&kinesis, FIRST, &TrimHorizon), 10).unwrap();
    assert!(answer.next.is_none() && answer.children.is_empty());
}

#[test]
fn so_many_empty_answers_come_before_the_end() {
    for (records, expected) in [(&["a"][..], &[1, 0, 0, 0][..]), (&[], &[0, 0, 0])] {
        let (kinesis, _) = with_records(records);
        kinesis.set_empty_answers("s", 2);
        kinesis.split("s", FIRST);
        let mut token = token(&kinesis, FIRST, &TrimHorizon);
        let mut seen = Vec::new();
        let end = loop {
            let answer = read(&kinesis, &token, 10).unwrap();
            seen.push(answer.records.len());
            match answer.next.clone() {
                Some(next) => token = next,
                None => break answer,
            }
            assert!(answer.children.is_empty());
        };
        assert_eq!(seen, expected);
        assert_eq!(end.children.len(), 2);
    }
}

#[test]
fn a_retired_shard_and_a_deleted_stream_are_not_found() {
    let (kinesis, _) = with_records(&["a"]);
    let [low, _] = kinesis.split("s", FIRST);
    let (old, young) = (token(&kinesis, FIRST, &TrimHorizon), token(&kinesis, &low, &Latest));
    kinesis.retire("s", FIRST);
    assert_eq!(refusal(read(&kinesis, &old, 10)), not_found());
    assert_eq!(refusal(begin(&kinesis, FIRST, &TrimHorizon)), not_found());
    assert!(read(&kinesis, &young, 10).is_ok());
    kinesis.delete_stream("s");
    kinesis.create_stream("s", 3);
    assert_eq!(refusal(read(&kinesis, &young, 10)), not_found(), "a stream of the same name");
}

#[test]
fn trimming_drops_the_oldest_and_reading_goes_on() {
    let (kinesis, _) = with_records(&["a", "b"]);
    kinesis.advance(Duration::from_secs(1));
    kinesis.put("s", "key", b"c");
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.trim("s", FIRST, 1);
    assert_eq!(data(&read(&kinesis, &token, 10).unwrap()), ["b", "c"]);
    kinesis.trim_older("s", kinesis.now());
    assert_eq!(data(&read(&kinesis, &token, 10).unwrap()), ["c"]);
    kinesis.trim("s", FIRST, 100);
    assert!(kinesis.held("s").is_empty());
}
