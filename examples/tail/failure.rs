//! The reason of a failure, in the words of the command line.

use std::error::Error as StdError;

use kinesis_consumer::Error;

use super::figures::span;

/// A chosen shard does not exist.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream:?} has no shard {shard:?}, but {}", list(.known))]
pub(crate) struct NoShard {
    pub(crate) stream: String,
    pub(crate) shard: String,
    /// The shards of the stream.
    pub(crate) known: Vec<String>,
}

/// How many shards are named.
const NAMED: usize = 20;

/// What the library advises to change in a program, and how that is done on the command line, if it can be.
const WORDS: [(&str, &str); 6] = [
    ("let the program allow plain http", "give --allow-http"),
    ("neither by the program", "neither by --region"),
    ("give the client the region of the stream", "give the region of the stream by --region"),
    (", or let the program wait longer for an answer", ""),
    (", or let the program get its keys in another way", ""),
    (", or let the program wait longer for its start", ""),
];

/// One line, with the cause, unless the last warning named it.
pub(crate) fn line(error: &(dyn StdError + 'static), said: &str) -> String {
    let mut line = error.downcast_ref().and_then(advice).unwrap_or_else(|| error.to_string());
    let mut source = error.source();
    while let Some(error) = source {
        let cause = plain(&error.to_string());
        if said.contains(&cause) {
            line += ", for the reason above";
            break;
        }
        line += &format!(": {cause}");
        source = error.source();
    }
    plain(&line)
}

/// On one line, and with the options of the command line in the place of a program's settings.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace('\n', " ");
    WORDS.iter().fold(text, |text, (of_program, option)| text.replace(of_program, option))
}

fn list(known: &[String]) -> String {
    let named = known[..known.len().min(NAMED)].join(", ");
    match known.len() - known.len().min(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The library's texts that name things which the command line does not have.
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
        Error::StoredUnderName { stream, name, .. } => format!(
            "the file of --store has positions of {name:?} and none of {stream}: take another file, or give \
             the name in the place of the ARN"
        ),
        Error::SequenceNumberForSeveralShards { stream, shards, .. } => format!(
            "a sequence number belongs to one shard, and {shards} of stream {stream:?} would be read \
             from it: choose one with --shard"
        ),
        Error::Client { stream, shard, lasted, .. } => {
            let shard = shard.as_ref().map(|shard| format!(", shard {shard:?}"));
            let lasted = lasted.map(|lasted| format!(", tried for {}", span(Some(lasted))));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_line_can_change_is_told_by_its_option() {
        for (text, expected) in [
            ("use https, or let the program allow plain http", "use https, or give --allow-http"),
            ("start later, or let the program wait longer for its start", "start later"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn a_long_list_of_shards_is_cut() {
        let known: Vec<String> = (0..22).map(|number| number.to_string()).collect();
        assert!(list(&known).ends_with("18, 19 and 2 more"), "{}", list(&known));
        assert_eq!(list(&known[..2]), "0, 1");
    }

    #[test]
    fn what_a_warning_has_said_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("it failed")]
        struct Failed(#[source] std::fmt::Error);
        let (error, cause) = (Failed(std::fmt::Error), std::fmt::Error);
        let said = format!("listing failed: {cause}; again in 1 s");
        assert_eq!(line(&error, &said), "it failed, for the reason above");
        assert_eq!(line(&error, "something else"), format!("it failed: {cause}"));
    }
}
