//! The house: its rooms, and what each may know of the others.

/// A room, what it is for, and the rooms whose items it may name.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) may_name: &'static [&'static str],
}

/// From the ground up. A room names those below it that it needs, and none above.
pub(crate) const ROOMS: &[Room] = &[
    room("sync", "what threads wait by: locks, clocks, timers, selects", &[]),
    room("model", "the words of Kinesis, which know order and text", &[]),
    room("budget", "how much memory is in use, and who waits for it", &["sync"]),
    room("control", "what stops, pauses and bounds", &["sync", "budget"]),
    room("error", "the one error, a client's and a store's", &["model"]),
    room("record", "the records of one answer", &["model", "budget"]),
    room("observe", "what a shard does and did", &["sync", "model", "error"]),
    room(
        "aws",
        "how AWS is spoken to; of Kinesis only its hosts",
        &["model", "error", "control", "budget"],
    ),
    room("core", "what is decided; nothing is done", &["model", "error", "record"]),
    room("store", "where positions are kept", &["sync", "model", "error", "core"]),
    room(
        "client",
        "the calls, to Kinesis or to one in memory, and to DynamoDB",
        &["sync", "model", "error", "control", "budget", "record", "aws", "store"],
    ),
    room(
        "delivery",
        "from the channel to the commit",
        &["sync", "model", "error", "control", "budget", "record", "observe", "core", "store"],
    ),
    room(
        "config",
        "every setting",
        &["sync", "model", "error", "budget", "record", "core", "delivery", "observe"],
    ),
    room(
        "engine",
        "the threads",
        &[
            "sync", "model", "error", "control", "budget", "record", "observe", "core", "store",
            "client", "delivery", "config",
        ],
    ),
    room("listener", "the handle of a consumer", ABOVE_THREADS),
    room("stream", "the doors", ABOVE_ALL),
    room("manual", "text, for rustdoc alone", &[]),
];

const ABOVE_THREADS: &[&str] = &[
    "sync", "model", "error", "control", "budget", "record", "observe", "core", "store", "client",
    "delivery", "config", "engine",
];

const ABOVE_ALL: &[&str] = &[
    "model", "error", "control", "budget", "record", "observe", "core", "store", "client",
    "delivery", "config", "engine", "listener", "sync",
];

/// Rooms whose names stand for one thing in a program and for another one in tests.
pub(crate) const FACADES: &[&str] = &["sync"];

/// Folders and files that are there for tests alone.
pub(crate) const FOR_TESTS: &[&str] = &["tests", "simulation", "schedules", "controlled"];

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
    ("sync/real", "whoever takes the names from there"),
    ("store/contract", "the suite, whose scope no thread outlives"),
    ("store/leases/contract", "the suite, whose scope no thread outlives"),
    ("client/contract", "the suite, whose scope no thread outlives"),
];

/// What waits or tells the time, for which `sync` has a name that a schedule knows.
pub(crate) const WAITS: &[[&str; 2]] = &[
    ["Instant", "now"],
    ["SystemTime", "now"],
    ["parking_lot", "Mutex"],
    ["parking_lot", "RwLock"],
    ["parking_lot", "Condvar"],
    ["sync", "Condvar"],
    ["sync", "mpsc"],
    ["crossbeam_channel", "after"],
    ["crossbeam_channel", "at"],
    ["crossbeam_channel", "select"],
    ["crossbeam_channel", "select_biased"],
    ["crossbeam_channel", "tick"],
];

/// Where these have their real names, and why no schedule needs to know.
pub(crate) const OUTSIDE_OF_SCHEDULES: &[(&str, &str)] = &[
    ("sync/real", "it hands them on"),
    ("aws", "it waits for sockets and processes"),
    ("client/kinesis", "it waits for sockets"),
    ("client/dynamo", "it waits for sockets"),
    ("client/contract", "a suite for any client"),
    ("store/sqlite", "it waits for a file"),
    ("store/contract", "a suite for any store"),
    ("store/leases/contract", "a suite for any table of leases"),
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
