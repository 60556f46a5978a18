//! How the servers are known to differ from Amazon: the only place where they may.

/// A case in which one assertion is reversed on one server.
struct Known {
    server: &'static str,
    case: &'static str,
    reason: &'static str,
}

const KNOWN: &[Known] = &[
    Known { server: "embedded", case: "pages_of_shards", reason: "lists all shards in one page" },
    Known { server: "kinesalite", case: "pages_of_shards", reason: "lists all shards in one page" },
    Known {
        server: "embedded",
        case: "child_shards",
        reason: "the last answer of a shard has no ChildShards; they are found by listing",
    },
    Known {
        server: "kinesalite",
        case: "child_shards",
        reason: "the last answer of a shard has no ChildShards; they are found by listing",
    },
    Known {
        server: "kinesis-local",
        case: "expired_tokens",
        reason: "tokens live 300 s, which is not waited for; the embedded server's live one",
    },
    Known {
        server: "kinesalite",
        case: "expired_tokens",
        reason: "tokens live 300 s, which is not waited for; the embedded server's live one",
    },
    Known { server: "embedded", case: "stream_by_arn", reason: "reads no StreamARN" },
    Known { server: "kinesalite", case: "stream_by_arn", reason: "reads no StreamARN" },
    Known { server: "embedded", case: "tls", reason: "serves plain HTTP only" },
    Known { server: "kinesalite", case: "tls", reason: "is started for plain HTTP only" },
    Known {
        server: "embedded",
        case: "ten_mebibyte_answers",
        reason: "an answer may hold more than 10 MiB",
    },
    Known {
        server: "kinesalite",
        case: "ten_mebibyte_answers",
        reason: "an answer may hold more than 10 MiB",
    },
];

/// Why the server differs in this case, if it is known to.
pub(crate) fn reason(server: &str, case: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| (known.server, known.case) == (server, case));
    known.map(|known| known.reason)
}
