//! What every public type can do: be sent, be shared, be shown.

mod changes;
mod surface;

use std::error::Error as StdError;
use std::fmt::Debug;
use std::hash::Hash;

use kinesis_consumer as kc;

fn is_shared<T: Send + Sync + Debug + 'static>() {}
fn is_sent<T: Send + 'static>() {}
fn is_value<T: Send + Sync + Debug + Clone + Eq + Hash + 'static>() {}
fn is_error<T: StdError + Send + Sync + 'static>() {}

#[test]
fn what_workers_and_other_threads_need_can_be_sent_and_shared() {
    is_shared::<kc::Batch>();
    is_shared::<kc::Batches>();
    is_shared::<kc::IntoBatches>();
    is_shared::<kc::Commit>();
    is_shared::<kc::Records>();
    is_shared::<kc::RecordsBuilder>();
    is_shared::<kc::Record<'static>>();
    is_shared::<kc::RecordIter<'static>>();
    is_shared::<kc::DeadLetter<'static>>();
    is_shared::<kc::Stream>();
    is_shared::<kc::Listener>();
    is_shared::<kc::Shutdown>();
    is_shared::<kc::Monitor>();
    is_shared::<kc::Pauses>();
    is_shared::<kc::Budget>();
    is_shared::<kc::Config>();
    is_shared::<kc::OnError>();
    is_shared::<kc::Call>();
    is_shared::<kc::ShardPage>();
    is_shared::<kc::ShardIterator>();
    is_shared::<kc::Answer>();
    is_shared::<kc::KinesisClient>();
    is_shared::<kc::ClientBuilder>();
    is_shared::<kc::Credentials>();
    #[cfg(feature = "rusoto")]
    is_shared::<kc::RusotoProvider<rusoto_credential::StaticProvider>>();
    is_shared::<kc::testing::MemoryKinesis>();
    is_shared::<kc::testing::MemoryLeases>();
    is_shared::<kc::LocalStore>();
    is_shared::<kc::DynamoLeases>();
    is_shared::<kc::Fleet>();
    is_shared::<kc::Leases>();
    is_shared::<kc::leases::Page>();
    is_shared::<kc::SqliteStore>();
    is_shared::<kc::SqliteStoreBuilder>();
    is_shared::<kc::testing::HeldRecord>();
    is_shared::<kc::testing::Put>();
    is_shared::<kc::Progress>();
    is_shared::<kc::ShardProgress>();
    is_shared::<kc::FleetProgress>();
    is_sent::<Box<dyn kc::Client>>();
    is_sent::<Box<dyn kc::testing::Service<Client = kc::KinesisClient> + Send>>();
    is_sent::<Box<dyn kc::Store>>();
    is_sent::<Box<dyn kc::leases::LeaseTable>>();
    is_sent::<Box<dyn kc::CredentialsProvider>>();
}

#[test]
fn what_is_compared_and_kept_is_a_value() {
    is_value::<kc::Position>();
    is_value::<kc::IteratorType>();
    is_value::<kc::SequenceNumber>();
    is_value::<kc::StreamId>();
    is_value::<kc::HashKeyRange>();
    is_value::<kc::Shard>();
    is_value::<kc::ChildShard>();
    is_value::<kc::Token>();
    is_value::<kc::Gap>();
    is_value::<kc::OnGap>();
    is_value::<kc::OnTrimmed>();
    is_value::<kc::OnForeign>();
    is_value::<kc::Deaggregation>();
    is_value::<kc::Notice>();
    is_value::<kc::LossReason>();
    is_value::<kc::ShardState>();
    is_value::<kc::ErrorClass>();
    is_value::<kc::StreamStatus>();
    is_value::<kc::StoreErrorKind>();
    is_value::<kc::LeaseCall>();
    is_value::<kc::Durability>();
    is_value::<kc::Import>();
    is_value::<kc::leases::Attribute>();
    is_value::<kc::leases::Write>();
    is_value::<kc::leases::Act>();
    is_value::<kc::leases::Condition>();
    is_value::<kc::leases::Update>();
    is_value::<kc::leases::Change>();
    is_value::<kc::leases::Applied>();
    is_value::<kc::leases::PageToken>();
    is_value::<kc::leases::LeaseTableErrorKind>();
    is_value::<kc::testing::Operation>();
    is_value::<kc::testing::TableFault>();
}

#[test]
fn every_error_fits_into_a_box_that_is_sent() {
    is_error::<kc::Error>();
    is_error::<kc::ClientError>();
    is_error::<kc::StoreError>();
    is_error::<kc::FleetErrorKind>();
    is_error::<kc::leases::LeaseTableError>();
    is_error::<kc::ImportError>();
    is_error::<kc::InvalidPositionKey>();
    is_error::<kc::InvalidSequenceNumber>();
    is_error::<kc::InvalidStreamId>();
}

/// As those do who have no such dependency of their own.
#[test]
fn the_channel_is_used_by_way_of_this_crate() {
    use kc::crossbeam_channel::{Receiver, bounded, select};
    let (sender, receiver): (_, Receiver<kc::bytes::Bytes>) = bounded(1);
    sender.send(kc::bytes::Bytes::from_static(b"one espresso")).unwrap();
    select! {
        recv(receiver) -> bytes => assert_eq!(bytes.unwrap(), b"one espresso"[..]),
        default => panic!("nothing was received"),
    }
}

/// What a caller may do with an error: look into it, and show all of it.
#[test]
fn an_error_keeps_its_source_and_does_not_repeat_it() {
    let kinesis = kc::testing::MemoryKinesis::new();
    let mut stream =
        kc::Stream::new(kinesis, "orders", kc::LocalStore::new(), kc::Config::new()).unwrap();
    let error = stream.shards().unwrap_err();
    assert!(matches!(error, kc::Error::StreamNotFound { .. }), "{error}");
    let (text, source) = (error.to_string(), error.source().unwrap().to_string());
    assert!(text.contains("orders") && source.contains("ListShards"), "{text}: {source}");
    assert!(!text.contains(&source), "{text}: {source}");
}
