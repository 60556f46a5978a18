//! The command line of the examples.

use std::path::PathBuf;

use kinesis_consumer::BoxError;

/// The options.
pub(crate) struct Arguments {
    /// `--endpoint URL`: a server that runs already. Defaults to one inside the process.
    pub(crate) endpoint: Option<String>,
    /// `--store FILE`, for the quickstart: positions where the next run resumes.
    pub(crate) store: Option<PathBuf>,
    /// `--records N`, for the quickstart. Defaults to 10,000.
    pub(crate) records: usize,
    /// `--size BYTES` of data in each record, for the quickstart: 32 to 1,000,000. Defaults to 100.
    pub(crate) size: usize,
}

impl Arguments {
    /// Reads the command line of the process.
    pub(crate) fn read() -> Result<Self, BoxError> {
        let mut found = Self { endpoint: None, store: None, records: 10_000, size: 100 };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let mut value = || words.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--endpoint" => found.endpoint = Some(value()?),
                "--store" => found.store = Some(value()?.into()),
                "--records" => found.records = value()?.parse()?,
                "--size" => found.size = value()?.parse()?,
                _ => {
                    return Err(format!(
                        "{name:?} is unknown: --endpoint URL or --store FILE, --records N, --size BYTES"
                    )
                    .into());
                }
            }
        }
        if found.endpoint.is_some() && found.store.is_some() {
            return Err("--store keeps the server inside with it: not with --endpoint".into());
        }
        if found.records == 0 || !(32..=1_000_000).contains(&found.size) {
            return Err("--records is at least 1, --size is 32 to 1000000".into());
        }
        Ok(found)
    }
}
