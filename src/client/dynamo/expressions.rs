//! Conditional writes as DynamoDB's expressions.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::aws::http::malformed::Malformed;
use crate::client::dynamo::item::{Row, Wire, WireItem, wire};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::write::{Act, Change, Condition, Update, Write};

/// The request of `PutItem`, `UpdateItem` or `DeleteItem`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WriteInput<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<WireItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<WireItem<'a>>,
    condition_expression: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expression: Option<String>,
    #[serde(skip_serializing_if = "WireNames::is_empty")]
    expression_attribute_names: WireNames,
    #[serde(skip_serializing_if = "WireItem::is_empty")]
    expression_attribute_values: WireItem<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values: Option<&'static str>,
    /// Without it, a lost reply could not be told from a lost race in one call.
    return_values_on_condition_check_failure: &'static str,
}

/// The texts of a write, before they are borrowed.
#[derive(Default)]
pub(super) struct Terms {
    names: Vec<&'static str>,
    values: Vec<(String, Attribute)>,
    condition: String,
    update: Option<String>,
}

type WireNames = std::collections::BTreeMap<String, &'static str>;

/// The key of a row.
pub(super) fn key(key: &str) -> WireItem<'_> {
    WireItem::from([(KEY, Wire::S(key))])
}

impl Terms {
    /// The texts of a write.
    pub(super) fn new(write: &Write) -> Self {
        let mut terms = Self::default();
        terms.condition = terms.condition(write.condition());
        if let Act::Update(update) = write.act() {
            terms.update = terms.update(update);
        }
        terms
    }

    /// The operation, and its request.
    pub(super) fn request<'a>(
        &'a self,
        table: &'a str,
        write: &'a Write,
    ) -> (Operation, WriteInput<'a>) {
        let operation = Operation::of(write.act());
        let item = match write.act() {
            Act::Put(item) => Some(wire(item)),
            Act::Update(_) | Act::Delete => None,
        };
        let names = self.names.iter().enumerate().map(|(at, name)| (format!("#{at}"), *name));
        let values = self.values.iter().map(|(name, value)| (name.as_str(), Wire::of(value)));
        let input = WriteInput {
            table_name: table,
            key: item.is_none().then(|| key(write.key())),
            item,
            condition_expression: self.condition.clone(),
            update_expression: self.update.clone(),
            expression_attribute_names: names.collect(),
            expression_attribute_values: values.collect(),
            return_values: operation.returns(),
            return_values_on_condition_check_failure: "ALL_OLD",
        };
        (operation, input)
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Exists(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Equals(name, value) => {
                format!("{} = {}", self.name(name), self.value(value.clone()))
            }
            Condition::Same(name, other) => {
                let (name, other) = (self.name(name), self.name(other));
                // To some servers two attributes are equal that are not there.
                format!("attribute_exists({name}) AND {name} = {other}")
            }
            Condition::All(pair) => self.pair(pair, "AND"),
            Condition::Any(pair) => self.pair(pair, "OR"),
        }
    }

    fn pair(&mut self, pair: &[Condition; 2], word: &str) -> String {
        let [one, other] = pair;
        format!("({}) {word} ({})", self.condition(one), self.condition(other))
    }

    /// `None` if nothing changes: the service takes no empty text.
    fn update(&mut self, update: &Update) -> Option<String> {
        let mut clauses =
            [("SET ", String::new()), ("ADD ", String::new()), ("REMOVE ", String::new())];
        for (name, change) in update.changes() {
            let name = self.name(name);
            let (clause, text) = match change {
                Change::Set(value) => (0, format!("{name} = {}", self.value(value.clone()))),
                Change::Add(more) => (1, format!("{name} {}", self.value((*more).into()))),
                Change::Remove => (2, name),
            };
            let clause = &mut clauses[clause].1;
            let comma = if clause.is_empty() { "" } else { ", " };
            write!(clause, "{comma}{text}").expect("a text grows");
        }
        let clauses = clauses.iter().filter(|(_, text)| !text.is_empty());
        let texts: Vec<_> = clauses.map(|(word, text)| format!("{word}{text}")).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }

    /// A name in an expression: many names are words of the language.
    fn name(&mut self, name: &'static str) -> String {
        let at = self.names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        format!("#{at}")
    }

    fn value(&mut self, value: Attribute) -> String {
        let name = format!(":{}", self.values.len());
        self.values.push((name.clone(), value));
        name
    }
}

/// The answer to a write.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteOutput {
    attributes: Option<Row>,
}

/// A conditional write of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Update,
    Delete,
}

impl Operation {
    fn of(act: &Act) -> Self {
        match act {
            Act::Put(_) => Self::Put,
            Act::Update(_) => Self::Update,
            Act::Delete => Self::Delete,
        }
    }

    /// Its name, and the target of its call.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Put => ("PutItem", "DynamoDB_20120810.PutItem"),
            Self::Update => ("UpdateItem", "DynamoDB_20120810.UpdateItem"),
            Self::Delete => ("DeleteItem", "DynamoDB_20120810.DeleteItem"),
        }
    }

    /// Which row its answer has; the row of a creation is known.
    fn returns(self) -> Option<&'static str> {
        match self {
            Self::Put => None,
            Self::Update => Some("ALL_NEW"),
            Self::Delete => Some("ALL_OLD"),
        }
    }

    /// The row after the write, or, of a deletion, before it.
    ///
    /// # Errors
    /// If the answer does not say it: then nobody knows what was done.
    pub(super) fn done(self, write: &Write, body: &[u8]) -> Result<Item, Malformed> {
        let output: WriteOutput = serde_json::from_slice(body)?;
        match (write.act(), output.attributes) {
            (Act::Put(item), _) => Ok(item.clone()),
            (Act::Update(_) | Act::Delete, Some(row)) => Ok(row.0),
            (Act::Update(_) | Act::Delete, None) => {
                Err(Malformed::new("no row after a write of one"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(write: &Write) -> serde_json::Value {
        let terms = Terms::new(write);
        serde_json::to_value(terms.request("leases", write).1).unwrap()
    }

    #[test]
    fn a_write_becomes_expressions_in_which_no_name_is_a_word_of_the_language() {
        let when = Condition::equals("leaseOwner", "me").or(Condition::Absent("leaseOwner"));
        let update = Update::new()
            .add("leaseCounter", 1)
            .set("checkpoint", "7")
            .set("kcFailover", 9_u64)
            .remove("kcFrom")
            .remove("pending");
        let found = json(&Write::update("shard", when, update));
        assert_eq!(
            found["ConditionExpression"],
            "(attribute_exists(#0)) AND ((#1 = :0) OR (attribute_not_exists(#1)))"
        );
        assert_eq!(found["UpdateExpression"], "SET #2 = :1, #3 = :2 ADD #5 :3 REMOVE #4, #6");
        let names = &found["ExpressionAttributeNames"];
        assert_eq!((&names["#0"], &names["#5"]), (&"leaseKey".into(), &"leaseCounter".into()));
        assert_eq!(found["ExpressionAttributeValues"][":3"], serde_json::json!({"N": "1"}));
        assert_eq!(found["Key"], serde_json::json!({"leaseKey": {"S": "shard"}}));
        assert_eq!(found["ReturnValues"], "ALL_NEW");
        assert_eq!(found["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    }

    #[test]
    fn a_creation_has_its_row_and_a_write_without_changes_no_text_of_changes() {
        let found = json(&Write::create("shard", Item::new()));
        assert_eq!(found["Item"], serde_json::json!({"leaseKey": {"S": "shard"}}));
        assert!(found.get("Key").is_none() && found.get("ReturnValues").is_none());
        let same = json(&Write::delete("shard", Condition::Same("a", "b")));
        let equal = "(attribute_exists(#0)) AND (attribute_exists(#1) AND #1 = #2)";
        assert_eq!(same["ConditionExpression"], equal);
        let found = json(&Write::update("shard", Condition::Exists("a"), Update::new()));
        assert!(found.get("UpdateExpression").is_none());
        assert!(found.get("ExpressionAttributeValues").is_none());
    }
}
