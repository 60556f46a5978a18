//! The form of the file, and how an older form becomes the current one.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;

/// The steps from each version to the next; their number is the current version. A published step
/// is never changed.
///
/// Names are bytes, compared as bytes. Positions are text in the form of `Position::key`; a new kind of
/// position is a new version too, so that older programs do not touch the file.
pub(super) const STEPS: &[&str] = &["CREATE TABLE positions (
        application BLOB NOT NULL,
        stream      BLOB NOT NULL,
        shard       BLOB NOT NULL,
        position    TEXT NOT NULL COLLATE BINARY,
        updated_at  INTEGER NOT NULL, -- milliseconds since 1970
        PRIMARY KEY (application, stream, shard)
    ) STRICT, WITHOUT ROWID"];

/// Marks the file as a database of this library: "kcps".
const APPLICATION_ID: i64 = 0x6b63_7073;

/// Brings the file to the newest version, or finds out why it cannot be used.
pub(super) fn prepare(
    connection: &mut Connection,
    steps: &[&str],
    patience: Duration,
) -> Result<(), Fault> {
    // Checked before anything is changed: another program may own it.
    let found = version(&connection.transaction()?, steps)?;
    use_write_ahead_log(connection, patience)?;
    if found < steps.len() {
        migrate(connection, steps)?;
    }
    Ok(())
}

/// One transaction: a crash leaves the old version or the new one.
fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version(&transaction, steps)?;
    for step in &steps[found..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    Ok(transaction.commit()?)
}

/// The version of the file; 0 if it is empty. Read in one transaction, so that all values belong
/// together.
fn version(transaction: &Transaction<'_>, steps: &[&str]) -> Result<usize, Fault> {
    let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let found = number("PRAGMA user_version")?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    match (application, usize::try_from(found)) {
        (APPLICATION_ID, Ok(version)) if (1..=steps.len()).contains(&version) => Ok(version),
        (APPLICATION_ID, Ok(1..)) => Err(Fault::Newer { found, known: steps.len() }),
        (0, Ok(0)) if is_empty => Ok(0),
        _ => Err(Fault::Foreign),
    }
}

/// Whether the file still has the current version: a newer program may have changed it since.
pub(super) fn check(transaction: &Transaction<'_>) -> Result<(), Fault> {
    let mut statement = transaction.prepare_cached("PRAGMA user_version")?;
    let found: i64 = statement.query_row([], |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(version) if version == STEPS.len() => Ok(()),
        Ok(version) if version > STEPS.len() => Err(Fault::Newer { found, known: STEPS.len() }),
        _ => Err(Fault::Foreign),
    }
}

/// The mode stays with the file, so that this acts only once.
fn use_write_ahead_log(connection: &mut Connection, patience: Duration) -> Result<(), Fault> {
    let deadline = Instant::now() + patience;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode.map_err(Fault::from) {
            Ok::<String, _>(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(Fault::NoLog),
            // SQLite does not wait here, because two connections could wait for each other for ever.
            Err(fault) if fault.is_busy() && Instant::now() < deadline => {
                // Here it waits, up to the busy timeout, until no other connection uses the file.
                connection.transaction_with_behavior(TransactionBehavior::Exclusive)?.commit()?;
            }
            Err(fault) => return Err(fault),
        }
    }
}
