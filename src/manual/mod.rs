//! The manual, a chapter a module: these modules hold nothing but text.
//!
//! The [crate's page](crate#the-manual) lists them by subject.

/// A module whose text is a file, after a sentence for lists of modules, and a picture if it has one.
macro_rules! chapter {
    ($(#[$attribute:meta])* $name:ident $($picture:literal)?) => {
        $(#[$attribute])*
        #[doc = ""]
        $(
            #[doc = include_str!($picture)]
            #[doc = ""]
        )?
        #[doc = include_str!(concat!(stringify!($name), ".md"))]
        pub mod $name {}
    };
}

chapter! {
    /// Records of Amazon's producer library (KPL), taken apart.
    #[doc(alias = "kpl", alias = "deaggregation")]
    aggregates
}
chapter! {
    /// What Amazon charges, and which part of it depends on this consumer.
    #[doc(alias = "price", alias = "pricing")]
    costs
}
chapter! {
    /// Where credentials come from, and which permissions they need.
    #[doc(alias = "iam", alias = "permissions", alias = "role", alias = "sso", alias = "imds", alias = "cross-account")]
    credentials
}
chapter! {
    /// Each crate, and what it is there for.
    dependencies
}
chapter! {
    /// Regions, endpoints, FIPS, proxies, certificates, and each variable of Amazon's tools.
    #[doc(alias = "endpoint", alias = "region", alias = "fips", alias = "dualstack", alias = "proxy", alias = "profile")]
    environment
}
chapter! {
    /// Each error and each class of failed calls, with cause and remedy.
    errors
}
chapter! {
    /// What happens when the handler fails, at a gap and at a stall.
    #[doc(alias = "at-least-once", alias = "retry", alias = "dead-letter", alias = "gap", alias = "stall", alias = "idempotent", alias = "duplicates")]
    failures
}
chapter! {
    /// Consumers that divide the shards of a stream among themselves, through a table of leases.
    #[doc(alias = "lease", alias = "failover", alias = "rebalance", alias = "kcl")]
    fleet
}
chapter! {
    /// What it does not do, why, and what to do instead.
    #[doc(alias = "fan-out", alias = "lease")]
    limits
}
chapter! {
    /// Each warning in the log, and what to do.
    #[doc(alias = "logging", alias = "warnings")]
    log
}
chapter! {
    /// The most memory that a consumer takes, and what holds records.
    #[doc(alias = "budget", alias = "rss", alias = "backpressure")]
    memory
}
chapter! {
    /// From go-kcl, from KCL, from a loop over an SDK.
    #[doc(alias = "kcl", alias = "go-kcl", alias = "aws-sdk")]
    migrating
}
chapter! {
    /// Progress, pauses, metrics and alerts.
    #[doc(alias = "metrics", alias = "prometheus", alias = "alerts", alias = "lag", alias = "progress")]
    monitoring
}
chapter! {
    /// What to set up on EC2, ECS, EKS and Lambda; other accounts; TLS and small images.
    #[doc(alias = "ec2", alias = "ecs", alias = "eks", alias = "lambda", alias = "tls", alias = "rustls", alias = "localstack")]
    on_aws
}
chapter! {
    /// CPU, memory and latency, measured.
    #[doc(alias = "benchmark", alias = "latency")]
    performance
}
chapter! {
    /// A closure, a thread, a channel, or several workers.
    #[doc(alias = "select", alias = "workers", alias = "channel")]
    reading
}
chapter! {
    /// What is read when a shard is split or merged.
    #[doc(alias = "split", alias = "merge", alias = "lineage")]
    resharding "pictures/reshard.svg"
}
chapter! {
    /// All settings with their defaults, and how to choose them by Amazon's limits.
    #[doc(alias = "configuration", alias = "defaults", alias = "interval", alias = "throttle", alias = "throttling", alias = "timeout")]
    settings
}
chapter! {
    /// What applications, processes and streams share.
    sharing
}
chapter! {
    /// How to stop, to drain, and to run it under Kubernetes.
    #[doc(alias = "kubernetes", alias = "sigterm", alias = "signal", alias = "drain", alias = "shutdown", alias = "ctrl-c")]
    stopping
}
chapter! {
    /// How far a shard was processed, where that is kept, and where a shard starts.
    #[doc(alias = "checkpoint", alias = "commit", alias = "position", alias = "sqlite", alias = "rewind", alias = "export", alias = "resume", alias = "restart")]
    stores "pictures/commit.svg"
}
chapter! {
    /// Records, and a live table of shards, in a terminal.
    tail "pictures/lag.svg"
}
chapter! {
    /// How to test a handler without a server.
    #[doc(alias = "mock", alias = "fake")]
    testing
}
chapter! {
    /// The threads, the channel, and what each does.
    #[doc(alias = "architecture")]
    threads "pictures/threads.svg"
}
chapter! {
    /// What a new version may change, and the features.
    #[doc(alias = "semver", alias = "features", alias = "msrv")]
    versions
}
