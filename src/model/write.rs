//! A conditional write of one row, as data: what must hold, and what changes.

use std::collections::BTreeMap;

use crate::model::item::{Attribute, Item, KEY};

/// A conditional write of one row: done if its condition holds, and otherwise not at all.
///
/// Only [`create`](Self::create) makes a row. Every other write requires the row by the condition that it carries, whatever
/// its caller asks for: DynamoDB makes a row of a write that finds none, and one row without its attributes stops a
/// whole fleet of Amazon's consumers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    key: String,
    condition: Condition,
    act: Act,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a table must do each of them")]
pub enum Act {
    /// Puts the whole row.
    Put(Item),
    /// Changes attributes of the row, and leaves the others.
    Update(Update),
    /// Deletes the row.
    Delete,
}

/// What must hold of the row, just before it is written. A row that is not there has no attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a table must do each of them")]
pub enum Condition {
    /// The attribute is there.
    Exists(&'static str),
    /// The attribute is not there.
    Absent(&'static str),
    /// The attribute is there, with this type and value; numbers are equal as numbers. Maps and lists are never compared.
    Equals(&'static str, Attribute),
    /// Both attributes are there, with the same type and value.
    Same(&'static str, &'static str),
    /// Both hold: a pair, since the service knows no empty list.
    All(Box<[Condition; 2]>),
    /// One of the two holds, or both.
    Any(Box<[Condition; 2]>),
}

/// Changes of attributes, at most one of each, as the service requires. Without any, the row stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Update(BTreeMap<&'static str, Change>);

/// The change of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a table must do each of them")]
pub enum Change {
    /// It gets this value, whether it is there or not.
    Set(Attribute),
    /// The number grows by this much; one that is not there counts as zero. If it is no number, the write fails for good
    /// ([`Fatal`](crate::leases::LeaseTableErrorKind::Fatal)).
    Add(u64),
    /// It is no longer there.
    Remove,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a write has no other outcome")]
pub enum Applied {
    /// It is done, and this is the row after it; a deleted row as it was last.
    Done(Item),
    /// The condition did not hold, and this is the row as it is; `None` if there is no such row.
    Refused(Option<Item>),
}

impl Write {
    /// Puts a row that is not there yet. The row gets its key.
    pub fn create(key: &str, mut item: Item) -> Self {
        item.insert(KEY.to_owned(), key.into());
        Self { key: key.to_owned(), condition: Condition::Absent(KEY), act: Act::Put(item) }
    }

    /// Changes a row that is there, if the condition holds too.
    pub fn update(key: &str, when: Condition, update: Update) -> Self {
        Self::of_a_row(key, when, Act::Update(update))
    }

    /// Deletes a row that is there, if the condition holds too.
    pub fn delete(key: &str, when: Condition) -> Self {
        Self::of_a_row(key, when, Act::Delete)
    }

    fn of_a_row(key: &str, when: Condition, act: Act) -> Self {
        Self { key: key.to_owned(), condition: Condition::Exists(KEY).and(when), act }
    }

    /// The key of the row.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// All that must hold, the row's presence or absence included.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// What it does.
    pub fn act(&self) -> &Act {
        &self.act
    }
}

impl Condition {
    /// The attribute has this value.
    pub fn equals(name: &'static str, value: impl Into<Attribute>) -> Self {
        Self::Equals(name, value.into())
    }

    /// Both hold.
    pub fn and(self, other: Self) -> Self {
        Self::All(Box::new([self, other]))
    }

    /// One of the two holds, or both.
    pub fn or(self, other: Self) -> Self {
        Self::Any(Box::new([self, other]))
    }
}

impl Update {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the attribute this value.
    ///
    /// # Panics
    /// If the attribute is the [key](crate::leases::KEY), or is changed already.
    pub fn set(self, name: &'static str, value: impl Into<Attribute>) -> Self {
        self.change(name, Change::Set(value.into()))
    }

    /// Lets the number grow.
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub fn add(self, name: &'static str, number: u64) -> Self {
        self.change(name, Change::Add(number))
    }

    /// Removes the attribute.
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub fn remove(self, name: &'static str) -> Self {
        self.change(name, Change::Remove)
    }

    /// The changes, by the names of their attributes.
    pub fn changes(&self) -> &BTreeMap<&'static str, Change> {
        &self.0
    }

    fn change(mut self, name: &'static str, change: Change) -> Self {
        assert!(name != KEY, "the key of a row never changes");
        let earlier = self.0.insert(name, change);
        assert!(earlier.is_none(), "{name} is changed twice");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it holds where there is no row, as far as the service can tell.
    fn holds_without_a_row(condition: &Condition) -> bool {
        match condition {
            Condition::Exists(_) | Condition::Equals(..) | Condition::Same(..) => false,
            Condition::Absent(_) => true,
            Condition::All(pair) => pair.iter().all(holds_without_a_row),
            Condition::Any(pair) => pair.iter().any(holds_without_a_row),
        }
    }

    #[test]
    fn only_a_creation_is_done_where_there_is_no_row() {
        let lax = || Condition::Absent("a").or(Condition::Absent("b"));
        assert!(holds_without_a_row(&lax()));
        for write in [Write::update("key", lax(), Update::new()), Write::delete("key", lax())] {
            assert!(!holds_without_a_row(write.condition()), "{write:?}");
        }
        let create = Write::create("key", Item::new());
        assert!(holds_without_a_row(create.condition()));
        assert_eq!(create.act(), &Act::Put(Item::from([(KEY.to_owned(), "key".into())])));
    }

    #[test]
    #[should_panic(expected = "changed twice")]
    fn an_attribute_is_changed_once() {
        drop(Update::new().set("a", "b").remove("a"));
    }

    #[test]
    #[should_panic(expected = "never changes")]
    fn the_key_is_not_changed() {
        drop(Update::new().remove(KEY));
    }
}
