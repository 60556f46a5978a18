//! A row of the table, read.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::fleet::lease::checkpoint::{At, Checkpoint, at_millis};
use crate::core::fleet::lease::names;
use crate::error::fleet::FleetErrorKind;
use crate::model::item::{Attribute, Item, KEY};
use crate::model::shard::HashKeyRange;

/// What a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The lease of a shard.
    Lease(Box<Row>),
    /// The version of KCL's protocol, in its own words.
    Protocol(String),
    /// Something else, which is left alone.
    Other(Other),
}

/// A row that is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// One that says of itself what it is; empty if that is not a text.
    Entity(String),
    /// One without a counter: what a careless write leaves of a row that was deleted.
    NoCounter,
    /// One without the key of this table.
    NoKey,
}

/// The lease of a shard. What it does not show stays in the table, where no write touches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The shard's id.
    pub(crate) shard: String,
    /// Who holds it; of one that is being handed over, who gets it.
    pub(crate) owner: Option<String>,
    /// Who still holds one that is being handed over.
    pub(crate) checkpoint_owner: Option<String>,
    /// Grows with every write of the holder.
    pub(crate) counter: u64,
    /// How far the shard is done.
    pub(crate) checkpoint: Checkpoint,
    /// The shard's children, once it has ended.
    pub(crate) children: BTreeSet<String>,
    /// The shard's parents.
    pub(crate) parents: BTreeSet<String>,
    /// The shard's hash keys, if the row has a valid range.
    pub(crate) hash_keys: Option<HashKeyRange>,
    /// The last tenure of ours.
    pub(crate) holder: Option<Holder>,
    /// Who of ours has asked for it last, until that or another one of ours holds it.
    pub(crate) asker: Option<String>,
    /// The last failover time of ours.
    pub(crate) failover: Option<Duration>,
    /// How many leases the last holder of ours wants at most, if it has said so.
    pub(crate) limit: Option<u64>,
    /// The stream, where ours has said it.
    pub(crate) stream: Option<String>,
}

/// A tenure: the process that holds a lease, and which one of its tenures this is. No two tenures are equal, so that
/// what an earlier one writes too late is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder(String);

/// A row that must not be read on, nor written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    /// The application reads several streams.
    SeveralStreams {
        /// The row's key.
        key: String,
    },
    /// A later version has written it.
    NewerFormat {
        /// The row's key.
        key: String,
        /// The format that it names.
        format: String,
    },
    /// It is about another stream.
    OtherStream {
        /// The row's key.
        key: String,
        /// The stream that it names.
        found: String,
    },
    /// A value is not what it should be.
    Invalid {
        /// The row's key.
        key: String,
        /// The attribute.
        name: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// The most that a `long` of Java holds, less one: the counter grows before anybody reads it again.
pub(crate) const MOST: u64 = i64::MAX as u64 - 1;

/// Reads a row.
///
/// # Errors
/// [`Misread`] if it is the lease of a shard, or claims to be one, and is not understood.
pub(crate) fn read(item: &Item) -> Result<Seen, Misread> {
    let key = item.get(KEY).and_then(Attribute::text);
    let fields = Fields { key: key.unwrap_or_default(), item };
    fields.known_format()?;
    if let Some(other) = fields.other() {
        return Ok(other);
    }
    let Some(key) = key else { return Ok(Seen::Other(Other::NoKey)) };
    // No id of a shard has a colon.
    if item.contains_key(names::STREAM_NAME) || key.contains(':') {
        return Err(Misread::SeveralStreams { key: key.to_owned() });
    }
    Ok(Seen::Lease(Box::new(fields.row()?)))
}

impl Row {
    /// Whether it is about this stream, as far as it says.
    ///
    /// # Errors
    /// [`Misread::OtherStream`]
    pub(crate) fn check_stream(&self, ours: &str) -> Result<(), Misread> {
        match &self.stream {
            Some(found) if found != ours => {
                Err(Misread::OtherStream { key: self.shard.clone(), found: found.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Who was asked for the lease, and has it still. KCL 2 takes such a lease as well: it is the owner then, and leaves who
    /// was asked and who has asked. The requests of KCL 3 do not say who asks.
    pub(crate) fn giver(&self) -> Option<&str> {
        let is_asked = self.asker.is_none() || self.asker == self.owner;
        self.checkpoint_owner.as_deref().filter(|_| is_asked)
    }

    /// Who has the shard now, whoever gets it next.
    pub(crate) fn working_owner(&self) -> Option<&str> {
        self.giver().or(self.owner.as_deref())
    }

    /// Whether a worker of KCL holds it. One of ours that got it and has not accepted it yet has asked for it; KCL leaves
    /// what ours have written, but its workers have other names.
    pub(crate) fn is_kcls(&self) -> bool {
        self.working_owner().is_some_and(|owner| {
            let is_ours = self.holder.as_ref().is_some_and(|it| it.is_of(owner));
            !is_ours && self.asker.as_deref() != Some(owner)
        })
    }
}

impl Holder {
    /// The tenure of this number, of the process with this nonce.
    pub(crate) fn new(process: &str, tenure: u64) -> Self {
        Self(format!("{process}#{tenure}"))
    }

    /// What a row has.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Which tenure of its process it is; zero if another program has written the text.
    pub(crate) fn number(&self) -> u64 {
        self.0.rsplit_once('#').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }

    /// Whether it is a tenure of this worker, whose name its process has before its nonce.
    pub(crate) fn is_of(&self, worker: &str) -> bool {
        self.0.strip_prefix(worker).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The nonce of the process.
    pub(crate) fn process(&self) -> &str {
        self.0.rsplit_once('#').map_or(&self.0, |(process, _)| process)
    }
}

impl Misread {
    /// What the user is told.
    pub(crate) fn into_kind(self) -> FleetErrorKind {
        use FleetErrorKind::NotALeaseTable;
        match self {
            Self::SeveralStreams { key } => {
                let reason = "it belongs to an application that reads several streams; use a table of its own for each";
                NotALeaseTable { lease: key, reason: reason.to_owned() }
            }
            Self::Invalid { key, name, reason } => {
                let reason = format!("it has no valid value of {name}: {reason}");
                NotALeaseTable { lease: key, reason }
            }
            Self::NewerFormat { key, format } => FleetErrorKind::NewerFormat { lease: key, format },
            Self::OtherStream { key, found } => {
                FleetErrorKind::OtherStream { lease: key, stream: found }
            }
        }
    }
}

/// A row with its key, to read attribute by attribute.
struct Fields<'a> {
    key: &'a str,
    item: &'a Item,
}

impl<'a> Fields<'a> {
    fn known_format(&self) -> Result<(), Misread> {
        let Some(format) = self.item.get(names::FORMAT) else { return Ok(()) };
        let number = format.number().and_then(|it| it.parse::<u64>().ok());
        if number.is_some_and(|it| it <= names::NEWEST_FORMAT) {
            return Ok(());
        }
        // What a later version writes there need not be a small number.
        let format = format.number().or(format.text()).unwrap_or_default().to_owned();
        Err(Misread::NewerFormat { key: self.key.to_owned(), format })
    }

    /// What it is if it is no lease. KCL before 3 gives leases no kind.
    fn other(&self) -> Option<Seen> {
        let entity = self.item.get(names::ENTITY).map(|it| it.text().unwrap_or_default());
        match entity {
            None | Some(names::LEASE) => {
                let has_counter = self.item.contains_key(names::COUNTER);
                (!has_counter).then_some(Seen::Other(Other::NoCounter))
            }
            Some(names::MIGRATION) => {
                let version = self.item.get(names::CLIENT_VERSION).and_then(Attribute::text);
                Some(Seen::Protocol(version.unwrap_or_default().to_owned()))
            }
            Some(entity) => Some(Seen::Other(Other::Entity(entity.to_owned()))),
        }
    }

    fn row(&self) -> Result<Row, Misread> {
        // Nothing follows from it; but a take adds to it, which needs a number.
        self.count(names::SWITCHES, MOST)?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Row {
            shard: self.key.to_owned(),
            owner: owned(self.text(names::OWNER)?),
            checkpoint_owner: owned(self.text(names::CHECKPOINT_OWNER)?),
            counter: self.count(names::COUNTER, MOST)?.unwrap_or(0),
            checkpoint: self.checkpoint()?,
            children: self.texts(names::CHILDREN)?,
            parents: self.texts(names::PARENTS)?,
            hash_keys: self.hash_keys(),
            holder: self.text(names::HOLDER)?.map(|text| Holder(text.to_owned())),
            asker: owned(self.text(names::ASKER)?),
            failover: self.count(names::FAILOVER, MOST)?.map(Duration::from_millis),
            limit: self.count(names::LIMIT, MOST)?,
            stream: owned(self.text(names::STREAM)?),
        })
    }

    fn checkpoint(&self) -> Result<Checkpoint, Misread> {
        let text = self.text(names::CHECKPOINT)?;
        let text = text.ok_or_else(|| self.invalid(names::CHECKPOINT, "it is missing"))?;
        let at = At::read(text).ok_or_else(|| {
            self.invalid(names::CHECKPOINT, "it is neither a sequence number nor a known word")
        })?;
        let from = self.integer(names::FROM)?.map(|millis| {
            at_millis(millis).ok_or_else(|| self.invalid(names::FROM, "it is no time"))
        });
        let end = self.text(names::END)?.map(|text| {
            text.parse().map_err(|_| self.invalid(names::END, "it is not a sequence number"))
        });
        Ok(Checkpoint {
            at,
            sub: self.count(names::SUB, MOST + 1)?,
            from: from.transpose()?,
            end: end.transpose()?,
        })
    }

    /// It only decorates: a range that is not valid is as none.
    fn hash_keys(&self) -> Option<HashKeyRange> {
        let key = |name| self.item.get(name)?.text()?.parse().ok();
        Some(HashKeyRange { start: key(names::HASH_START)?, end: key(names::HASH_END)? })
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, Misread> {
        let value = self.item.get(name);
        value.map(|it| it.text().ok_or_else(|| self.invalid(name, "it is not a text"))).transpose()
    }

    fn texts(&self, name: &'static str) -> Result<BTreeSet<String>, Misread> {
        match self.item.get(name) {
            None => Ok(BTreeSet::new()),
            Some(value) => {
                value.texts().cloned().ok_or_else(|| self.invalid(name, "it is not a set of texts"))
            }
        }
    }

    fn integer(&self, name: &'static str) -> Result<Option<i64>, Misread> {
        let Some(value) = self.item.get(name) else { return Ok(None) };
        let number = value.number().ok_or_else(|| self.invalid(name, "it is not a number"))?;
        number.parse().map(Some).map_err(|_| self.invalid(name, "it is not whole, or too large"))
    }

    fn count(&self, name: &'static str, most: u64) -> Result<Option<u64>, Misread> {
        let Some(number) = self.integer(name)? else { return Ok(None) };
        let count = u64::try_from(number).map_err(|_| self.invalid(name, "it is negative"))?;
        if count > most { Err(self.invalid(name, "it is too large")) } else { Ok(Some(count)) }
    }

    fn invalid(&self, name: &'static str, reason: &'static str) -> Misread {
        Misread::Invalid { key: self.key.to_owned(), name, reason }
    }
}
