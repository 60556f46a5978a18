//! Settings of a table, and answers taken apart.

mod costs;

use super::*;
use crate::aws::credentials::Credentials;
use crate::aws::credentials::cache::CredentialsCache;
use crate::aws::credentials::source::Source;
use crate::aws::variants::Variants;
use LeaseTableErrorKind::Transient;

fn account() -> Arc<Account> {
    let credentials = Source::Static(Arc::new(Credentials::new("key", "secret")));
    Arc::new(Account {
        region: "eu-x-1".to_owned(),
        credentials: CredentialsCache::new(credentials),
        variants: Variants::default(),
        allow_plain_http: false,
    })
}

fn table(name: &str, lookup: Lookup<'_>) -> Result<DynamoLeases, Error> {
    DynamoLeases::new(&account(), name.to_owned(), lookup)
}

fn orders() -> DynamoLeases {
    table("orders", &|_| None).unwrap()
}

fn url(table: &DynamoLeases) -> &str {
    table.caller.peer().endpoint.url()
}

/// Which setting is wrong.
#[track_caller]
fn setting(result: Result<DynamoLeases, Error>) -> &'static str {
    match result.unwrap_err() {
        Error::InvalidSetting { setting, .. } => setting,
        other => panic!("{other}"),
    }
}

#[test]
fn a_table_has_a_name_of_3_to_255_characters_or_an_arn() {
    let arn = |length: usize| format!("{:a<length$}", "arn:aws:dynamodb:eu-x-1:1:table/");
    let longest = "n".repeat(255);
    for name in ["a-b", "A.b_9", &longest, &arn(33), &arn(1_024)] {
        assert_eq!(table(name, &|_| None).unwrap().name(), name);
        assert!(orders().coordinator_table(name).is_ok(), "{name}");
    }
    let (longer, quoted) = ("n".repeat(256), format!("{}\"", arn(40)));
    for name in ["", "ab", "a b", "table/orders", "a:b", "täble", &longer, &arn(1_025), &quoted] {
        assert_eq!(setting(table(name, &|_| None)), "lease_table", "{name}");
        assert_eq!(setting(orders().coordinator_table(name)), "coordinator_table", "{name}");
    }
}

#[test]
fn a_name_that_is_too_long_for_a_table_is_not_looked_up() {
    // Nobody answers there.
    let nowhere = |name: &str| {
        let table = table(name, &|_| None).unwrap().endpoint("http://127.0.0.1:1").unwrap();
        table.coordinator()
    };
    let suffix = "-CoordinatorState".len();
    assert!(nowhere(&"n".repeat(256 - suffix)).unwrap().is_none());
    assert_eq!(nowhere(&"n".repeat(255 - suffix)).unwrap_err().kind(), Transient);
}

#[test]
fn a_deadline_is_from_100_ms_to_a_minute_and_a_sixth_of_the_default_failover_time() {
    let set = |millis| orders().deadline(Duration::from_millis(millis));
    for millis in [100, 60_000] {
        let deadline = set(millis).unwrap().caller.transport().deadline();
        assert_eq!(deadline, Duration::from_millis(millis));
    }
    for millis in [0, 99, 60_001] {
        assert_eq!(setting(set(millis)), "deadline", "{millis}");
    }
    let kept = set(700).unwrap().endpoint("http://127.0.0.1:1").unwrap();
    assert_eq!(kept.caller.transport().deadline(), Duration::from_millis(700));
    assert!(orders().caller.transport().deadline() * 6 <= Duration::from_secs(10));
}

#[test]
fn an_endpoint_of_another_service_or_in_another_region_is_an_error() {
    let ours = "https://dynamodb.eu-x-1.amazonaws.com";
    assert_eq!(url(&orders()), ours);
    for (endpoint, named) in [
        (ours, None),
        ("http://127.0.0.1:8000", None),
        ("https://dynamodb.eu-y-2.amazonaws.com", Some("region")),
        ("https://dynamodb-fips.us-east-1.api.aws", Some("region")),
        ("https://kinesis.eu-x-1.amazonaws.com", Some("endpoint")),
        ("http://dynamodb.example.com", Some("endpoint")),
    ] {
        let variable = |name: &str| (name == "AWS_ENDPOINT_URL_DYNAMODB").then(|| endpoint.into());
        for table in [table("orders", &variable), orders().endpoint(endpoint)] {
            match named {
                Some(named) => assert_eq!(setting(table), named, "{endpoint}"),
                None => assert_eq!(url(&table.unwrap()), endpoint),
            }
        }
    }
}

#[test]
fn a_creation_that_takes_too_long_says_what_the_last_answer_was() {
    let table = orders().endpoint("http://127.0.0.1:1").unwrap();
    let error = table.wait_until_active(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), Transient);
    let text = format!("{error:#}");
    assert!(text.contains("start later") && text.contains("http://127.0.0.1:1"), "{text}");
}

#[test]
fn a_row_is_there_or_not_only_if_the_answer_is_the_services() {
    assert!(calls::row(b"{}").is_err());
    assert!(calls::row(br#"{"message":"welcome"}"#).is_err());
    let cost = r#""ConsumedCapacity":{"TableName":"orders","CapacityUnits":1.0}"#;
    assert_eq!(calls::row(format!("{{{cost}}}").as_bytes()), Ok(None));
    let item = r#""Item":{"leaseKey":{"S":"shard"}}"#;
    let found = Item::from([("leaseKey".to_owned(), "shard".into())]);
    assert_eq!(calls::row(format!("{{{item}}}").as_bytes()), Ok(Some(found.clone())));
    assert_eq!(calls::row(format!("{{{item},{cost}}}").as_bytes()), Ok(Some(found)));
}

#[test]
fn a_page_has_its_rows_its_cost_and_where_the_next_one_begins() {
    let body = br#"{"Items":[{"leaseKey":{"S":"a"}},{"leaseKey":{"S":"b"}}],"Count":2,
        "LastEvaluatedKey":{"leaseKey":{"S":"b"}},"ConsumedCapacity":{"CapacityUnits":0.5}}"#;
    let page = calls::page(body).unwrap();
    let keys: Vec<_> = page.items.iter().map(|row| row["leaseKey"].text().unwrap()).collect();
    assert_eq!((keys, page.next, page.units), (vec!["a", "b"], Some(PageToken::after("b")), 0.5));
    let last = calls::page(br#"{"Items":[],"Count":0,"ScannedCount":0}"#).unwrap();
    assert_eq!((last.items.len(), last.next, last.units), (0, None, 0.0));
    for key in [r#"{"key":{"S":"b"}}"#, r#"{"leaseKey":{"N":"1"}}"#, "{}"] {
        let body = format!(r#"{{"Items":[],"LastEvaluatedKey":{key}}}"#);
        assert!(calls::page(body.as_bytes()).is_err(), "{key}");
    }
    assert!(calls::page(b"{}").is_err());
}

#[test]
fn a_table_can_be_used_while_it_is_changed_but_not_before_it_is_there() {
    for (status, is_usable) in
        [("ACTIVE", true), ("UPDATING", true), ("CREATING", false), ("DELETING", false)]
    {
        let body = format!(r#"{{"Table":{{"TableName":"orders","TableStatus":"{status}"}}}}"#);
        assert_eq!(calls::is_active(body.as_bytes()), Ok(is_usable), "{status}");
    }
}
