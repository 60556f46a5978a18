//! The listing: streams, their shards, and the children of these.

use std::collections::BTreeSet;
use std::time::Instant;

use super::service::Service;
use super::trial::{Trial, done, expect, expect_class, hold, ids};
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::ErrorClass::NotFound;
use crate::model::listed::StreamStatus;
use crate::model::position::IteratorType;

/// A stream that was never created.
pub(super) fn unknown(trial: &Trial<impl Service>) {
    let rule = "a call about a stream that does not exist is of class NotFound";
    let (client, stream, call) = (&trial.client, &trial.stream, Call::unbounded());
    expect_class(rule, client.describe_stream(stream, &call), NotFound);
    expect_class(rule, client.list_shards(stream, None, &call), NotFound);
    let at = IteratorType::TrimHorizon;
    let iterator = client.get_shard_iterator(stream, "shardId-000000000000", &at, &call);
    expect_class(rule, iterator, NotFound);
}

pub(super) fn described(trial: &Trial<impl Service>) {
    let (client, stream, call) = (&trial.client, &trial.stream, Call::unbounded());
    let status = done("describe_stream", client.describe_stream(stream, &call));
    expect("a stream that can be read is active", &status, &StreamStatus::Active);
    let at = IteratorType::TrimHorizon;
    let iterator = client.get_shard_iterator(stream, "shardId-000000000999", &at, &call);
    let rule = "an iterator of a shard that does not exist is of class NotFound";
    expect_class(rule, iterator, NotFound);
}

/// The four calls about a stream by its ARN, if the service has one.
pub(super) fn by_arn(mut trial: Trial<impl Service>) {
    let Some(arn) = trial.service.arn(&trial.stream) else { return };
    trial.put(5);
    let read = |trial: &Trial<_>| (trial.shard(), trial.read_at(&IteratorType::TrimHorizon, 5));
    let by_name = read(&trial);
    let unknown = arn.replace(&trial.stream, "nobody");
    let checked = trial.client.check_stream(&done("the service's ARN", arn.parse()));
    hold("a client accepts the ARN of a stream that it can read", checked.is_ok(), &checked);
    trial.stream = arn;
    let status =
        done("describe_stream", trial.client.describe_stream(&trial.stream, &trial.call()));
    expect("a stream that can be read is active, by its ARN too", &status, &StreamStatus::Active);
    let rule = "shards and records by the ARN of a stream are those by its name";
    expect(rule, &read(&trial), &by_name);
    let rule = "a call about the ARN of a stream that does not exist is of class NotFound";
    trial.stream = unknown;
    expect_class(rule, trial.client.list_shards(&trial.stream, None, &trial.call()), NotFound);
    expect_class(rule, trial.client.describe_stream(&trial.stream, &trial.call()), NotFound);
}

/// In one page, and in several if the service can.
pub(super) fn paged(trial: &Trial<impl Service>) {
    let (shards, _) = trial.list();
    let rule = "the listing holds each shard once";
    expect(rule, &shards.len(), &5);
    expect(rule, &BTreeSet::from_iter(ids(&shards)).len(), &5);
    let is_open = shards.iter().all(|shard| !shard.is_closed() && shard.parents().is_empty());
    hold("new shards are open, and have no parents", is_open, &shards);
    if trial.service.set_page_size(&trial.stream, 2) {
        let (paged, sizes) = trial.list();
        expect(rule, &ids(&paged), &ids(&shards));
        let are_pages = sizes.len() > 1 && sizes.iter().all(|size| *size <= 2);
        hold("a page names the next one, unless it is the last", are_pages, &sizes);
    }
}

/// A shard with records, read to its end.
// long: a story of one split, told in order.
pub(super) fn split(trial: &Trial<impl Service>) {
    let shard = trial.shard();
    trial.put(5);
    let token = trial.token(&IteratorType::TrimHorizon);
    if !trial.service.split(&trial.stream, &shard) {
        return;
    }
    let (shards, _) = trial.list();
    let closed: Vec<_> = shards.iter().filter(|it| it.is_closed()).cloned().collect();
    expect("a shard that was split is closed", &ids(&closed), &vec![shard.clone()]);
    let children: Vec<_> =
        shards.iter().filter(|it| it.parents() == [shard.clone()]).cloned().collect();
    expect("its children name it as their parent", &children.len(), &2);
    let (mut told, mut next, mut records) = (Vec::new(), Some(token), 0);
    let begun = Instant::now();
    while let Some(token) = next.take_if(|_| begun.elapsed() < trial.patience) {
        let answer = trial.read(&token, 2);
        records += answer.records.len();
        (next, told) = (answer.next, answer.children);
    }
    hold("a closed shard has an end, without a next token", next.is_none(), &records);
    expect("all records of a closed shard come before its end", &records, &5);
    let told: BTreeSet<_> = told.iter().map(|child| child.id.clone()).collect();
    let is_known = told.is_empty() || told == ids(&children).into_iter().collect();
    hold("the children that an end tells are those of the listing", is_known, &told);
}
