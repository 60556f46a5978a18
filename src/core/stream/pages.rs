//! The pages of one listing, from the first to the last.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::listed::ShardPage;
use crate::model::shard::Shard;

/// Amazon's page tokens live five minutes; a token older than this is not used any more.
const TOKEN_LIFE: Duration = Duration::from_secs(270);
/// Ten times the pages of the largest stream that Amazon allows, at a thousand shards a page.
const MAX_PAGES: u32 = 10_000;
const MAX_SHARDS: usize = 1_000_000;

/// The listing so far.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    shards: BTreeMap<String, Shard>,
    count: u32,
    /// The token of the next page, and when it came.
    next: Option<(String, Duration)>,
}

/// The result of a page.
#[derive(Debug, PartialEq)]
pub(crate) enum Paged {
    /// It was the last one: these are all shards, in the order of their ids.
    Complete(Vec<Shard>),
    /// Another page, with this token, comes next.
    Next(String),
    /// A page had no new shard, and still a token for the next page; or there are more pages than any stream has.
    Endless {
        /// The number of pages.
        pages: u32,
        /// The number of shards in them.
        shards: usize,
    },
}

impl Pages {
    /// Adds a page. After the last one, or if there is no end, the next page is the first one.
    pub(crate) fn take_in(&mut self, now: Duration, page: ShardPage) -> Paged {
        let known = self.shards.len();
        // A later page has newer facts about a shard.
        self.shards.extend(page.shards.into_iter().map(|shard| (shard.id().to_owned(), shard)));
        self.count += 1;
        let Some(next) = page.next_token else {
            return Paged::Complete(std::mem::take(self).shards.into_values().collect());
        };
        let (pages, shards) = (self.count, self.shards.len());
        if shards == known || pages >= MAX_PAGES || shards >= MAX_SHARDS {
            *self = Self::default();
            return Paged::Endless { pages, shards };
        }
        self.next = Some((next.clone(), now));
        Paged::Next(next)
    }

    /// The token of the page to request now; `None` is the first page, where the listing restarts.
    pub(crate) fn next(&mut self, now: Duration) -> Option<String> {
        let alive = self.next.take_if(|(_, told)| now.saturating_sub(*told) < TOKEN_LIFE);
        if alive.is_none() {
            *self = Self::default();
        }
        self.next = alive;
        self.next.as_ref().map(|(name, _)| name.clone())
    }

    /// Whether the first page has come, and the last one has not.
    pub(crate) fn are_under_way(&self) -> bool {
        self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shard::HashKeyRange;

    fn page(shards: impl IntoIterator<Item = u32>, next: Option<&str>) -> ShardPage {
        let shard = |number: u32| {
            Shard::new(format!("shardId-{number:012}"), HashKeyRange::ALL, "1".parse().unwrap())
        };
        ShardPage::new(shards.into_iter().map(shard).collect(), next.map(str::to_owned))
    }

    #[test]
    fn a_page_is_asked_for_again_by_its_name_while_that_lives() {
        let mut pages = Pages::default();
        let told = Duration::from_secs(10);
        assert_eq!(pages.take_in(told, page([1], Some("b"))), Paged::Next("b".into()));
        for later in [told, told + TOKEN_LIFE - Duration::from_millis(1)] {
            assert_eq!(pages.next(later).as_deref(), Some("b"));
        }
        assert_eq!(pages.next(told + TOKEN_LIFE), None);
        let Paged::Complete(shards) = pages.take_in(told, page([2], None)) else { panic!() };
        assert_eq!(shards.len(), 1, "what came before the first page is not kept");
    }

    #[test]
    fn a_page_without_a_new_shard_that_names_another_one_is_no_progress() {
        let mut pages = Pages::default();
        for (name, number) in [("b", 1), ("c", 2)] {
            pages.take_in(Duration::ZERO, page([number], Some(name)));
        }
        let endless = Paged::Endless { pages: 3, shards: 2 };
        assert_eq!(pages.take_in(Duration::ZERO, page([1, 2], Some("b"))), endless);
        assert!(!pages.are_under_way() && pages.shards.is_empty());
        // The last one may be empty: some servers count shards only when they make the next page.
        pages.take_in(Duration::ZERO, page([1], Some("b")));
        let Paged::Complete(shards) = pages.take_in(Duration::ZERO, page([], None)) else {
            panic!()
        };
        assert_eq!(shards.len(), 1);
    }

    #[test]
    fn pages_and_shards_are_bounded() {
        let mut pages = Pages::default();
        let turn = |number: u32, pages: &mut Pages| {
            pages.take_in(Duration::ZERO, page([number], Some(&number.to_string())))
        };
        let last = (0..MAX_PAGES).map(|number| turn(number, &mut pages)).last();
        assert!(matches!(last, Some(Paged::Endless { pages: MAX_PAGES, .. })), "{last:?}");
        let all = page(0..u32::try_from(MAX_SHARDS).unwrap(), Some("b"));
        let paged = pages.take_in(Duration::ZERO, all);
        assert!(matches!(paged, Paged::Endless { pages: 1, .. }));
        assert!(pages.shards.is_empty());
    }

    #[test]
    fn a_shard_on_two_pages_is_listed_once_as_the_later_one_shows_it() {
        let mut pages = Pages::default();
        pages.take_in(Duration::ZERO, page([1, 2], Some("b")));
        let mut last = page([2, 3], None);
        last.shards[0].close(Some(&"9".parse().unwrap()));
        let Paged::Complete(shards) = pages.take_in(Duration::ZERO, last) else { panic!() };
        let closed: Vec<bool> = shards.iter().map(Shard::is_closed).collect();
        assert_eq!(closed, [false, true, false]);
    }
}
