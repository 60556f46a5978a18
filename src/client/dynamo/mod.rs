//! A table of leases in DynamoDB.

mod expressions;
mod item;
mod refusals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::caller::{Account, Caller, Peer};
use crate::aws::endpoint::{self, Endpoint};
use crate::aws::environment::{self, Lookup};
use crate::aws::http::malformed::Malformed;
use crate::aws::http::transport::Network;
use crate::aws::service::Service;
use crate::aws::sign::Content;
use crate::client::dynamo::expressions::Terms;
use crate::client::dynamo::item::{Row, Wire, WireItem};
use crate::client::dynamo::refusals::{DYNAMODB, IN_USE, NO_TABLE, REFUSED};
use crate::control::call::Call;
use crate::error::Error;
use crate::error::client::ClientError;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;
use crate::sync;

/// A table of leases in DynamoDB, in the form of Amazon's KCL 2.x: its key is the text `leaseKey`.
///
/// [`KinesisClient::lease_table`](crate::KinesisClient::lease_table) makes one, in the client's region and with its
/// credentials. Each call is made once; the [`Fleet`](crate::Fleet) makes it again if it failed. A call takes no longer than the
/// [deadline](Self::deadline). A clone shares the connections.
#[derive(Clone)]
pub struct DynamoLeases {
    table: String,
    coordinator: String,
    caller: Caller,
}

/// A beat that takes longer comes too late.
const DEADLINE: Duration = Duration::from_secs(2);
/// One for each thread that makes calls: beats, surveys, and commits of some shards at once.
const CONNECTIONS: usize = 64;
/// How long a table may take to be created, and how often it is looked at.
const CREATION: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);
/// Of a name that is none.
const MAX_SHOWN: usize = 255;

impl DynamoLeases {
    /// The table of this name, where the account and the environment say.
    pub(crate) fn new(account: &Arc<Account>, table: String) -> Result<Self, Error> {
        Self::new_in(account, table, &environment::process)
    }

    fn new_in(account: &Arc<Account>, table: String, lookup: Lookup<'_>) -> Result<Self, Error> {
        let Account { region, variants, allow_plain_http, .. } = &**account;
        let (service, plain) = (Service::DynamoDb, *allow_plain_http);
        let endpoint = endpoint::of_service(service, region, *variants, plain, lookup)?;
        let caller = caller(account, endpoint, DEADLINE, lookup)?;
        check_name(&table)?;
        Ok(Self { coordinator: format!("{table}-CoordinatorState"), table, caller })
    }

    /// The address of the server, such as `http://localhost:8000` for a test server. Defaults to
    /// `AWS_ENDPOINT_URL_DYNAMODB`, and then as [`ClientBuilder::endpoint`](crate::ClientBuilder::endpoint) does.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is no address, or one of another service of Amazon's.
    pub fn endpoint(self, url: &str) -> Result<Self, Error> {
        let account = self.caller.account();
        let endpoint = Endpoint::parse(url, account.allow_plain_http)?;
        endpoint.check(Service::DynamoDb)?;
        let deadline = self.caller.transport().deadline();
        let caller = caller(account, endpoint, deadline, &environment::process)?;
        Ok(Self { caller, ..self })
    }

    /// The most time that a call may take, from connecting to the last byte; 100 ms to a minute. A sixth of the
    /// [failover time](crate::Fleet::failover) or less leaves a beat time for another attempt. Defaults to 2 seconds.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is out of range.
    pub fn deadline(self, limit: Duration) -> Result<Self, Error> {
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&limit) {
            let reason = "it must be from 100 ms to a minute".to_owned();
            return Err(Error::InvalidSetting { setting: "deadline", reason });
        }
        Ok(Self { caller: self.caller.within(limit, CONNECTIONS), ..self })
    }

    /// The table in which the coordinator of KCL 3 writes its version. Defaults to the table's name with
    /// `-CoordinatorState` after it, as in KCL.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is not the name of a table.
    pub fn coordinator_table(self, name: impl Into<String>) -> Result<Self, Error> {
        let coordinator = name.into();
        check_name(&coordinator)?;
        Ok(Self { coordinator, ..self })
    }

    /// Creates the table, billed by request, unless it exists, and waits up to a minute until it can be used. Only this call
    /// ever creates one.
    ///
    /// # Errors
    /// If the service refuses it, or takes longer.
    pub fn create(&self) -> Result<(), LeaseTableError> {
        let input = CreateInput {
            table_name: &self.table,
            attribute_definitions: [AttributeDefinition {
                attribute_name: KEY,
                attribute_type: "S",
            }],
            key_schema: [KeySchema { attribute_name: KEY, key_type: "HASH" }],
            billing_mode: "PAY_PER_REQUEST",
        };
        let names = ("CreateTable", "DynamoDB_20120810.CreateTable");
        match self.call(names, &input, |_| Ok(())) {
            // It exists, or is being created.
            Err(error) if error.code() == Some(IN_USE) => {}
            answer => answer.map_err(refusals::of)?,
        }
        self.wait_until_active()
    }

    fn wait_until_active(&self) -> Result<(), LeaseTableError> {
        let begun = sync::now();
        while !self.is_active().map_err(refusals::of)? {
            if sync::since(begun) > CREATION {
                let told = "the table of leases is still being created after a minute: start later";
                return Err(LeaseTableError::new(LeaseTableErrorKind::Transient, told));
            }
            // Nothing is sent into it: the end of the wait.
            let _ = sync::recv(&sync::at(sync::now() + LOOK));
        }
        Ok(())
    }

    fn is_active(&self) -> Result<bool, ClientError> {
        let names = ("DescribeTable", "DynamoDB_20120810.DescribeTable");
        let status = |body: &[u8]| {
            let output: DescribeOutput = serde_json::from_slice(body)?;
            Ok(output.table.table_status)
        };
        let status = self.call(names, &DescribeInput { table_name: &self.table }, status)?;
        // While it is changed, it can be used.
        Ok(matches!(&*status, "ACTIVE" | "UPDATING"))
    }

    /// The name of the table.
    pub fn name(&self) -> &str {
        &self.table
    }

    fn call<T>(
        &self,
        (operation, target): (&'static str, &'static str),
        input: &impl Serialize,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ClientError> {
        let bounds = self.caller.bounds(operation, &Call::unbounded());
        self.caller.post(&bounds, target, input, |_, body| decode(body))
    }

    /// A row of a table, as it was last written.
    fn get_from(&self, table: &str, key: WireItem<'_>) -> Result<Option<Item>, ClientError> {
        let return_consumed_capacity = "TOTAL";
        let input =
            GetInput { table_name: table, key, consistent_read: true, return_consumed_capacity };
        self.call(("GetItem", "DynamoDB_20120810.GetItem"), &input, row)
    }
}

impl LeaseTable for DynamoLeases {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        let input = ScanInput {
            table_name: &self.table,
            exclusive_start_key: after.map(|after| expressions::key(after.key())),
            return_consumed_capacity: "TOTAL",
        };
        let names = ("Scan", "DynamoDB_20120810.Scan");
        self.call(names, &input, page).map_err(refusals::of)
    }

    fn coordinator(&self) -> Result<Option<Item>, LeaseTableError> {
        let key = WireItem::from([("key", Wire::S("Migration3.0"))]);
        match self.get_from(&self.coordinator, key) {
            Err(error) if error.code() == Some(NO_TABLE) => Ok(None),
            answer => answer.map_err(refusals::of),
        }
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.get_from(&self.table, expressions::key(key)).map_err(refusals::of)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        let terms = Terms::new(write);
        let (operation, input) = terms.request(&self.table, write);
        let bounds = self.caller.bounds(operation.names().0, &Call::unbounded());
        let done = |body: &[u8]| operation.done(write, body).map(Answered::Done);
        let refused = |code: &str, body: &[u8]| (code == REFUSED).then(|| refused(body));
        let target = operation.names().1;
        let answer = self.caller.post_or(&bounds, target, &input, |_, body| done(body), refused);
        match answer.map_err(refusals::of)? {
            Answered::Done(row) => Ok(Applied::Done(row)),
            // There is no row, or the server does not say which.
            Answered::Refused(None) => Ok(Applied::Refused(self.get(write.key())?)),
            Answered::Refused(found) => Ok(Applied::Refused(found)),
        }
    }
}

/// The answer to a write.
enum Answered {
    Done(Item),
    Refused(Option<Item>),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetInput<'a> {
    table_name: &'a str,
    key: WireItem<'a>,
    consistent_read: bool,
    return_consumed_capacity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ScanInput<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<WireItem<'a>>,
    return_consumed_capacity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateInput<'a> {
    table_name: &'a str,
    attribute_definitions: [AttributeDefinition; 1],
    key_schema: [KeySchema; 1],
    billing_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: &'static str,
    attribute_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchema {
    attribute_name: &'static str,
    key_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeInput<'a> {
    table_name: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeOutput {
    table: Description,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    table_status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetOutput {
    item: Option<Row>,
    consumed_capacity: Option<Capacity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanOutput {
    items: Vec<Row>,
    last_evaluated_key: Option<Row>,
    consumed_capacity: Option<Capacity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Capacity {
    capacity_units: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RefusedOutput {
    item: Option<Row>,
}

/// Calls to that server, by this account.
fn caller(
    account: &Arc<Account>,
    endpoint: Endpoint,
    deadline: Duration,
    lookup: Lookup<'_>,
) -> Result<Caller, Error> {
    let network = Network::to(&endpoint, lookup)?;
    let (service, content, dialect) = (Service::DynamoDb, Content::Json10, &DYNAMODB);
    let peer = Peer { service, content, dialect, endpoint, network };
    Ok(Caller::new(Arc::clone(account), peer, deadline, CONNECTIONS))
}

/// The service's own rule; an ARN of a table is as good as a name.
fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
    if (3..=1_024).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_SHOWN).collect();
    let reason = format!(
        "{shown:?} is no name of a table: 3 to 255 letters, digits, dots, hyphens and underscores, or its ARN"
    );
    Err(Error::InvalidSetting { setting: "lease_table", reason })
}

/// A page of rows.
fn page(body: &[u8]) -> Result<Page, Malformed> {
    let output: ScanOutput = serde_json::from_slice(body)?;
    let next = output.last_evaluated_key.map(|row| row.0);
    let next = next.map(|key| match key.get(KEY).and_then(Attribute::text) {
        Some(key) => Ok(PageToken::after(key)),
        None => Err(Malformed::new("a next page without its key")),
    });
    let units = output.consumed_capacity.map_or(0.0, |it| it.capacity_units);
    let items = output.items.into_iter().map(|row| row.0).collect();
    Ok(Page::new(items, next.transpose()?, units))
}

/// One row, if there is one. What a proxy answers in the place of the service does not say that there is none.
fn row(body: &[u8]) -> Result<Option<Item>, Malformed> {
    let output: GetOutput = serde_json::from_slice(body)?;
    match (output.item, output.consumed_capacity) {
        (None, None) => Err(Malformed::new("neither a row nor what the call has cost")),
        (item, _) => Ok(item.map(|row| row.0)),
    }
}

/// The row that refused a write, if the server says it.
fn refused(body: &[u8]) -> Result<Answered, Malformed> {
    let output: RefusedOutput = serde_json::from_slice(body)?;
    Ok(Answered::Refused(output.item.map(|row| row.0)))
}

impl fmt::Debug for DynamoLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoLeases")
            .field("table", &self.table)
            .field("endpoint", &self.caller.peer().endpoint.url())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
