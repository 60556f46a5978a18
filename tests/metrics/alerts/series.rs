//! What Prometheus has scraped of one stream.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::recorder;

pub(crate) type Labels = BTreeMap<String, String>;

/// A value at a time, in seconds.
pub(crate) type Sample = (f64, f64);

pub(crate) struct Series {
    stream: &'static str,
    samples: BTreeMap<(String, Labels), Vec<Sample>>,
    /// Of the last scrape, since 1970.
    now: f64,
}

impl Series {
    pub(crate) fn of(stream: &'static str) -> Self {
        // From now on it is recorded.
        recorder::scrape();
        Self { stream, samples: BTreeMap::new(), now: 0.0 }
    }

    pub(crate) fn scrape(&mut self) {
        let text = recorder::scrape();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.now = now.as_secs_f64();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, labels, value) = parse(line);
            if labels.get("stream").is_some_and(|stream| stream == self.stream) {
                self.samples.entry((name, labels)).or_default().push((self.now, value));
            }
        }
    }

    pub(crate) fn now(&self) -> f64 {
        self.now
    }

    /// The series of a metric whose samples are no older than this.
    pub(crate) fn of_metric<'a>(
        &'a self,
        name: &'a str,
        window: Duration,
    ) -> impl Iterator<Item = (&'a Labels, &'a [Sample])> {
        let since = self.now - window.as_secs_f64();
        let named = self.samples.iter().filter(move |((it, _), _)| it == name);
        named.map(move |((_, labels), samples)| {
            let first = samples.partition_point(|(at, _)| *at < since);
            (labels, &samples[first..])
        })
    }

    /// The last value of the one series that has these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |of: &Labels| {
            labels.iter().all(|(key, value)| of.get(*key).is_some_and(|it| it == value))
        };
        let mut found = self.of_metric(name, Duration::ZERO).filter(|(of, _)| has(of));
        let value = found.next()?.1.last()?.1;
        assert!(found.next().is_none(), "{name} has several");
        Some(value)
    }
}

/// `name{key="value",…} 1.5`
fn parse(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    (name.to_owned(), labels.collect(), value.parse().unwrap())
}
