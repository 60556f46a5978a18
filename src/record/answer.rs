//! The answer of one call for records.

use std::time::{Duration, SystemTime};

use crate::model::shard::ChildShard;
use crate::model::token::Token;
use crate::record::Records;

/// The answer of `GetRecords`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The records; an answer without records is normal, even while more records wait.
    pub records: Records,
    /// The token for the next read; without one the answer says that the shard has ended.
    pub next: Option<Token>,
    /// How far this answer is behind the newest record. Some servers always say 0.
    pub behind_latest: Option<Duration>,
    /// At the end of a closed shard its children, if the server names them.
    pub children: Vec<ChildShard>,
    /// The server's clock (the `Date` header), if the answer has it.
    pub server_time: Option<SystemTime>,
}

impl Answer {
    /// These records, and the token for the next read; `None` says that the shard has ended. The consumer accepts the
    /// end if the answer names children, or if a listing shows it; until then it continues to read the shard.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kinesis_consumer::{Answer, ChildShard, HashKeyRange, Records, Token};
    ///
    /// // Nothing for now.
    /// let answer = Answer::new(Records::empty(), Some(Token::new("what the server said")))
    ///     .with_behind_latest(Duration::ZERO);
    ///
    /// // The end of a shard that was split.
    /// let parents = vec!["shardId-000000000000".to_owned()];
    /// let (low, high) = (u128::MAX / 2, u128::MAX / 2 + 1);
    /// let end = Answer::new(Records::empty(), None).with_children([
    ///     ChildShard::new("shardId-000000000001", parents.clone(), HashKeyRange { start: 0, end: low }),
    ///     ChildShard::new("shardId-000000000002", parents, HashKeyRange { start: high, end: u128::MAX }),
    /// ]);
    /// assert!(answer.next.is_some() && end.children.len() == 2);
    /// ```
    pub fn new(records: Records, next: Option<Token>) -> Self {
        Self { records, next, behind_latest: None, children: Vec::new(), server_time: None }
    }

    /// The same, this far behind the newest record. Defaults to unknown.
    #[must_use]
    pub fn with_behind_latest(mut self, behind: Duration) -> Self {
        self.behind_latest = Some(behind);
        self
    }

    /// The same with these children of a shard that ends here. Defaults to none: then the listing is searched for
    /// them.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = ChildShard>) -> Self {
        self.children = children.into_iter().collect();
        self
    }

    /// The same with the server's clock when it answered. Defaults to unknown.
    ///
    /// After a long silence it proves that no record left the stream unread.
    #[must_use]
    pub fn with_server_time(mut self, time: impl Into<Option<SystemTime>>) -> Self {
        self.server_time = time.into();
        self
    }

    /// Whether it shows that there was nothing more to read. Without records it may still be behind; if the server
    /// does not say so, that is unknown.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.records.is_empty() && self.behind_latest == Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_has_caught_up_if_it_says_so() {
        let empty = Answer::new(Records::empty(), None);
        assert!(!empty.is_caught_up());
        assert!(empty.clone().with_behind_latest(Duration::ZERO).is_caught_up());
        assert!(!empty.with_behind_latest(Duration::from_millis(1)).is_caught_up());
    }
}
