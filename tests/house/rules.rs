//! The house: its rooms, and what each may know of the others.

/// A room, what it is for, and the rooms whose items it may name.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) may_name: &'static [&'static str],
}

/// From the ground up. A room names those below it that it needs, and none above.
pub(crate) const ROOMS: &[Room] = &[
    room("model", "the words of Kinesis, which know order and text", &[]),
    room("budget", "how much memory is in use, and who waits for it", &[]),
    room("control", "what stops, pauses and bounds", &["budget"]),
    room("error", "the one error, a client's and a store's", &["model"]),
    room("record", "the records of one answer", &["model", "budget"]),
    room("observe", "what a shard does and did", &["model", "error"]),
    room(
        "aws",
        "how AWS is spoken to; of Kinesis only its hosts",
        &["model", "error", "control", "budget"],
    ),
    room("core", "what is decided; nothing is done", &["model", "error", "record"]),
    room("store", "where positions are kept", &["model", "error"]),
    room(
        "client",
        "the calls, to Kinesis or to one in memory",
        &["model", "error", "control", "budget", "record", "aws"],
    ),
    room(
        "delivery",
        "from the channel to the commit",
        &["model", "error", "control", "budget", "record", "observe", "core", "store"],
    ),
    room(
        "config",
        "every setting",
        &["model", "error", "budget", "record", "core", "delivery", "observe"],
    ),
    room(
        "engine",
        "the threads",
        &[
            "model", "error", "control", "budget", "record", "observe", "core", "store", "client",
            "delivery", "config",
        ],
    ),
    room("listener", "the handle of a consumer", ABOVE_THREADS),
    room("stream", "the doors", ABOVE_ALL),
    room("manual", "text, for rustdoc alone", &[]),
];

const ABOVE_THREADS: &[&str] = &[
    "model", "error", "control", "budget", "record", "observe", "core", "store", "client",
    "delivery", "config", "engine",
];

const ABOVE_ALL: &[&str] = &[
    "model", "error", "control", "budget", "record", "observe", "core", "store", "client",
    "delivery", "config", "engine", "listener",
];

/// The rooms that decide, and all that they name.
pub(crate) const PURE: &[&str] = &["core", "model", "error", "record"];

/// What the rooms that decide may bring from elsewhere.
pub(crate) const PURE_CRATES: &[&str] =
    &["crate", "self", "super", "std", "bytes", "fastrand", "log", "md5", "serde", "thiserror"];

/// What makes the same events end differently, or wait. Memory reaches `record` as a guard that it drops.
pub(crate) const IMPURE: &[&str] = &[
    "thread",
    "crossbeam_channel",
    "parking_lot",
    "atomic",
    "Mutex",
    "RwLock",
    "Condvar",
    "OnceLock",
    "LazyLock",
    "HashMap",
    "HashSet",
    "Instant",
    "thread_local",
    "mpsc",
    "fs",
    "net",
    "env",
    "process",
];

/// Where threads may be made, and who waits for their ends. Each thread has a name.
pub(crate) const THREADS: &[(&str, &str)] = &[
    ("engine", "the run, whose scope no thread outlives"),
    ("stream", "`Listener`, whose `join` and drop wait for it"),
    ("aws/credentials/cache", "the cache, which joins it when it takes its answer or is dropped"),
    (
        "aws/credentials/process",
        "nobody: what the program has started may keep its output open; it ends with that",
    ),
    ("aws/credentials/rusoto", "the question for credentials, whose scope no thread outlives"),
    (
        "aws/http/resolver",
        "nobody: a lookup cannot be interrupted, and ends when the system gives it up",
    ),
    ("store/contract", "the suite, whose scope no thread outlives"),
    ("client/contract", "the suite, whose scope no thread outlives"),
];

/// Lines of a file without its tests.
pub(crate) const MAX_FILE: usize = 400;
/// Lines of a function.
pub(crate) const MAX_FUNCTION: usize = 50;
/// A longer one says why.
pub(crate) const LONG_FUNCTION: usize = 25;

const fn room(
    name: &'static str,
    purpose: &'static str,
    may_name: &'static [&'static str],
) -> Room {
    Room { name, purpose, may_name }
}
