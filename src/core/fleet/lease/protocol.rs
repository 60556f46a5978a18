//! Which protocol the workers of an application speak: that of KCL 2, or a newer one.
//!
//! KCL 3 writes it down, in the words of its own, in the table of leases or in a table of its own. A worker of KCL 3 that
//! finds nothing there may switch the application over at any time, so it is looked up at every survey.

use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::Seen;
use crate::model::item::{Attribute, Item};

/// What was found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It could not be read.
    Unread,
    /// It says nothing, or there is no such table.
    Silent,
    /// It says this, in the words of KCL.
    Says(String),
}

/// What a survey means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// It is not known yet: nothing may be written before it is.
    Unknown,
    /// The protocol of KCL 2, which is understood.
    TwoX {
        /// What KCL says now, if that is another version than at an earlier survey.
        changed: Option<String>,
    },
    /// A newer one, as was found before anything was written.
    Refused(Newer),
    /// A newer one, while this worker has leases: it handles what it has read, releases its leases, and ends with a
    /// refusal.
    Turned(Newer),
}

/// A protocol that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newer {
    /// What the table says.
    pub(crate) cv: String,
}

/// What the surveys of one process have found so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Whether it was told to go on.
    runs: bool,
    /// What was said last.
    version: Option<String>,
    refused: Option<Newer>,
}

/// What the protocol of KCL 2 is called in every stage before the switch.
const TWO_X: [&str; 3] =
    ["CLIENT_VERSION_INIT", "CLIENT_VERSION_UPGRADE_FROM_2X", "CLIENT_VERSION_2X"];

impl Look {
    /// By the rows of the table of leases.
    pub(crate) fn leases<'a>(rows: impl IntoIterator<Item = &'a Seen>) -> Self {
        let said = rows.into_iter().find_map(|row| match row {
            Seen::Protocol(cv) => Some(cv.clone()),
            Seen::Lease(_) | Seen::Other(_) => None,
        });
        said.map_or(Self::Silent, Self::Says)
    }

    /// By the item of the coordinator's table. Early versions of KCL 3 do not say what kind of item it is.
    pub(crate) fn coordinator(item: Option<&Item>) -> Self {
        let Some(item) = item else { return Self::Silent };
        let cv = item.get(names::CLIENT_VERSION).and_then(Attribute::text);
        Self::Says(cv.unwrap_or_default().to_owned())
    }

    fn said(&self) -> Option<&str> {
        match self {
            Self::Says(cv) => Some(cv),
            Self::Silent | Self::Unread => None,
        }
    }

    fn newer(&self) -> Option<Newer> {
        match self {
            Self::Says(cv) if !TWO_X.contains(&cv.as_str()) => Some(Newer { cv: cv.clone() }),
            Self::Says(_) | Self::Silent | Self::Unread => None,
        }
    }
}

impl Watch {
    /// What the two tables say together. One word that is not understood is enough for a refusal, which is final.
    pub(crate) fn survey(&mut self, leases: &Look, coordinator: &Look) -> Protocol {
        if let Some(newer) = &self.refused {
            return Protocol::Refused(newer.clone());
        }
        let looks = [leases, coordinator];
        let newer = looks.iter().find_map(|look| look.newer());
        if let Some(newer) = newer {
            self.refused = Some(newer.clone());
            return if self.runs { Protocol::Turned(newer) } else { Protocol::Refused(newer) };
        }
        // Once it is known, it holds until a table says otherwise.
        let did_run = self.runs;
        self.runs |= looks.iter().all(|look| **look != Look::Unread);
        if !self.runs {
            return Protocol::Unknown;
        }
        let said = looks.iter().find_map(|look| look.said());
        let changed = said.filter(|said| self.version.as_deref() != Some(*said)).map(str::to_owned);
        self.version = changed.clone().or(self.version.take());
        Protocol::TwoX { changed: changed.filter(|_| did_run) }
    }
}
