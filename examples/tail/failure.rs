//! Why it failed, in the words of the command line.

use std::error::Error as StdError;
use std::time::Duration;

use kinesis_consumer::Error;

/// One line, with what caused it.
pub(crate) fn line(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.downcast_ref().and_then(advice).unwrap_or_else(|| error.to_string());
    let mut source = error.source();
    while let Some(error) = source {
        line += &format!(": {error}");
        source = error.source();
    }
    line.replace('\n', " ")
}

/// The library's text where that names what a command line has not.
fn advice(error: &Error) -> Option<String> {
    Some(match error {
        Error::InvalidSetting { setting, reason, .. } => {
            let option = match *setting {
                "endpoint" => "--endpoint",
                "iterator_type" => "--from",
                "name" => "STREAM",
                "region" => "--region",
                _ => return None,
            };
            format!("{option}: {reason}")
        }
        Error::SequenceNumberForSeveralShards { stream, shards, .. } => format!(
            "a sequence number belongs to one shard, and {shards} of stream {stream:?} would be read \
             from it: choose one with --shard"
        ),
        Error::UnknownShard { stream, shard, .. } => {
            format!("stream {stream:?} has no shard {shard:?}: --lag shows those that it has")
        }
        Error::Client { stream, shard, lasted, .. } => {
            let shard = shard.as_ref().map(|shard| format!(", shard {shard:?}"));
            let lasted = lasted.map(|lasted| Duration::from_secs(lasted.as_secs()));
            let lasted = lasted.map(|lasted| format!(", tried for {lasted:?}"));
            let (shard, lasted) = (shard.unwrap_or_default(), lasted.unwrap_or_default());
            format!("stream {stream:?}{shard} cannot be read{lasted}")
        }
        Error::Gap { stream, gap, .. } => format!(
            "the positions in the file of --store are of another stream than {stream:?}, shard {:?}, is \
             now: take another file",
            gap.shard()
        ),
        _ => return None,
    })
}
