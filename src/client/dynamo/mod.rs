//! A table of leases in DynamoDB.

mod calls;
mod expressions;
mod item;
mod refusals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::aws::caller::{Account, Caller, Peer};
use crate::aws::endpoint::{self, Endpoint};
use crate::aws::environment::{self, Lookup};
use crate::aws::http::malformed::Malformed;
use crate::aws::http::transport::Network;
use crate::aws::region;
use crate::aws::service::Service;
use crate::aws::sign::Content;
use crate::client::dynamo::calls::{
    Answered, CREATE, CreateInput, DESCRIBE, DescribeInput, GET, GetInput, Names, SCAN, ScanInput,
};
use crate::client::dynamo::expressions::Terms;
use crate::client::dynamo::refusals::{DYNAMODB, IN_USE, NO_TABLE, REFUSED};
use crate::control::call::Call;
use crate::error::Error;
use crate::error::client::ClientError;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;
use crate::sync;

/// A table of leases in DynamoDB, in the form of Amazon's KCL 2.x: its key is the text `leaseKey`.
///
/// [`KinesisClient::lease_table`](crate::KinesisClient::lease_table) makes one, in the client's region and with its
/// credentials. It has connections of its own, which a clone shares. A call takes no longer than the [deadline](Self::deadline).
/// Within it, a request whose connection breaks is sent again at once, up to three times; everything else that fails is left
/// to the [`Fleet`](crate::Fleet), which makes the call again. So a write may be done twice, and its condition then refuses
/// the second time: the consumer knows its own write by the row.
///
/// A refusal that may pass is [`Transient`](LeaseTableErrorKind::Transient), for example what a gateway answers in the place of
/// DynamoDB, or a signature that is refused for its time while the clock is right. No number of them ends a consumer: it
/// waits, [fenced](crate::Notice::Fenced), as it does while the network is down, and the log has the last one.
#[derive(Clone)]
pub struct DynamoLeases {
    table: String,
    coordinator: String,
    caller: Caller,
}

/// Less than a sixth of the default failover time: a beat that fails so late leaves time for others before the fence.
const DEADLINE: Duration = Duration::from_millis(1_500);
/// One for each thread that makes calls: beats, surveys, and commits of some shards at once.
const CONNECTIONS: usize = 64;
/// How long a table may take to be created, and how often it is looked at.
const CREATION: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);
/// The service's limits for the name of a table, and for its ARN in the place of the name.
const MAX_NAME: usize = 255;
const MAX_ARN: usize = 1_024;

impl DynamoLeases {
    /// The table of this name, where the account and the environment say.
    pub(crate) fn new(
        account: &Arc<Account>,
        table: String,
        lookup: Lookup<'_>,
    ) -> Result<Self, Error> {
        let Account { region, variants, allow_plain_http, .. } = &**account;
        let (service, plain) = (Service::DynamoDb, *allow_plain_http);
        let endpoint = endpoint::of_service(service, region, *variants, plain, lookup)?;
        let caller = caller(account, endpoint, DEADLINE, lookup)?;
        check_name("lease_table", &table)?;
        Ok(Self { coordinator: format!("{table}-CoordinatorState"), table, caller })
    }

    /// The address of the server, such as `http://localhost:8000` for a test server. Defaults to
    /// `AWS_ENDPOINT_URL_DYNAMODB`, and then as [`ClientBuilder::endpoint`](crate::ClientBuilder::endpoint) does.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is no address, or one of another service of Amazon's, or in another region than the
    /// client's.
    pub fn endpoint(self, url: &str) -> Result<Self, Error> {
        let (account, lookup) = (self.caller.account(), &environment::process);
        let endpoint = Endpoint::parse(url, account.allow_plain_http)?;
        endpoint.check(Service::DynamoDb)?;
        endpoint.say_unmet(&account.variants.demanded(lookup)?);
        let caller = caller(account, endpoint, self.caller.transport().deadline(), lookup)?;
        Ok(Self { caller, ..self })
    }

    /// The most time that a call may take, from connecting to the last byte; 100 ms to a minute. A sixth of the
    /// [failover time](crate::Fleet::failover) or less leaves a beat time for another attempt. Defaults to 1.5 seconds.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is out of range.
    pub fn deadline(self, limit: Duration) -> Result<Self, Error> {
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&limit) {
            let reason = "it must be from 100 ms to a minute".to_owned();
            return Err(Error::InvalidSetting { setting: "deadline", reason });
        }
        Ok(Self { caller: self.caller.session(limit, CONNECTIONS), ..self })
    }

    /// The table in which the coordinator of KCL 3 writes its version. Defaults to the table's name with
    /// `-CoordinatorState` after it, as in KCL.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is not the name of a table.
    pub fn coordinator_table(self, name: impl Into<String>) -> Result<Self, Error> {
        let coordinator = name.into();
        check_name("coordinator_table", &coordinator)?;
        Ok(Self { coordinator, ..self })
    }

    /// Creates the table, billed by request, unless it exists, and waits up to a minute until it can be used. Only this call
    /// ever creates one.
    ///
    /// # Errors
    /// If the service refuses it, or takes longer.
    pub fn create(&self) -> Result<(), LeaseTableError> {
        match self.call(CREATE, &CreateInput::new(&self.table), |_| Ok(())) {
            // It exists, or is being created.
            Err(error) if error.code() == Some(IN_USE) => {}
            answer => answer.map_err(refusals::of)?,
        }
        self.wait_until_active(CREATION)
    }

    fn wait_until_active(&self, creation: Duration) -> Result<(), LeaseTableError> {
        let (begun, input) = (sync::now(), DescribeInput { table_name: &self.table });
        loop {
            let answer = self.call(DESCRIBE, &input, calls::is_active).map_err(refusals::of);
            let failure = match answer {
                Ok(true) => return Ok(()),
                Err(error) if error.kind() == LeaseTableErrorKind::Fatal => return Err(error),
                // A new table is not known everywhere at once.
                answer => answer.err(),
            };
            if sync::since(begun) >= creation {
                let told = "the table of leases is still being created after a minute: start later";
                let error = LeaseTableError::new(LeaseTableErrorKind::Transient, told);
                return Err(match failure {
                    Some(failure) => error.with_source(failure),
                    None => error,
                });
            }
            // Nothing is sent into it: the end of the wait.
            let _ = sync::recv(&sync::at(sync::now() + LOOK));
        }
    }

    /// The name of the table.
    pub fn name(&self) -> &str {
        &self.table
    }

    fn call<T>(
        &self,
        (operation, target): Names,
        input: &impl Serialize,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ClientError> {
        let bounds = self.caller.bounds(operation, &Call::unbounded());
        self.caller.post(&bounds, target, input, |_, body| decode(body))
    }

    /// The row of a lease, as it was last written.
    fn lease(&self, key: &str) -> Result<Option<Item>, ClientError> {
        self.call(GET, &GetInput::lease(&self.table, key), calls::row)
    }
}

impl LeaseTable for DynamoLeases {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        let input = ScanInput::new(&self.table, after);
        self.call(SCAN, &input, calls::page).map_err(refusals::of)
    }

    fn coordinator(&self) -> Result<Option<Item>, LeaseTableError> {
        // The name that KCL would make of a long one belongs to no table.
        if !is_name(&self.coordinator) {
            return Ok(None);
        }
        match self.call(GET, &GetInput::coordinator(&self.coordinator), calls::row) {
            Err(error) if error.code() == Some(NO_TABLE) => Ok(None),
            answer => answer.map_err(refusals::of),
        }
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.lease(key).map_err(refusals::of)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        let terms = Terms::new(write);
        let (operation, input) = terms.request(&self.table, write);
        let bounds = self.caller.bounds(operation.names().0, &Call::unbounded());
        let done = |body: &[u8]| operation.done(write, body).map(Answered::Done);
        let refused = |code: &str, body: &[u8]| (code == REFUSED).then(|| calls::refused(body));
        let target = operation.names().1;
        let answer = self.caller.post_or(&bounds, target, &input, |_, body| done(body), refused);
        match answer.map_err(refusals::of_write)? {
            Answered::Done(row) => Ok(Applied::Done(row)),
            // There is no row, or the server does not say which. It may be that of an earlier request for this write.
            Answered::Refused(None) => {
                let found = self.lease(write.key()).map_err(refusals::unheard)?;
                Ok(Applied::Refused(found))
            }
            Answered::Refused(found) => Ok(Applied::Refused(found)),
        }
    }
}

/// Calls to that server, by this account.
fn caller(
    account: &Arc<Account>,
    endpoint: Endpoint,
    deadline: Duration,
    lookup: Lookup<'_>,
) -> Result<Caller, Error> {
    region::check(&account.region, endpoint.host())?;
    let network = Network::to(&endpoint, lookup)?;
    let (service, content, dialect) = (Service::DynamoDb, Content::Json10, &DYNAMODB);
    let peer = Peer { service, content, dialect, endpoint, network };
    Ok(Caller::new(Arc::clone(account), peer, deadline, CONNECTIONS))
}

/// Whether the service takes it as the name of a table, or as its ARN in the place of the name.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.strip_prefix("arn:") {
        Some(rest) => {
            name.len() <= MAX_ARN
                && rest.bytes().all(|byte| is_plain(byte) || b":/".contains(&byte))
        }
        None => (3..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain),
    }
}

fn check_name(setting: &'static str, name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    let reason = format!(
        "{shown:?} is no name of a table: 3 to 255 letters, digits, dots, hyphens and underscores, or its ARN"
    );
    Err(Error::InvalidSetting { setting, reason })
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
