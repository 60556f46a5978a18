//! Claimed ends of shards, until a listing shows whether they are true.

use std::collections::BTreeSet;

/// The shards whose threads ask whether the shard has ended; each gets one answer.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// No listing has begun since the question.
    new: BTreeSet<String>,
    /// The current listing began after the question.
    asked: BTreeSet<String>,
}

impl Claims {
    pub(crate) fn add(&mut self, shard: String) {
        self.new.insert(shard);
    }

    /// The thread of a shard has exited, and hears no answer.
    pub(crate) fn withdraw(&mut self, shard: &str) {
        self.new.remove(shard);
        self.asked.remove(shard);
    }

    /// A listing begins: it is the first that can answer all claims until now.
    pub(crate) fn listing_begins(&mut self) {
        self.asked.append(&mut self.new);
    }

    /// The listing has ended, with any outcome. Returns the claims that it answers.
    pub(crate) fn take_asked(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.asked)
    }

    /// Whether another listing is needed.
    pub(crate) fn must_list(&self) -> bool {
        !self.new.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_answered_by_a_listing_that_began_after_it_and_only_once() {
        let mut claims = Claims::default();
        claims.listing_begins();
        claims.add("early".into());
        assert!(claims.take_asked().is_empty() && claims.must_list());
        claims.listing_begins();
        claims.add("late".into());
        assert_eq!(claims.take_asked(), BTreeSet::from(["early".into()]));
        assert!(claims.must_list());
        claims.listing_begins();
        assert!(!claims.must_list());
        assert_eq!(claims.take_asked(), BTreeSet::from(["late".into()]));
        assert!(claims.take_asked().is_empty());
    }
}
