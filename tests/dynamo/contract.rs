//! The contract of every table, on each server.

use kinesis_consumer::DynamoLeases;
use kinesis_consumer::leases::{
    Act, Applied, Item, LeaseTable, LeaseTableError, Page, PageToken, Update, Write,
};
use kinesis_consumer::testing::lease_table_contract;

use crate::at;

/// What moto does not do: an update without changes ends with an error of its own.
pub(crate) struct Moto(pub(crate) DynamoLeases);

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

#[test]
fn dynoxide_keeps_the_contract() {
    let Some(server) = at("DYNOXIDE_ENDPOINT") else { return };
    lease_table_contract(|check| server.table(check));
}
