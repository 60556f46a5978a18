//! How a budget is given out, and the queue of those who wait for it.

use std::collections::VecDeque;

/// An amount of bytes, given out in the order of the requests.
#[derive(Debug)]
pub(crate) struct GrantQueue {
    limit: usize,
    used: usize,
    waiting: VecDeque<(Ticket, usize)>,
    tickets: u64,
}

/// Names one waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

impl GrantQueue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, waiting: VecDeque::new(), tickets: 0 }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes this much at once, if it is free and nobody waits. Returns whether it did.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.waiting.is_empty() && self.take_more(bytes)
    }

    /// The same for an owner that has a part already and must not wait: it overtakes those who wait.
    pub(crate) fn take_more(&mut self, bytes: usize) -> bool {
        let fits = self.used.checked_add(bytes).is_some_and(|used| used <= self.limit);
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Takes bytes that are in use already, whether they are free or not.
    pub(crate) fn overdraw(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    /// Waits for this much, at most the limit.
    pub(crate) fn queue(&mut self, bytes: usize) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting.push_back((ticket, bytes.min(self.limit)));
        ticket
    }

    /// Whether somebody waits.
    #[cfg(test)]
    pub(crate) fn is_wanted(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives back this much.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Waits no longer.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// Grants the next waiting request, if it fits now. Call it again until it returns `None`.
    pub(crate) fn next(&mut self) -> Option<(Ticket, usize)> {
        let &(ticket, bytes) = self.waiting.front()?;
        // Overdrawn bytes must come back first; then the largest request fits too.
        let granted = self.take_more(bytes);
        granted.then(|| self.waiting.pop_front());
        granted.then_some((ticket, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_first_is_served_first_however_little_others_want() {
        let mut queue = GrantQueue::new(100);
        assert!(queue.take(80));
        let large = queue.queue(90);
        let small = queue.queue(5);
        assert!(!queue.take(5), "somebody waits");
        assert_eq!(queue.next(), None);
        queue.give_back(80);
        assert_eq!(queue.next(), Some((large, 90)));
        assert_eq!(queue.next(), Some((small, 5)));
        assert_eq!((queue.next(), queue.used()), (None, 95));
    }

    #[test]
    fn who_gives_up_does_not_hold_up_others() {
        let mut queue = GrantQueue::new(100);
        assert!(queue.take(50));
        let (large, small) = (queue.queue(90), queue.queue(50));
        assert_eq!(queue.next(), None);
        queue.withdraw(large);
        assert_eq!(queue.next(), Some((small, 50)));
    }

    #[test]
    fn what_never_fits_gets_all_there_is() {
        let mut queue = GrantQueue::new(100);
        assert!(!queue.take(101));
        let ticket = queue.queue(usize::MAX);
        assert_eq!(queue.next(), Some((ticket, 100)));
    }

    /// For all requests in any order: never more than the limit is in use, no request overtakes another in the queue,
    /// and everything comes back.
    #[test]
    fn the_limit_holds_in_every_order_and_nobody_is_forgotten() {
        for seed in 0..2_000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut queue = GrantQueue::new(rng.usize(1..1_000));
            let (mut held, mut queued) = (Vec::new(), VecDeque::new());
            for _ in 0..200 {
                let bytes = rng.usize(..400);
                match rng.u32(..5) {
                    0 if queue.take(bytes) => held.push(bytes),
                    1 => queued.push_back(queue.queue(bytes)),
                    2 if queue.take_more(bytes) => held.push(bytes),
                    3 if !held.is_empty() => {
                        queue.give_back(held.swap_remove(rng.usize(..held.len())));
                    }
                    4 if !queued.is_empty() => {
                        let ticket = queued.remove(rng.usize(..queued.len())).unwrap();
                        queue.withdraw(ticket);
                    }
                    _ => {}
                }
                while let Some((ticket, bytes)) = queue.next() {
                    assert_eq!(queued.pop_front(), Some(ticket), "seed {seed}");
                    held.push(bytes);
                }
                assert!(queue.used() <= queue.limit(), "seed {seed}");
                assert_eq!(queue.used(), held.iter().sum::<usize>(), "seed {seed}");
            }
            // Requests that still wait are granted after the others have given back.
            while let Some(bytes) = held.pop() {
                queue.give_back(bytes);
                while let Some((ticket, bytes)) = queue.next() {
                    assert_eq!(queued.pop_front(), Some(ticket), "seed {seed}");
                    held.push(bytes);
                }
            }
            assert!(queued.is_empty() && queue.used() == 0, "seed {seed}");
        }
    }
}
