//! A table whose calls are watched, and that fails, waits or panics on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinesis_consumer::leases::{
    Applied, Item, LeaseTable, LeaseTableError, LeaseTableErrorKind, Page, PageToken, Write,
};
use kinesis_consumer::testing::MemoryLeases;

/// A call of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableCall {
    Page,
    Coordinator,
    Get,
    Apply,
}

type Hook = dyn Fn(TableCall) -> Result<(), LeaseTableError> + Send + Sync;

/// A table in memory with a hook before each call.
#[derive(Clone)]
pub(crate) struct Watched {
    inside: MemoryLeases,
    hook: Arc<Hook>,
    coordinator: Option<Item>,
}

impl Watched {
    pub(crate) fn new(
        table: &MemoryLeases,
        hook: impl Fn(TableCall) -> Result<(), LeaseTableError> + Send + Sync + 'static,
    ) -> Self {
        Self { inside: table.clone(), hook: Arc::new(hook), coordinator: None }
    }

    /// One of which every call fails this way while the flag is set.
    pub(crate) fn failing(
        table: &MemoryLeases,
        kind: LeaseTableErrorKind,
    ) -> (Self, Arc<AtomicBool>) {
        let fails = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&fails);
        let table = Self::new(table, move |_| match flag.load(Ordering::SeqCst) {
            true => Err(failure(kind)),
            false => Ok(()),
        });
        (table, fails)
    }

    /// The same beside a table of a coordinator, which holds this row.
    pub(crate) fn coordinated(self, row: Item) -> Self {
        Self { coordinator: Some(row), ..self }
    }
}

impl LeaseTable for Watched {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        (self.hook)(TableCall::Page)?;
        self.inside.page(after)
    }

    fn coordinator(&self) -> Result<Option<Item>, LeaseTableError> {
        (self.hook)(TableCall::Coordinator)?;
        Ok(self.coordinator.clone())
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        (self.hook)(TableCall::Get)?;
        self.inside.get(key)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        (self.hook)(TableCall::Apply)?;
        self.inside.apply(write)
    }
}

pub(crate) fn failure(kind: LeaseTableErrorKind) -> LeaseTableError {
    LeaseTableError::new(kind, "the table said no")
}
