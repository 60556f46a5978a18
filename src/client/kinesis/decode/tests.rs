//! Tests of decoding, some against rusoto's own decoder.

use std::time::{SystemTime, UNIX_EPOCH};

use rusoto_kinesis::GetRecordsOutput;

use super::*;

fn records_of(body: &[u8]) -> Result<Answer, Malformed> {
    records(body, None)
}

const RECORD: &str = r#"{"SequenceNumber":"42","PartitionKey":"key","Data":"aGVsbG8="}"#;

fn with_record(record: &str) -> String {
    format!(r#"{{"Records":[{record}],"NextShardIterator":"next"}}"#)
}

#[test]
fn a_whole_answer_is_read() {
    let body = r#"{
        "Records": [
            {"SequenceNumber": "42", "PartitionKey": "a", "Data": "aGVsbG8=",
             "ApproximateArrivalTimestamp": 1700000000.1235, "EncryptionType": "KMS"},
            {"SequenceNumber": "43", "PartitionKey": "b", "Data": "",
             "ApproximateArrivalTimestamp": 1700000000}
        ],
        "NextShardIterator": "next", "MillisBehindLatest": 1500, "New": [{"ignored": null}],
        "ChildShards": [{"ShardId": "child", "ParentShards": ["p", "q"],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"}}]
    }"#;
    let answer = records_of(body.as_bytes()).unwrap();
    let first = answer.records.first().unwrap();
    assert_eq!((first.sequence_number(), first.partition_key()), ("42", "a"));
    assert_eq!(first.data(), b"hello");
    assert_eq!(first.approximate_arrival(), Some(millis(1_700_000_000_124)));
    let last = answer.records.last().unwrap();
    assert_eq!(
        (last.data(), last.approximate_arrival()),
        (&b""[..], Some(millis(1_700_000_000_000)))
    );
    assert_eq!(answer.next, Some(Token::new("next")));
    assert_eq!(answer.behind_latest, Some(Duration::from_millis(1_500)));
    let child = &answer.children[0];
    assert_eq!((child.id.as_str(), child.parents.len()), ("child", 2));
    assert_eq!(child.hash_keys, Some(HashKeyRange { start: 0, end: 9 }));
}

#[test]
fn the_end_of_a_shard_may_hold_records_and_may_be_null_or_missing() {
    for end in [r#","NextShardIterator":null"#, ""] {
        let body = format!(
            r#"{{"Records":[{RECORD}]{end},"MillisBehindLatest":null,"ChildShards":null}}"#
        );
        let answer = records_of(body.as_bytes()).unwrap();
        assert_eq!((answer.records.len(), answer.next), (1, None), "{body}");
        assert_eq!((answer.behind_latest, answer.children.len()), (None, 0));
    }
}

#[test]
fn escapes_are_read() {
    let record =
        r#"{"SequenceNumber":"4\u0032","PartitionKey":"\u00e9\"\ud83d\ude00","Data":"\/\/8="}"#;
    let answer = records_of(with_record(record).as_bytes()).unwrap();
    let record = answer.records.first().unwrap();
    assert_eq!((record.sequence_number(), record.partition_key()), ("42", "é\"😀"));
    assert_eq!(record.data(), [0xff, 0xff]);
    assert_eq!(record.approximate_arrival(), None);
}

#[test]
fn a_strange_time_is_unknown_and_stops_no_record() {
    for (time, wanted) in [
        ("null", None),
        ("-5.5", None),
        ("0", None),
        ("1e-9", None),
        ("1e300", None),
        ("1e13", None),
        ("99999999999999999999", None),
        (r#""2026-01-01T00:00:00Z""#, None),
        (r#""12""#, None),
        ("true", None),
        ("[1,{}]", None),
        (r#"{"seconds":[1]}"#, None),
        ("0.0015", Some(2)),
        ("12", Some(12_000)),
        ("1.7e9", Some(1_700_000_000_000)),
    ] {
        let field = format!(r#","ApproximateArrivalTimestamp":{time}}}"#);
        let body = with_record(&RECORD.replace('}', &field));
        let answer = records_of(body.as_bytes()).unwrap();
        let arrival = answer.records.first().unwrap().approximate_arrival();
        assert_eq!(arrival, wanted.map(millis), "{time}");
    }
}

#[test]
fn a_strange_lag_is_unknown_and_stops_no_record() {
    for (lag, wanted) in [
        ("null", None),
        ("0", Some(0)),
        ("1500", Some(1_500)),
        ("1500.0", Some(1_500)),
        ("1e3", Some(1_000)),
        ("18446744073709551615", None),
        ("99999999999999999999", None),
        ("-1", None),
        ("-0.5", None),
        (r#""0""#, None),
        ("false", None),
        ("[]", None),
        ("{}", None),
    ] {
        let body = format!(r#"{{"Records":[{RECORD}],"MillisBehindLatest":{lag}}}"#);
        let answer = records_of(body.as_bytes()).unwrap();
        assert_eq!(answer.records.len(), 1);
        assert_eq!(answer.behind_latest, wanted.map(Duration::from_millis), "{lag}");
    }
}

#[test]
fn of_a_child_the_id_is_enough() {
    let children = |children: &str| {
        let body = format!(r#"{{"Records":[{RECORD}],"ChildShards":{children}}}"#);
        records_of(body.as_bytes()).unwrap().children
    };
    for odd in [
        "",
        r#","ParentShards":null,"HashKeyRange":null"#,
        r#","ParentShards":"p","HashKeyRange":"all""#,
        r#","ParentShards":[7],"HashKeyRange":{"StartingHashKey":"secret","EndingHashKey":"1"}"#,
        r#","HashKeyRange":{"StartingHashKey":"0"},"New":[{}]"#,
    ] {
        let found = children(&format!(r#"[{{"ShardId":"a"{odd}}},{{"ShardId":"b"}}]"#));
        let wanted = ["a", "b"].map(|id| ChildShard::new(id, Vec::new(), None));
        assert_eq!(found, wanted, "{odd}");
    }
    for none in ["null", "[]", "{}", "7", r#""a""#] {
        assert_eq!(children(none), [], "{none}");
    }
}

#[test]
fn what_is_wrong_is_told_in_our_words() {
    let text = |body: &str| records_of(body.as_bytes()).unwrap_err().to_string();
    let record = |good: &str, bad: &str| text(&with_record(&RECORD.replace(good, bad)));
    for (said, wanted) in [
        (record("42", "042"), "a record with an invalid sequence number"),
        (record("aGVsbG8=", "secret!!"), "a record whose data is not base64"),
        (text("{}"), "no records and no error"),
        (text(r#"{"Records":[],"Records":[]}"#), "records twice"),
        (text(r#"{"Records":[],"NextShardIterator":""}"#), "an empty shard iterator"),
        (text(r#"{"Records":[],"ChildShards":[{}]}"#), "a child shard without an id"),
        (record(r#""key""#, "7"), "JSON of another form"),
    ] {
        assert!(said.starts_with(wanted) && said.contains(", at line 1, column "), "{said}");
    }
}

#[test]
fn a_malformed_answer_is_an_error_that_shows_nothing_of_it() {
    let mut bodies: Vec<String> = [
        "",
        " ",
        "{",
        "null",
        "[]",
        "{}",
        "7",
        "\"secret\"",
        "<html>secret</html>",
        "\u{feff}{}",
        r#"{"Records":null}"#,
        r#"{"Records":{}}"#,
        r#"{"Records":[null]}"#,
        r#"{"Records":[[]]}"#,
        r#"{"Records":["secret"]}"#,
        r#"{"Records":[],"NextShardIterator":7}"#,
        r#"{"Records":[],"NextShardIterator":""}"#,
        r#"{"Records":[]} secret"#,
        r#"{"Records":[],"Records":[]}"#,
        r#"{"Records":[],"ChildShards":[{}]}"#,
        r#"{"Records":[],"ChildShards":[{"ShardId":"s"},{"ShardId":7}]}"#,
        r#"{"Records":[],"ChildShards":["secret"]}"#,
        r#"{"message":"secret"}"#,
    ]
    .map(str::to_owned)
    .into();
    for (good, bad) in [
        (r#""42""#, r#""secret""#),
        (r#""42""#, "42"),
        (r#""42""#, r#""""#),
        (r#""42""#, r#""-1""#),
        (r#""42""#, r#""042""#),
        (r#""42""#, "null"),
        (r#""SequenceNumber":"42","#, ""),
        (r#""key""#, "null"),
        (r#""PartitionKey":"key","#, ""),
        (r#""key""#, r#""\ud83d""#),
        (r#""aGVsbG8=""#, r#""secret!!""#),
        (r#""aGVsbG8=""#, r#""aGVsbG8""#),
        (r#""aGVsbG8=""#, r#""aGVs bG8=""#),
        (r#""aGVsbG8=""#, "null"),
        (r#""aGVsbG8=""#, "[104]"),
        (r#","Data":"aGVsbG8=""#, ""),
        (r#""Data""#, r#""ApproximateArrivalTimestamp":1e999,"Data""#),
    ] {
        bodies.push(with_record(&RECORD.replace(good, bad)));
    }
    bodies.push(with_record(&RECORD.replace("42", &"9".repeat(130))));
    bodies.push("[".repeat(100_000));
    for body in bodies {
        let error = records_of(body.as_bytes()).expect_err(&body).to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(shard_iterator(body.as_bytes()).is_err(), "{body}");
    }
    assert!(records_of(b"{\"Records\":[],\"x\":\"\xff\xfe").is_err());
}

#[test]
fn an_answer_that_is_cut_or_changed_anywhere_never_panics() {
    let body = with_record(&[RECORD; 3].join(",")).into_bytes();
    for end in 0..body.len() {
        assert!(records_of(&body[..end]).is_err(), "cut at {end}");
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut changed = 0;
    for _ in 0..20_000 {
        let mut body = body.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..body.len());
            body[at] = random.u8(..);
        }
        changed += usize::from(records_of(&body).is_err());
    }
    assert!(changed > 10_000, "{changed}");
}

#[test]
fn an_answer_that_only_ends_too_early_is_cut_and_another_one_is_not() {
    let body = with_record(RECORD);
    for end in 1..body.len() {
        assert!(records_of(&body.as_bytes()[..end]).unwrap_err().is_cut(), "{end}");
    }
    for body in ["", "<html>", "{}", r#"{"Records":7}"#, r#"{"Records":[}"#] {
        assert!(!records_of(body.as_bytes()).unwrap_err().is_cut(), "{body}");
    }
}

#[test]
fn random_answers_are_read_as_rusoto_reads_them() {
    // How many answers, for a longer run.
    let cases = std::env::var("DECODE_CASES").map_or(100_000, |cases| cases.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(42);
    for _ in 0..cases {
        let body = random_answer(&mut random);
        let ours = records_of(body.as_bytes()).expect(&body);
        let theirs: GetRecordsOutput = serde_json::from_str(&body).expect(&body);
        assert_eq!(ours.next.as_ref().map(Token::as_str), theirs.next_shard_iterator.as_deref());
        let behind = ours.behind_latest.map(|behind| behind.as_millis() as i64);
        assert_eq!(behind, theirs.millis_behind_latest);
        assert_eq!(ours.records.len(), theirs.records.len());
        for (ours, theirs) in ours.records.iter().zip(&theirs.records) {
            assert_eq!(ours.data(), theirs.data);
            assert_eq!(ours.partition_key(), theirs.partition_key);
            assert_eq!(ours.sequence_number(), theirs.sequence_number);
            let seconds = theirs.approximate_arrival_timestamp.filter(|seconds| *seconds > 0.0);
            let arrival = ours.approximate_arrival();
            let time = arrival.map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64());
            assert_eq!(time.is_some(), seconds.is_some(), "{time:?} {seconds:?}");
            let apart = time.zip(seconds).map_or(0.0, |(time, seconds)| time - seconds);
            assert!(apart.abs() <= 0.000_501, "{time:?} {seconds:?}");
        }
    }
}

#[test]
fn a_shard_iterator_is_read() {
    assert_eq!(shard_iterator(br#"{"ShardIterator":"AA\/="}"#).unwrap(), Token::new("AA/="));
    assert!(shard_iterator(br#"{"ShardIterator":""}"#).is_err());
}

fn random_answer(random: &mut fastrand::Rng) -> String {
    let mut number = random.u64(..);
    let records: Vec<_> = (0..random.usize(..6))
        .map(|_| {
            number = number.saturating_add(random.u64(1..1_000));
            let data: Vec<u8> = (0..random.usize(..80)).map(|_| random.u8(..)).collect();
            let key: String = (0..random.usize(..9)).map(|_| random.char(..)).collect();
            let mut record = serde_json::json!({
                "SequenceNumber": format!("49590338271490256608559692538361571095{number}"),
                "PartitionKey": key,
                "Data": STANDARD.encode_to_string(&data),
            });
            if random.bool() {
                let millis = random.u64(..4_000_000_000_000);
                record["ApproximateArrivalTimestamp"] = (millis as f64 / 1_000.0).into();
            }
            record
        })
        .collect();
    let next = random.bool().then(|| "AAA\"\\/".repeat(random.usize(1..4)));
    let behind = random.bool().then(|| random.i64(0..1 << 40));
    let mut body = serde_json::json!({ "Records": records, "NextShardIterator": next });
    if let Some(behind) = behind {
        body["MillisBehindLatest"] = behind.into();
    }
    let text = if random.bool() { body.to_string() } else { format!("{body:#}") };
    // As some servers write base64.
    if random.bool() { text.replace('/', "\\/") } else { text }
}

fn millis(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
