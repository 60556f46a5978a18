//! What the coordinator's loop looks for now and then: shards that make no progress, and handlers that stand still.

use std::sync::Arc;

use crate::core::event::Word;
use crate::core::stream::hangs::Standing;
use crate::core::stream::stalls::Running;
use crate::delivery::commits::ShardCommits;
use crate::engine::coordinate::Loop;

impl Loop<'_, '_, '_> {
    /// Reports stalls, and their ends.
    pub(super) fn look_for_stalls(&mut self) {
        let Some(stalls) = &mut self.stalls else { return };
        let all_commits = self.run.engine.registry.all_commits();
        let status = |commits: &Arc<ShardCommits>| {
            let status = commits.status();
            (commits.shard().to_owned(), (commits.state(), status.progressed()))
        };
        let running: Running = all_commits.iter().map(status).collect();
        for notice in stalls.look(self.run.now(), &running, &self.coordinator.waiting()) {
            self.run.notify(&notice);
        }
    }

    /// Tells the steward of tenures that are to be given up.
    pub(super) fn look_for_hangs(&mut self) {
        let Some(hangs) = &mut self.hangs else { return };
        let (now, engine) = (self.run.now(), self.run.engine);
        let all_commits = engine.registry.all_commits();
        let standing = |commits: &Arc<ShardCommits>| {
            let (shard, (epoch, uncommitted)) = (commits.shard(), commits.standing(now)?);
            let is_held_back = engine.pauses.paused(shard).is_some() || commits.is_fenced();
            Some(Standing { shard: shard.to_owned(), epoch, uncommitted, is_held_back })
        };
        let all: Vec<_> = all_commits.iter().filter_map(standing).collect();
        for (shard, epoch, age) in hangs.look(now, &all) {
            let is_its = |it: &&Arc<ShardCommits>| it.shard() == shard && it.epoch() == Some(epoch);
            all_commits.iter().filter(is_its).for_each(|commits| commits.hangs());
            self.run.tell_steward(Word::Hangs { shard, epoch, age });
        }
    }
}
