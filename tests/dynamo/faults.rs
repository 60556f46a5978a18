//! Each fault on the way to a table, on each server: what a call says then, and what it has done.

use std::time::Duration;

use kinesis_consumer::DynamoLeases;
use kinesis_consumer::leases::{
    Applied, Condition, Item, KEY, LeaseTable, LeaseTableError, LeaseTableErrorKind, Page,
    PageToken, Update, Write,
};
use kinesis_consumer::testing::lease_table_contract;

use crate::contract::Moto;
use crate::proxy::{Fault, Proxy};
use crate::{Server, at};

/// Of a call whose answer does not come.
const DEADLINE: Duration = Duration::from_secs(1);
/// Of any other call.
const PATIENT: Duration = Duration::from_secs(20);
/// Well within and well beyond the deadline of the call.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3);

/// What is to be known of a call that a fault meets.
struct Outcome {
    fault: Fault,
    /// The kind of its error, if it is one.
    kind: Option<LeaseTableErrorKind>,
    /// Whether a write is done.
    is_done: bool,
}

const OUTCOMES: [Outcome; 6] = {
    use LeaseTableErrorKind::{Throttled, Transient};
    [
        Outcome { fault: Fault::Refused, kind: Some(Transient), is_done: false },
        Outcome { fault: Fault::Throttled, kind: Some(Throttled), is_done: false },
        Outcome { fault: Fault::Lost, kind: Some(Transient), is_done: true },
        Outcome { fault: Fault::Cut, kind: Some(Transient), is_done: true },
        Outcome { fault: Fault::Slow(LONG), kind: Some(Transient), is_done: true },
        Outcome { fault: Fault::Slow(SHORT), kind: None, is_done: true },
    ]
};

/// A table, and the same one on a way that may be bad.
struct Pair {
    proxy: Proxy,
    direct: DynamoLeases,
    through: DynamoLeases,
    /// On the same way, as long as it may take.
    patient: DynamoLeases,
}

impl Pair {
    fn new(server: &Server) -> Self {
        let direct = server.table("faults");
        let proxy = Proxy::before(&server.endpoint);
        let through = direct.clone().endpoint(&proxy.endpoint()).unwrap();
        let [through, patient] =
            [DEADLINE, PATIENT].map(|limit| through.clone().deadline(limit).unwrap());
        Self { proxy, direct, through, patient }
    }

    /// Who makes the call that a fault meets.
    fn caller(&self, outcome: &Outcome) -> &DynamoLeases {
        match outcome.fault {
            Fault::Lost | Fault::Slow(LONG) => &self.through,
            _ => &self.patient,
        }
    }

    /// The same call with a fault, and then without.
    fn twice<T>(
        &self,
        outcome: &Outcome,
        call: impl Fn(&DynamoLeases) -> Result<T, LeaseTableError>,
    ) -> (Option<T>, T) {
        let fault = outcome.fault;
        self.proxy.choose(move |_| Some(fault));
        let first = call(self.caller(outcome));
        self.proxy.heal();
        let kind = first.as_ref().err().map(LeaseTableError::kind);
        assert_eq!(kind, outcome.kind, "{fault:?}: {:?}", first.err());
        (first.ok(), call(&self.patient).unwrap())
    }

    /// A write that a fault meets: the row tells whether it is done, and so does the same write again.
    fn write(&self, outcome: &Outcome, write: &Write, after: Option<&Item>) {
        let fault = outcome.fault;
        let before = self.direct.get(write.key()).unwrap();
        self.proxy.choose(move |_| Some(fault));
        let first = self.caller(outcome).apply(write);
        self.proxy.heal();
        let kind = first.as_ref().err().map(LeaseTableError::kind);
        assert_eq!(kind, outcome.kind, "{fault:?}, {write:?}: {:?}", first.err());
        let found = self.direct.get(write.key()).unwrap();
        let wanted = if outcome.is_done { after } else { before.as_ref() };
        assert_eq!(found.as_ref(), wanted, "{fault:?}, {write:?}");
        let again = self.patient.apply(write).unwrap();
        match outcome.is_done {
            true => assert_eq!(again, Applied::Refused(found), "{fault:?}, {write:?}"),
            false => assert!(matches!(again, Applied::Done(_)), "{fault:?}, {write:?}: {again:?}"),
        }
        assert_eq!(self.direct.get(write.key()).unwrap().as_ref(), after, "{fault:?}, {write:?}");
    }
}

fn row(key: &str, counter: u64) -> Item {
    Item::from([(KEY.to_owned(), key.into()), ("leaseCounter".to_owned(), counter.into())])
}

/// A row that is created, grows by one and goes, each time with a fault.
fn writes_are_decided_by_a_read(variable: &str) {
    let Some(server) = at(variable) else { return };
    let pair = Pair::new(&server);
    for (number, outcome) in OUTCOMES.iter().enumerate() {
        let key = format!("shardId-{number:012}");
        let when = |counter: u64| Condition::equals("leaseCounter", counter);
        pair.write(outcome, &Write::create(&key, row(&key, 7)), Some(&row(&key, 7)));
        let step = Write::update(&key, when(7), Update::new().add("leaseCounter", 1));
        pair.write(outcome, &step, Some(&row(&key, 8)));
        pair.write(outcome, &Write::delete(&key, when(8)), None);
    }
}

/// What a read says that a fault meets, and that the next one is whole.
fn reads_are_whole_or_fail(variable: &str) {
    let Some(server) = at(variable) else { return };
    let pair = Pair::new(&server);
    let keys: Vec<_> = (0..5).map(|number| format!("shardId-{number:012}")).collect();
    for key in &keys {
        pair.direct.apply(&Write::create(key, row(key, 1))).unwrap();
    }
    for outcome in &OUTCOMES {
        let (first, again) = pair.twice(outcome, |table| table.get(&keys[2]));
        assert!(first.into_iter().chain([again]).all(|it| it == Some(row(&keys[2], 1))));
        let (first, again) = pair.twice(outcome, |table| table.page(None));
        let found = |page: &Page| page.items.len();
        assert!(first.iter().chain([&again]).all(|page| found(page) == 5), "{:?}", outcome.fault);
        // There is no such table. The type of a refusal may be in its head, which no cut takes away.
        let (fault, is_cut) = (outcome.fault, outcome.fault == Fault::Cut);
        pair.proxy.choose(move |_| Some(fault));
        match pair.caller(outcome).coordinator() {
            Ok(found) => assert!(found.is_none() && (is_cut || outcome.kind.is_none())),
            Err(error) => assert_eq!(Some(error.kind()), outcome.kind, "{fault:?}: {error:#}"),
        }
        pair.proxy.heal();
    }
}

/// Makes each call again that a fault has kept from being made.
struct Again<T> {
    table: T,
    /// On the way to the table.
    _proxy: Proxy,
}

impl<T: LeaseTable> Again<T> {
    fn call<R>(&self, call: impl Fn(&T) -> Result<R, LeaseTableError>) -> R {
        loop {
            match call(&self.table) {
                Ok(answer) => return answer,
                Err(error) => {
                    let kind = error.kind();
                    let is_made_up = matches!(
                        kind,
                        LeaseTableErrorKind::Throttled | LeaseTableErrorKind::Transient
                    );
                    assert!(is_made_up, "{error:#}");
                }
            }
        }
    }
}

impl<T: LeaseTable> LeaseTable for Again<T> {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        Ok(self.call(|table| table.page(after)))
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        Ok(self.call(|table| table.get(key)))
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        Ok(self.call(|table| table.apply(write)))
    }
}

/// The contract, while calls are refused, throttled and slow: what is refused is not done, so it may be made again. A
/// write whose answer is lost cannot be: one that adds would add twice.
fn contract_holds_while_calls_are_refused<T: LeaseTable>(
    variable: &str,
    before: impl Fn(&str) -> Proxy,
    with: impl Fn(DynamoLeases) -> T,
) {
    let Some(server) = at(variable) else { return };
    lease_table_contract(|check| {
        let table = server.table(check);
        let proxy = before(&server.endpoint);
        proxy.choose(|request| match (fastrand::u8(..20), request.operation()) {
            (0, _) => Some(Fault::Refused),
            (1, _) => Some(Fault::Throttled),
            (2, _) => Some(Fault::Slow(Duration::from_millis(10))),
            // A read is read again.
            (3, "Scan" | "GetItem") => Some(Fault::Cut),
            _ => None,
        });
        let table = table.endpoint(&proxy.endpoint()).unwrap();
        Again { table: with(table.deadline(PATIENT).unwrap()), _proxy: proxy }
    });
}

#[test]
fn a_write_that_a_fault_meets_is_decided_by_a_read_on_dynalite() {
    writes_are_decided_by_a_read("DYNALITE_ENDPOINT");
}

#[test]
fn a_write_that_a_fault_meets_is_decided_by_a_read_on_moto() {
    writes_are_decided_by_a_read("MOTO_ENDPOINT");
}

#[test]
fn a_write_that_a_fault_meets_is_decided_by_a_read_on_dynoxide() {
    writes_are_decided_by_a_read("DYNOXIDE_ENDPOINT");
}

#[test]
fn a_read_that_a_fault_meets_fails_and_is_never_a_part_on_dynalite() {
    reads_are_whole_or_fail("DYNALITE_ENDPOINT");
}

#[test]
fn a_read_that_a_fault_meets_fails_and_is_never_a_part_on_moto() {
    reads_are_whole_or_fail("MOTO_ENDPOINT");
}

#[test]
fn a_read_that_a_fault_meets_fails_and_is_never_a_part_on_dynoxide() {
    reads_are_whole_or_fail("DYNOXIDE_ENDPOINT");
}

#[test]
fn dynalite_keeps_the_contract_while_calls_are_refused() {
    contract_holds_while_calls_are_refused("DYNALITE_ENDPOINT", Proxy::before, |table| table);
}

#[test]
fn moto_keeps_the_contract_while_calls_are_refused() {
    // Of two additions that meet, moto loses one.
    contract_holds_while_calls_are_refused("MOTO_ENDPOINT", Proxy::in_turn_before, Moto);
}

#[test]
fn dynoxide_keeps_the_contract_while_calls_are_refused() {
    contract_holds_while_calls_are_refused("DYNOXIDE_ENDPOINT", Proxy::before, |table| table);
}
