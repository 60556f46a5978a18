//! The table of leases in DynamoDB, against a server that says what a real one says rarely.

use std::io::Write as _;
use std::net::{self, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kinesis_consumer::leases::LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};
use kinesis_consumer::leases::{
    Applied, Attribute, Condition, Item, LeaseTable, LeaseTableErrorKind, PageToken, Update, Write,
};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Config, DynamoLeases, Error, Fleet, FleetErrorKind, KinesisClient, Shutdown, Stream,
};

use crate::client::Fake;
use crate::common::SOON;
use crate::common::loopback::{Request, Server, answer, ok, refusal};

const COST: &str = r#""ConsumedCapacity":{"TableName":"orders","CapacityUnits":1.0}"#;

/// A table on that server, whose calls may take as long as a busy machine needs.
fn table(url: &str) -> DynamoLeases {
    let client = KinesisClient::builder().region("us-east-1").credentials("key", "secret");
    let table = client.build().unwrap().lease_table("orders").unwrap().endpoint(url).unwrap();
    table.deadline(Duration::from_secs(60)).unwrap()
}

/// An answer with this row; without one it says only what it has cost.
fn with(row: Option<&str>) -> String {
    let row = row.map(|row| format!(r#""Item":{row},"#)).unwrap_or_default();
    ok(&format!("{{{row}{COST}}}"))
}

/// A beat of a lease.
fn beat() -> Write {
    let update = Update::new().add("leaseCounter", 1);
    Write::update("shard", Condition::equals("leaseOwner", "me"), update)
}

/// What was asked for next.
fn asked(server: &Server) -> (String, serde_json::Value) {
    let request: Request = server.requests.recv_timeout(SOON).unwrap();
    (request.operation().to_owned(), serde_json::from_str(&request.body).unwrap())
}

#[test]
fn a_row_is_read_as_it_was_last_written_and_a_page_at_half_the_price() {
    let row = r#"{"leaseKey":{"S":"shard"},"leaseCounter":{"N":"7"}}"#;
    let server = Server::new(move |request| {
        Some(match request.operation() {
            "GetItem" => with(Some(row)),
            _ => ok(&format!(
                r#"{{"Items":[{row}],"LastEvaluatedKey":{{"leaseKey":{{"S":"shard"}}}},{COST}}}"#
            )),
        })
    });
    let table = table(&server.url());
    let found = table.get("shard").unwrap().unwrap();
    assert_eq!(found["leaseCounter"], Attribute::N("7".to_owned()));
    let (operation, body) = asked(&server);
    let key = serde_json::json!({"leaseKey": {"S": "shard"}});
    assert_eq!((&*operation, &body["TableName"]), ("GetItem", &"orders".into()));
    assert_eq!((&body["ConsistentRead"], &body["Key"]), (&true.into(), &key));
    assert_eq!(body["ReturnConsumedCapacity"], "TOTAL");
    let page = table.page(None).unwrap();
    assert_eq!((page.items, page.units), (vec![found], 1.0));
    let (operation, body) = asked(&server);
    assert_eq!((&*operation, &body["TableName"]), ("Scan", &"orders".into()));
    assert!(body.get("ConsistentRead").is_none() && body.get("ExclusiveStartKey").is_none());
    assert_eq!(body["ReturnConsumedCapacity"], "TOTAL");
    assert_eq!(page.next, Some(PageToken::after("shard")));
    table.page(page.next.as_ref()).unwrap();
    assert_eq!(asked(&server).1["ExclusiveStartKey"], key);
}

#[test]
fn the_version_of_kcl_3_is_read_from_the_table_of_its_coordinator() {
    let server = Server::new(|request| {
        Some(match request.body.contains("gone") {
            true => refusal("ResourceNotFoundException", "no"),
            false => with(Some(r#"{"key":{"S":"Migration3.0"},"cv":{"S":"CLIENT_VERSION_2X"}}"#)),
        })
    });
    let table = table(&server.url());
    assert_eq!(table.coordinator().unwrap().unwrap()["cv"], "CLIENT_VERSION_2X".into());
    let (operation, body) = asked(&server);
    assert_eq!((&*operation, &body["TableName"]), ("GetItem", &"orders-CoordinatorState".into()));
    assert_eq!(body["Key"], serde_json::json!({"key": {"S": "Migration3.0"}}));
    assert_eq!(body["ConsistentRead"], true);
    let table = table.coordinator_table("gone").unwrap();
    assert_eq!(table.coordinator().unwrap(), None);
    assert_eq!(asked(&server).1["TableName"], "gone");
    assert_eq!(table.name(), "orders");
}

#[test]
fn a_consumer_of_a_fleet_is_refused_once_kcl_3_has_switched_over() {
    let stop = Arc::new(OnceLock::<Shutdown>::new());
    let heard = Arc::clone(&stop);
    let server = Server::new(move |request| {
        let is_asked = |text: &str| request.body.contains(text);
        Some(match request.operation() {
            "Scan" => ok(&format!(r#"{{"Items":[],{COST}}}"#)),
            "GetItem" if is_asked("orders-CoordinatorState") && is_asked("Migration3.0") => {
                with(Some(r#"{"key":{"S":"Migration3.0"},"cv":{"S":"CLIENT_VERSION_3X"}}"#))
            }
            "GetItem" => with(None),
            // A write: it takes part.
            _ => {
                heard.get().unwrap().now();
                with(None)
            }
        })
    });
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 1);
    let fleet = Fleet::new(table(&server.url())).failover(Duration::from_secs(1));
    let stream = Stream::new(kinesis, "orders", fleet, Config::new()).unwrap();
    stop.set(stream.shutdown()).unwrap();
    let ended = stream.listen(|_| Ok(()));
    let Err(Error::Fleet { kind: FleetErrorKind::NewerProtocol { version, .. }, .. }) = &ended
    else {
        panic!("it takes part: {ended:?}")
    };
    assert_eq!(version, "CLIENT_VERSION_3X");
}

/// A server of a table that is created: what it describes, one answer after the other.
fn created(described: Vec<String>) -> Server {
    let number = AtomicUsize::new(0);
    Server::new(move |request| {
        Some(match request.operation() {
            "CreateTable" => ok(r#"{"TableDescription":{"TableStatus":"CREATING"}}"#),
            _ => described[number.fetch_add(1, Ordering::Relaxed)].clone(),
        })
    })
}

#[test]
fn a_table_that_is_created_may_be_unknown_for_a_while() {
    let status = |status: &str| ok(&format!(r#"{{"Table":{{"TableStatus":"{status}"}}}}"#));
    let server = created(vec![
        refusal("ResourceNotFoundException", "no"),
        refusal("ThrottlingException", "slower"),
        answer("500 Internal Server Error", "", r#"{"__type":"InternalServerError"}"#),
        status("CREATING"),
        status("ACTIVE"),
    ]);
    table(&server.url()).create().unwrap();
    let (operation, body) = asked(&server);
    assert_eq!((&*operation, &body["TableName"]), ("CreateTable", &"orders".into()));
    assert_eq!(body["KeySchema"][0]["AttributeName"], "leaseKey");
    assert_eq!(server.requests.len(), 5);
    let server = created(vec![refusal("AccessDeniedException", "no")]);
    assert_eq!(table(&server.url()).create().unwrap_err().kind(), Fatal);
}

#[test]
fn a_refused_write_brings_a_row_as_large_as_a_row_may_be() {
    let large = "\\\"".repeat(400_000);
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":{{"large":{{"S":"{large}"}}}}}}"#
    );
    let server = Server::saying(answer("400 Bad Request", "", &body));
    let Applied::Refused(Some(row)) = table(&server.url()).apply(&beat()).unwrap() else {
        panic!("it was not refused with a row")
    };
    assert_eq!(row["large"].text().unwrap().len(), 400_000);
    assert_eq!(asked(&server).0, "UpdateItem");
    assert_eq!(server.requests.len(), 0, "the row is not asked for again");
}

/// A server that breaks the connection after so many requests for each call, and then answers.
fn breaking(times: usize, answer: String) -> Fake {
    Fake::new(move |stream: &mut TcpStream, number| match number < times {
        true => stream.shutdown(net::Shutdown::Both).is_err(),
        false => stream.write_all(answer.as_bytes()).is_ok(),
    })
}

#[test]
fn what_is_refused_after_a_request_that_broke_off_may_have_been_written() {
    for (code, once) in [("ThrottlingException", Throttled), ("AccessDeniedException", Fatal)] {
        for (times, kind) in [(0, once), (1, Transient), (3, Transient)] {
            let fake = breaking(times, refusal(code, "no"));
            let table = table(&format!("http://{}", fake.address));
            assert_eq!(table.apply(&beat()).unwrap_err().kind(), kind, "{code} after {times}");
            assert_eq!(fake.requests.len(), times + 1, "each is sent again");
        }
        let fake = breaking(1, refusal(code, "no"));
        let read = table(&format!("http://{}", fake.address)).get("shard");
        assert_eq!(read.unwrap_err().kind(), once, "a read has written nothing");
    }
}

/// The kind of the error of a write whose refusal has no row, if the row cannot be read then.
fn unread(code: &'static str) -> LeaseTableErrorKind {
    let server = Server::new(move |request| {
        Some(match request.operation() {
            "UpdateItem" => refusal("ConditionalCheckFailedException", "no"),
            _ => refusal(code, "no"),
        })
    });
    table(&server.url()).apply(&beat()).unwrap_err().kind()
}

#[test]
fn a_refusal_without_its_row_is_looked_up_and_no_answer_to_that_is_a_write_undone() {
    let server = Server::new(|request| {
        Some(match request.operation() {
            "UpdateItem" => refusal("ConditionalCheckFailedException", "no"),
            _ => with(Some(r#"{"leaseKey":{"S":"shard"}}"#)),
        })
    });
    let found = Item::from([("leaseKey".to_owned(), "shard".into())]);
    assert_eq!(table(&server.url()).apply(&beat()).unwrap(), Applied::Refused(Some(found)));
    assert_eq!(unread("ThrottlingException"), Transient);
    assert_eq!(unread("AccessDeniedException"), Transient);
    assert_eq!(unread("ResourceNotFoundException"), NoTable);
}

#[test]
fn a_gateway_in_the_place_of_the_service_does_not_end_a_consumer() {
    for status in ["403 Forbidden", "404 Not Found", "407 Proxy Authentication Required"] {
        let server = Server::saying(answer(status, "", "<html>not today</html>"));
        let table = table(&server.url());
        for failed in [table.get("shard").map(drop), table.apply(&beat()).map(drop)] {
            assert_eq!(failed.unwrap_err().kind(), Transient, "{status}");
        }
    }
    let server = Server::saying(ok("{}"));
    assert_eq!(table(&server.url()).get("shard").unwrap_err().kind(), Transient);
    assert_eq!(table(&server.url()).coordinator().unwrap_err().kind(), Transient);
}
