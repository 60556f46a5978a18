//! Tests of decoding listings, with rusoto's own decoder as the oracle.

use rusoto_kinesis as rusoto;
use serde_json::{Value, json};

use super::*;
use crate::model::shard::HashKeyRange;

fn page_in(body: &str) -> Result<ShardPage, Malformed> {
    page(body.as_bytes())
}

/// A shard with all that it may have.
fn whole() -> Value {
    json!({
        "ShardId": "shardId-000000000002",
        "ParentShardId": "shardId-000000000000",
        "AdjacentParentShardId": "shardId-000000000001",
        "HashKeyRange": {
            "StartingHashKey": "0",
            "EndingHashKey": "340282366920938463463374607431768211455",
        },
        "SequenceNumberRange": {"StartingSequenceNumber": "42", "EndingSequenceNumber": "43"},
    })
}

/// The same with another value at this place; `None` removes it.
fn with(place: &str, value: Option<Value>) -> String {
    let mut shard = whole();
    let (of, member) = place.rsplit_once('/').unwrap();
    let of = shard.pointer_mut(of).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(of.insert(member.to_owned(), value)),
        None => drop(of.remove(member)),
    }
    json!({"Shards": [shard]}).to_string()
}

#[test]
fn a_listed_shard_comes_across_whole() {
    let body = json!({"Shards": [whole()], "NextToken": "a\"b", "New": [{}]}).to_string();
    let page = page_in(&body).unwrap();
    assert_eq!(page.next_token.as_deref(), Some("a\"b"));
    let [shard] = &page.shards[..] else { panic!("{page:?}") };
    assert_eq!(shard.id(), "shardId-000000000002");
    assert_eq!(shard.parents(), ["shardId-000000000000", "shardId-000000000001"]);
    assert_eq!(shard.hash_keys(), HashKeyRange::ALL);
    assert_eq!(shard.starting_sequence_number().as_str(), "42");
    assert_eq!(shard.ending_sequence_number().unwrap().as_str(), "43");
}

#[test]
fn an_open_shard_without_parents_may_say_so_in_any_way() {
    for none in [None, Some(Value::Null), Some(json!(""))] {
        let body = with("/ParentShardId", none.clone());
        let shard = page_in(&body).unwrap().shards.remove(0);
        assert_eq!(shard.parents(), ["shardId-000000000001"], "{body}");
    }
    for none in [None, Some(Value::Null)] {
        let body = with("/SequenceNumberRange/EndingSequenceNumber", none);
        assert!(!page_in(&body).unwrap().shards[0].is_closed(), "{body}");
    }
    for last in
        [r#"{"Shards":[]}"#, r#"{"Shards":[],"NextToken":null}"#, r#"{"NextToken":"","Shards":[]}"#]
    {
        assert_eq!(page_in(last).unwrap().next_token, None, "{last}");
    }
}

#[test]
fn what_must_be_there_must_make_sense() {
    for place in [
        "/ShardId",
        "/HashKeyRange",
        "/HashKeyRange/StartingHashKey",
        "/HashKeyRange/EndingHashKey",
        "/SequenceNumberRange",
        "/SequenceNumberRange/StartingSequenceNumber",
    ] {
        let wrong = [None, Some(Value::Null), Some(json!(7)), Some(json!("")), Some(json!([]))];
        for wrong in wrong {
            let body = with(place, wrong);
            assert!(page_in(&body).is_err(), "{body}");
        }
    }
    for (place, wrong) in [
        ("/SequenceNumberRange/StartingSequenceNumber", json!("-1")),
        ("/SequenceNumberRange/EndingSequenceNumber", json!("")),
        ("/SequenceNumberRange/EndingSequenceNumber", json!("null")),
        ("/SequenceNumberRange/EndingSequenceNumber", json!(43)),
        ("/HashKeyRange/EndingHashKey", json!("340282366920938463463374607431768211456")),
        ("/HashKeyRange/StartingHashKey", json!("secret")),
        ("/ParentShardId", json!(7)),
    ] {
        let body = with(place, Some(wrong));
        let error = page_in(&body).expect_err(&body).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    for body in [
        "",
        "<html>secret</html>",
        "null",
        "[]",
        "{}",
        r#"{"Shards":null}"#,
        r#"{"Shards":{}}"#,
        r#"{"Shards":[null]}"#,
        r#"{"Shards":["secret"]}"#,
        r#"{"Shards":[],"NextToken":7}"#,
        r#"{"Shards":[],"Shards":[]}"#,
        r#"{"Shards":[]} secret"#,
        r#"{"message":"secret"}"#,
    ] {
        let error = page_in(body).expect_err(body).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_cut_listing_is_no_smaller_answer() {
    let body = json!({"Shards": [whole()], "NextToken": "next"}).to_string();
    for end in 0..body.len() {
        assert!(!page_in(&body[..end]).unwrap_err().is_cut(), "{end}");
    }
    assert!(!status(br#"{"StreamDescriptionSummary":{"#).unwrap_err().is_cut());
}

#[test]
fn of_a_description_the_status_is_enough() {
    let said = |body: &str| status(body.as_bytes());
    let body = r#"{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE"}}"#;
    assert_eq!(said(body).unwrap(), "ACTIVE");
    let odd = r#"{"New":1,"StreamDescriptionSummary":{"StreamARN":7,"OpenShardCount":"x","StreamStatus":"UPDATING"}}"#;
    assert_eq!(said(odd).unwrap(), "UPDATING");
    for body in [
        "",
        "{}",
        r#"{"StreamDescriptionSummary":null}"#,
        r#"{"StreamDescriptionSummary":{}}"#,
        r#"{"StreamDescriptionSummary":{"StreamStatus":null}}"#,
        r#"{"StreamDescriptionSummary":{"StreamStatus":7}}"#,
        r#"{"StreamStatus":"ACTIVE"}"#,
    ] {
        assert!(said(body).is_err(), "{body}");
    }
}

#[test]
fn random_listings_are_read_as_rusoto_reads_them() {
    let mut random = fastrand::Rng::with_seed(42);
    let mut closed = 0;
    for _ in 0..20_000 {
        let body = random_page(&mut random);
        let ours = page_in(&body).expect(&body);
        let theirs: rusoto::ListShardsOutput = serde_json::from_str(&body).expect(&body);
        assert_eq!(ours.next_token, theirs.next_token);
        let theirs = theirs.shards.unwrap();
        assert_eq!(ours.shards.len(), theirs.len());
        for (ours, theirs) in ours.shards.iter().zip(&theirs) {
            assert_eq!(ours.id(), theirs.shard_id);
            let parents = [&theirs.parent_shard_id, &theirs.adjacent_parent_shard_id];
            assert_eq!(ours.parents(), parents.into_iter().flatten().cloned().collect::<Vec<_>>());
            let HashKeyRange { start, end } = ours.hash_keys();
            let range = &theirs.hash_key_range;
            assert_eq!(
                (start.to_string(), end.to_string()),
                (range.starting_hash_key.clone(), range.ending_hash_key.clone())
            );
            let numbers = &theirs.sequence_number_range;
            assert_eq!(ours.starting_sequence_number().as_str(), numbers.starting_sequence_number);
            let ending = ours.ending_sequence_number().map(SequenceNumber::as_str);
            assert_eq!(ending, numbers.ending_sequence_number.as_deref());
            closed += usize::from(ours.is_closed());
        }
    }
    assert!(closed > 1_000, "{closed}");
}

#[test]
fn descriptions_are_read_as_rusoto_reads_them() {
    for wanted in ["CREATING", "ACTIVE", "UPDATING", "DELETING", "A\"B"] {
        let body = json!({"StreamDescriptionSummary": {
            "StreamName": "orders",
            "StreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
            "StreamStatus": wanted,
            "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1_700_000_000.5,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "OpenShardCount": 2,
            "ConsumerCount": 0,
        }})
        .to_string();
        let theirs: rusoto::DescribeStreamSummaryOutput = serde_json::from_str(&body).unwrap();
        let ours = status(body.as_bytes()).unwrap();
        assert_eq!(ours, wanted);
        assert_eq!(ours, theirs.stream_description_summary.stream_status);
    }
}

fn random_page(random: &mut fastrand::Rng) -> String {
    let shards: Vec<_> = (0..random.usize(..5))
        .map(|_| {
            let id = |random: &mut fastrand::Rng| format!("shardId-{:012}", random.u32(..));
            let mut shard = json!({
                "ShardId": id(random),
                "HashKeyRange": {
                    "StartingHashKey": random.u128(..).to_string(),
                    "EndingHashKey": random.u128(..).to_string(),
                },
                "SequenceNumberRange": {"StartingSequenceNumber": random.u128(..).to_string()},
            });
            for parent in ["ParentShardId", "AdjacentParentShardId"] {
                match random.u8(..3) {
                    0 => shard[parent] = id(random).into(),
                    1 => shard[parent] = Value::Null,
                    _ => {}
                }
            }
            if random.bool() {
                shard["SequenceNumberRange"]["EndingSequenceNumber"] =
                    random.u128(..).to_string().into();
            }
            shard
        })
        .collect();
    let mut body = json!({ "Shards": shards });
    if random.bool() {
        let token: String = (0..random.usize(1..9)).map(|_| random.char(..)).collect();
        body["NextToken"] = token.into();
    }
    let text = if random.bool() { body.to_string() } else { format!("{body:#}") };
    // Escapes are read too.
    if random.bool() { text.replace("shardId-", "\\u0073hardId-") } else { text }
}
