//! Counters, gauges and histograms: those of the `metrics` facade, or, without its feature, none.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{Counter, Gauge, Histogram, Labels, describe};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::none::{Counter, Gauge, Histogram, Labels, describe};

/// What kind of numbers an instrument takes, and in which unit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// How often something happened.
    Count,
    CountOfBytes,
    /// How many there are.
    Number,
    Bytes,
    Seconds,
    /// A distribution of times in seconds.
    Times,
}

#[cfg(feature = "metrics")]
mod facade {
    use metrics::{Label, Unit};

    use super::Kind;

    pub(crate) use metrics::{Counter, Gauge, Histogram};

    /// The stream, shard or class that an instrument belongs to.
    #[derive(Clone)]
    pub(crate) struct Labels(Vec<Label>);

    impl Labels {
        pub(crate) fn new(stream: &str) -> Self {
            Self(Vec::new()).and("stream", stream)
        }

        pub(crate) fn and(&self, name: &'static str, value: &str) -> Self {
            let mut labels = self.0.clone();
            labels.push(Label::new(name, value.to_owned()));
            Self(labels)
        }

        pub(crate) fn counter(&self, name: &'static str) -> Counter {
            metrics::counter!(name, self.0.clone())
        }

        /// At 0 until it is set.
        pub(crate) fn gauge(&self, name: &'static str) -> Gauge {
            let gauge = metrics::gauge!(name, self.0.clone());
            gauge.set(0.0);
            gauge
        }

        pub(crate) fn histogram(&self, name: &'static str) -> Histogram {
            metrics::histogram!(name, self.0.clone())
        }
    }

    /// Describes the numbers to the installed recorder; a second call changes nothing.
    pub(crate) fn describe(name: &'static str, kind: Kind, what: &'static str) {
        match kind {
            Kind::Count => metrics::describe_counter!(name, Unit::Count, what),
            Kind::CountOfBytes => metrics::describe_counter!(name, Unit::Bytes, what),
            Kind::Number => metrics::describe_gauge!(name, Unit::Count, what),
            Kind::Bytes => metrics::describe_gauge!(name, Unit::Bytes, what),
            Kind::Seconds => metrics::describe_gauge!(name, Unit::Seconds, what),
            Kind::Times => metrics::describe_histogram!(name, Unit::Seconds, what),
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod none {
    use std::time::Duration;

    use super::Kind;

    pub(crate) struct Counter;
    pub(crate) struct Gauge;
    pub(crate) struct Histogram;
    #[derive(Clone)]
    pub(crate) struct Labels;

    impl Counter {
        pub(crate) fn increment(&self, _by: u64) {}
    }

    impl Gauge {
        pub(crate) fn set(&self, _value: f64) {}
    }

    impl Histogram {
        pub(crate) fn record(&self, _value: Duration) {}
    }

    impl Labels {
        pub(crate) fn new(_stream: &str) -> Self {
            Self
        }

        pub(crate) fn and(&self, _name: &'static str, _value: &str) -> Self {
            Self
        }

        pub(crate) fn counter(&self, _name: &'static str) -> Counter {
            Counter
        }

        pub(crate) fn gauge(&self, _name: &'static str) -> Gauge {
            Gauge
        }

        pub(crate) fn histogram(&self, _name: &'static str) -> Histogram {
            Histogram
        }
    }

    pub(crate) fn describe(_name: &'static str, _kind: Kind, _what: &'static str) {}
}
