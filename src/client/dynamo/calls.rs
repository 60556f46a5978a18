//! What is asked of a table, and what the answers say; writes are in `expressions`.

use serde::{Deserialize, Serialize};

use crate::aws::http::malformed::Malformed;
use crate::client::dynamo::expressions;
use crate::client::dynamo::item::{Row, Wire, WireItem};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::page::{Page, PageToken};

/// An operation, and the target of its call.
pub(super) type Names = (&'static str, &'static str);

pub(super) const GET: Names = ("GetItem", "DynamoDB_20120810.GetItem");
pub(super) const SCAN: Names = ("Scan", "DynamoDB_20120810.Scan");
pub(super) const CREATE: Names = ("CreateTable", "DynamoDB_20120810.CreateTable");
pub(super) const DESCRIBE: Names = ("DescribeTable", "DynamoDB_20120810.DescribeTable");

/// Asks what the call has cost. It counts for the budget of surveys, and it tells an answer without a row from one that is
/// not DynamoDB's.
const COST: &str = "TOTAL";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetInput<'a> {
    table_name: &'a str,
    key: WireItem<'a>,
    consistent_read: bool,
    return_consumed_capacity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScanInput<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<WireItem<'a>>,
    return_consumed_capacity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateInput<'a> {
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
pub(super) struct DescribeInput<'a> {
    pub(super) table_name: &'a str,
}

impl<'a> GetInput<'a> {
    /// Asks for a row as it was last written.
    fn new(table: &'a str, key: WireItem<'a>) -> Self {
        let (consistent_read, return_consumed_capacity) = (true, COST);
        Self { table_name: table, key, consistent_read, return_consumed_capacity }
    }

    /// Asks for the row of a lease.
    pub(super) fn lease(table: &'a str, key: &'a str) -> Self {
        Self::new(table, expressions::key(key))
    }

    /// Asks for what the coordinator of KCL 3 has written about its version into its own table.
    pub(super) fn coordinator(table: &'a str) -> Self {
        Self::new(table, WireItem::from([("key", Wire::S("Migration3.0"))]))
    }
}

impl<'a> ScanInput<'a> {
    /// Asks for the rows after this place. They may be some seconds old, at half the price.
    pub(super) fn new(table: &'a str, after: Option<&'a PageToken>) -> Self {
        let exclusive_start_key = after.map(|after| expressions::key(after.key()));
        Self { table_name: table, exclusive_start_key, return_consumed_capacity: COST }
    }
}

impl<'a> CreateInput<'a> {
    /// Asks for a table of leases, billed by request.
    pub(super) fn new(table: &'a str) -> Self {
        Self {
            table_name: table,
            attribute_definitions: [AttributeDefinition {
                attribute_name: KEY,
                attribute_type: "S",
            }],
            key_schema: [KeySchema { attribute_name: KEY, key_type: "HASH" }],
            billing_mode: "PAY_PER_REQUEST",
        }
    }
}

/// The answer to a write.
pub(super) enum Answered {
    Done(Item),
    Refused(Option<Item>),
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

/// Whether the table can be used.
pub(super) fn is_active(body: &[u8]) -> Result<bool, Malformed> {
    let output: DescribeOutput = serde_json::from_slice(body)?;
    // While it is changed, it can be used.
    Ok(matches!(&*output.table.table_status, "ACTIVE" | "UPDATING"))
}

/// A page of rows.
pub(super) fn page(body: &[u8]) -> Result<Page, Malformed> {
    let output: ScanOutput = serde_json::from_slice(body)?;
    let next =
        output.last_evaluated_key.map(|key| match key.0.get(KEY).and_then(Attribute::text) {
            Some(key) => Ok(PageToken::after(key)),
            None => Err(Malformed::new("a next page without its key")),
        });
    let units = output.consumed_capacity.map_or(0.0, |it| it.capacity_units);
    let items = output.items.into_iter().map(|row| row.0).collect();
    Ok(Page::new(items, next.transpose()?, units))
}

/// The row that was asked for; `None` if the table has no such row.
///
/// # Errors
/// If the answer is not DynamoDB's. Without a row DynamoDB still says what the call has cost. An empty object comes from
/// somebody else, for example from a proxy, and does not prove that there is no row.
pub(super) fn row(body: &[u8]) -> Result<Option<Item>, Malformed> {
    let output: GetOutput = serde_json::from_slice(body)?;
    match (output.item, output.consumed_capacity) {
        (None, None) => Err(Malformed::new("neither a row nor what the call has cost")),
        (item, _) => Ok(item.map(|row| row.0)),
    }
}

/// The row that refused a write, if the server says it.
pub(super) fn refused(body: &[u8]) -> Result<Answered, Malformed> {
    let output: RefusedOutput = serde_json::from_slice(body)?;
    Ok(Answered::Refused(output.item.map(|row| row.0)))
}
