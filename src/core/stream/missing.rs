//! Shards that must exist and that no listing has shown yet, and since when they are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long the stream is listed often for a missing shard, and how long other shards wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Listings for each come often at first; later, if it cannot be given up, now and then.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Shards that have ended, and whose listed children do not cover all of their hash keys.
    lonely: BTreeMap<Arc<str>, Sought>,
    /// Children that an ended shard announced by name.
    announced: BTreeMap<Arc<str>, Sought>,
    /// Parents that are not listed, although a shard waits for them, or would wait if it were wanted.
    parents: BTreeMap<Arc<str>, Duration>,
    /// The shards of `lonely` and `announced` that need a listing only now and then.
    late: BTreeSet<Arc<str>>,
    /// Since when the open shards have not covered all hash keys.
    hole: Option<Duration>,
    is_hole_late: bool,
}

/// A missing shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    since: Duration,
    /// How many listings had begun before.
    pub(crate) begun: u64,
    /// Whether it is sure that the shard has ended.
    pub(crate) is_proved: bool,
}

/// How often the stream must be listed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Soon,
    Rarely,
}

/// The shards that listings have not shown for long enough.
#[derive(Debug, Default)]
pub(crate) struct GivenUp {
    /// No listing is made for their children any more.
    pub(crate) childless: Vec<Arc<str>>,
    /// The listing shows them open: they are checked now and then, and the consumer does not end.
    pub(crate) open: Vec<Arc<str>>,
    /// They have left the stream.
    pub(crate) aged_out: Vec<Arc<str>>,
    /// No shard waits for them any more.
    pub(crate) parents: Vec<Arc<str>>,
    /// A part of the hash keys is not read.
    pub(crate) has_hole: bool,
}

impl Sought {
    pub(crate) fn new(since: Duration, begun: u64, is_proved: bool) -> Self {
        Self { since, begun, is_proved }
    }

    fn is_over(self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PATIENCE
    }
}

impl Missing {
    pub(crate) fn seek_children(&mut self, parent: Arc<str>, sought: Sought) {
        self.lonely.insert(parent, sought);
    }

    pub(crate) fn seek_announced(&mut self, child: Arc<str>, sought: Sought) {
        self.announced.entry(child).or_insert(sought);
    }

    pub(crate) fn seek_parent(&mut self, parent: Arc<str>, now: Duration) {
        self.parents.entry(parent).or_insert(now);
    }

    /// A shard is listed for the first time.
    pub(crate) fn found(&mut self, shard: &str) {
        if self.announced.remove(shard).is_some() {
            self.late.remove(shard);
        }
        self.parents.remove(shard);
    }

    /// The children of a shard are known.
    pub(crate) fn found_children(&mut self, parent: &str) {
        if self.lonely.remove(parent).is_some() {
            self.late.remove(parent);
        }
    }

    /// A listing lacked open shards for a part of the hash keys, or did not. Returns whether a hole that was logged is
    /// closed.
    pub(crate) fn saw_hole(&mut self, now: Duration, has_hole: bool) -> bool {
        if has_hole {
            self.hole.get_or_insert(now);
            return false;
        }
        self.hole = None;
        std::mem::take(&mut self.is_hole_late)
    }

    pub(crate) fn is_sought(&self, shard: &str) -> bool {
        self.lonely.contains_key(shard) || self.is_announced(shard)
    }

    pub(crate) fn is_announced(&self, shard: &str) -> bool {
        self.announced.contains_key(shard)
    }

    /// The children that ended shards announced, and that are not listed.
    pub(crate) fn announced(&self) -> impl Iterator<Item = &Arc<str>> {
        self.announced.keys()
    }

    /// The parents that are not listed, and are sought.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &Arc<str>> {
        self.parents.keys()
    }

    /// Whether this parent is not listed, and is sought.
    pub(crate) fn is_awaited(&self, parent: &str) -> bool {
        self.parents.contains_key(parent)
    }

    /// Whether the next listing may show a missing shard, so that it is made at once.
    pub(crate) fn is_urgent(&self) -> bool {
        let often = self.lonely.len() + self.announced.len() > self.late.len();
        often || !self.parents.is_empty()
    }

    /// When to list again, after a listing.
    pub(crate) fn look(&self) -> Option<Look> {
        if self.is_urgent() || (self.hole.is_some() && !self.is_hole_late) {
            return Some(Look::Soon);
        }
        (self.hole.is_some() || !self.late.is_empty()).then_some(Look::Rarely)
    }

    /// Whether the consumer may end: no shard that must be read is missing.
    pub(crate) fn is_nothing(&self) -> bool {
        let is_torn = self.hole.is_some() && !self.is_hole_late;
        self.lonely.is_empty() && self.announced.is_empty() && self.parents.is_empty() && !is_torn
    }

    /// After a listing: the shards that are given up. `has_ended` says whether the listing proves the end of a shard
    /// that it does not show open, and `is_gone` whether an announced child is gone.
    // long: one clause for each kind of what is missing.
    pub(crate) fn give_up(
        &mut self,
        now: Duration,
        has_ended: impl Fn(&str) -> bool,
        is_gone: impl Fn(&Sought) -> bool,
    ) -> GivenUp {
        let mut given_up = GivenUp::default();
        let Self { lonely, announced, parents, late, .. } = self;
        lonely.retain(|id, sought| {
            if !sought.is_over(now) {
                return true;
            }
            let is_proved = sought.is_proved || has_ended(id);
            if is_proved {
                late.remove(id);
                given_up.childless.push(Arc::clone(id));
            } else if late.insert(Arc::clone(id)) {
                given_up.open.push(Arc::clone(id));
            }
            !is_proved
        });
        announced.retain(|id, sought| {
            let is_gone = sought.is_over(now) && is_gone(sought);
            if is_gone {
                late.remove(id);
                given_up.aged_out.push(Arc::clone(id));
            } else if sought.is_over(now) {
                late.insert(Arc::clone(id));
            }
            !is_gone
        });
        parents.retain(|id, since| {
            let is_over = now.saturating_sub(*since) >= PATIENCE;
            if is_over {
                given_up.parents.push(Arc::clone(id));
            }
            !is_over
        });
        if self.hole.is_some_and(|since| now.saturating_sub(since) >= PATIENCE) {
            given_up.has_hole = !std::mem::replace(&mut self.is_hole_late, true);
        }
        given_up
    }
}

impl GivenUp {
    /// Logs them, one line for each kind, for any number of shards.
    // long: one text for each kind of what is missing.
    pub(crate) fn warn(&self, stream: &str) {
        let tell = |shards: &[Arc<str>], what: &str| {
            if let Some(first) = shards.first() {
                let others = match shards.len() - 1 {
                    0 => String::new(),
                    others => format!(" (and {others} more shards)"),
                };
                log::warn!("stream {stream:?}: {first:?}{others}: {what}");
            }
        };
        tell(&self.childless, "no listing shows the children");
        tell(
            &self.open,
            "it was read to an end, but every listing shows it open and without children; it is checked \
             now and then",
        );
        tell(
            &self.aged_out,
            "it was announced as a child, but is not listed: it has left the stream unread",
        );
        tell(&self.parents, "no listing shows it; its descendants do not wait for it any more");
        if self.has_hole {
            log::warn!(
                "stream {stream:?}: no listing shows open shards for all hash keys, so a part of them is not \
                 read; the stream is listed again now and then"
            );
        }
    }
}
