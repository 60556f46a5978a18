//! The table of leases in DynamoDB, on servers that speak like it: tests/servers/run.sh starts them.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};

use kinesis_consumer::leases::{
    Act, Applied, Item, LeaseTable, LeaseTableError, Page, PageToken, Update, Write,
};
use kinesis_consumer::testing::lease_table_contract;
use kinesis_consumer::{DynamoLeases, KinesisClient};

/// A server, by the variable that has its address.
fn at(variable: &str) -> Option<Server> {
    let endpoint = match env::var(variable) {
        Ok(endpoint) => endpoint,
        Err(_) if env::var_os("CI").is_none() => return None,
        Err(_) => panic!("{variable} is not set: tests/servers/run.sh does that"),
    };
    let client = KinesisClient::builder().region("us-east-1").credentials("key", "secret");
    Some(Server { client: client.build().expect("a client"), endpoint })
}

/// A server, and who calls it.
struct Server {
    client: KinesisClient,
    endpoint: String,
}

impl Server {
    /// A new table, whose name begins like this.
    fn table(&self, name: &str) -> DynamoLeases {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{number}-{}", std::process::id());
        let table = self.client.lease_table(name).expect("a name").endpoint(&self.endpoint);
        let table = table.expect("an address");
        table.create().expect("a table");
        table
    }
}

/// What moto does not do: an update without changes ends with an error of its own.
struct Moto(DynamoLeases);

impl LeaseTable for Moto {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.0.page(after)
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.0.get(key)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        match write.act() {
            Act::Update(update) if update.changes().is_empty() => {
                let changed = Update::new().remove("neverThere");
                self.0.apply(&Write::update(write.key(), write.condition().clone(), changed))
            }
            _ => self.0.apply(write),
        }
    }
}

#[test]
fn dynalite_keeps_the_contract() {
    let Some(server) = at("DYNALITE_ENDPOINT") else { return };
    lease_table_contract(|check| server.table(check));
}

#[test]
fn moto_keeps_the_contract() {
    let Some(server) = at("MOTO_ENDPOINT") else { return };
    lease_table_contract(|check| Moto(server.table(check)));
}
