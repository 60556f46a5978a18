//! Where each type of iterator begins, and what is refused.

use super::*;

#[test]
fn each_type_begins_where_amazon_says() {
    let (kinesis, puts) = with_records(&["a", "b"]);
    kinesis.advance(Duration::from_millis(5));
    let later = kinesis.put("s", "key", b"c");
    let from = |at| read_from(&kinesis, FIRST, &at);
    assert_eq!(from(TrimHorizon), ["a", "b", "c"]);
    assert_eq!(from(AtSequenceNumber(puts[1].sequence.clone())), ["b", "c"]);
    assert_eq!(from(AfterSequenceNumber(puts[1].sequence.clone())), ["c"]);
    assert!(from(AfterSequenceNumber(later.sequence)).is_empty());
    assert!(from(Latest).is_empty());
    assert_eq!(from(AtTimestamp(kinesis.now() - Duration::from_millis(5))), ["a", "b", "c"]);
    assert_eq!(from(AtTimestamp(kinesis.now() - Duration::from_millis(4))), ["c"]);
    assert_eq!(from(AtTimestamp(START - Duration::from_secs(1))), ["a", "b", "c"]);
}

#[test]
fn a_time_is_taken_in_whole_milliseconds() {
    let kinesis = with_shards(1);
    kinesis.advance(Duration::from_micros(1_700));
    kinesis.put("s", "key", b"a");
    let arrival = START + Duration::from_secs(1_000) + Duration::from_millis(1);
    assert_eq!(kinesis.held("s")[0].arrival, arrival);
    let in_the_same = arrival + Duration::from_micros(900);
    assert_eq!(read_from(&kinesis, FIRST, &AtTimestamp(in_the_same)), ["a"]);
    let next = AtTimestamp(arrival + Duration::from_millis(1));
    assert_eq!(refusal(begin(&kinesis, FIRST, &next)), invalid(), "the future");
}

#[test]
fn latest_and_a_time_without_records_read_what_arrives_next() {
    let (kinesis, _) = with_records(&["a"]);
    kinesis.advance(Duration::from_secs(1));
    let latest = token(&kinesis, FIRST, &Latest);
    let time = token(&kinesis, FIRST, &AtTimestamp(kinesis.now()));
    kinesis.put("s", "key", b"b");
    for token in [latest, time] {
        assert_eq!(data(&read(&kinesis, &token, 10).unwrap()), ["b"]);
    }
}

#[test]
fn the_starting_and_the_ending_number_of_a_shard_are_accepted() {
    let (kinesis, _) = with_records(&["a"]);
    let starting = || shard(&kinesis, FIRST).starting_sequence_number().clone();
    assert_eq!(read_from(&kinesis, FIRST, &AtSequenceNumber(starting())), ["a"]);
    kinesis.split("s", FIRST);
    let ending = shard(&kinesis, FIRST).ending_sequence_number().unwrap().clone();
    assert!(read_from(&kinesis, FIRST, &AfterSequenceNumber(ending)).is_empty());
}

#[test]
fn a_trimmed_number_reads_from_the_oldest_record_left() {
    let (kinesis, puts) = with_records(&["a", "b", "c"]);
    kinesis.trim("s", FIRST, 2);
    for at in [AtSequenceNumber, AfterSequenceNumber] {
        assert_eq!(read_from(&kinesis, FIRST, &at(puts[0].sequence.clone())), ["c"]);
    }
}

#[test]
fn numbers_of_another_shard_are_refused() {
    let kinesis = with_shards(2);
    let second = kinesis.shards("s")[1].id().to_owned();
    let foreign = kinesis.put_to("s", &second, "key", b"a").sequence;
    kinesis.put_to("s", FIRST, "key", b"b");
    for at in [AtSequenceNumber, AfterSequenceNumber] {
        assert_eq!(refusal(begin(&kinesis, FIRST, &at(foreign.clone()))), invalid());
        let made_up = at("495".parse().unwrap());
        assert_eq!(refusal(begin(&kinesis, FIRST, &made_up)), invalid());
    }
}

#[test]
fn numbers_of_a_parent_and_of_the_future_are_refused() {
    let (kinesis, puts) = with_records(&["a"]);
    let [child, _] = kinesis.split("s", FIRST);
    let of_parent = AfterSequenceNumber(puts[0].sequence.clone());
    assert_eq!(refusal(begin(&kinesis, &child, &of_parent)), invalid());
    let other = with_shards(1);
    for _ in 0..10 {
        other.put("s", "key", b"");
    }
    let of_the_future = AtSequenceNumber(other.put("s", "key", b"").sequence);
    assert_eq!(refusal(begin(&with_shards(1), FIRST, &of_the_future)), invalid());
}

#[test]
fn numbers_of_a_former_stream_are_lower_and_refused() {
    let (kinesis, puts) = with_records(&["a", "b"]);
    kinesis.delete_stream("s");
    kinesis.create_stream("s", 1);
    kinesis.put("s", "key", b"c");
    assert!(puts[1].sequence < *shard(&kinesis, FIRST).starting_sequence_number());
    let former = AfterSequenceNumber(puts[0].sequence.clone());
    assert_eq!(refusal(begin(&kinesis, FIRST, &former)), invalid());
}

#[test]
fn unknown_streams_and_shards_are_not_found() {
    let kinesis = with_shards(1);
    for id in ["shardId-000000000001", "shardId-0", "shardId-+00000000000", "0", ""] {
        assert_eq!(refusal(begin(&kinesis, id, &TrimHorizon)), not_found(), "{id}");
    }
    let call = Call::unbounded();
    assert_eq!(refusal(kinesis.get_shard_iterator("t", FIRST, &Latest, &call)), not_found());
    assert_eq!(refusal(kinesis.describe_stream("t", &call)), not_found());
    assert_eq!(refusal(kinesis.list_shards("t", None, &call)), not_found());
}

#[test]
fn the_server_time_is_in_whole_seconds() {
    let kinesis = with_shards(1);
    kinesis.advance(Duration::from_millis(1_999));
    let expected = START + Duration::from_secs(1_001);
    assert_eq!(begin(&kinesis, FIRST, &Latest).unwrap().server_time, Some(expected));
}

#[test]
fn iterators_expire_by_the_clock() {
    let (kinesis, _) = with_records(&["a"]);
    let expired = refused(ErrorClass::ExpiredIterator, "ExpiredIteratorException");
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.advance(Duration::from_millis(299_999));
    let next = read(&kinesis, &token, 10).unwrap().next.unwrap();
    kinesis.advance(Duration::from_millis(1));
    assert_eq!(refusal(read(&kinesis, &token, 10)), expired);
    assert!(read(&kinesis, &next, 10).is_ok(), "each token has a life of its own");
    kinesis.set_iterator_life(Duration::from_secs(301));
    assert!(read(&kinesis, &token, 10).is_ok());
    kinesis.set_iterator_life(Duration::ZERO);
    assert_eq!(refusal(read(&kinesis, &next, 10)), expired);
}

#[test]
fn iterators_expire_on_demand() {
    let (kinesis, _) = with_records(&["a"]);
    kinesis.create_stream("t", 1);
    let call = Call::unbounded();
    let other = kinesis.get_shard_iterator("t", FIRST, &TrimHorizon, &call).unwrap().token;
    let before = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.expire_iterators("s");
    let expired = refused(ErrorClass::ExpiredIterator, "ExpiredIteratorException");
    assert_eq!(refusal(read(&kinesis, &before, 10)), expired);
    assert_eq!(read_from(&kinesis, FIRST, &TrimHorizon), ["a"]);
    assert!(read(&kinesis, &other, 10).is_ok());
}

#[test]
fn made_up_tokens_are_refused() {
    let kinesis = with_shards(3);
    kinesis.set_page_size("s", 1);
    let page = list(&kinesis, None).unwrap().1.unwrap();
    for text in ["", FIRST, "AAAA", &page] {
        assert_eq!(refusal(read(&kinesis, &Token::new(text), 10)), invalid(), "{text}");
    }
    let iterator = token(&kinesis, FIRST, &Latest);
    assert_eq!(refusal(list(&kinesis, Some(iterator.as_str()))), invalid());
    assert!(!iterator.as_str().contains("shard"));
}
