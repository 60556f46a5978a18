//! The recorder of all tests of this process.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// What Prometheus would scrape. The first call installs the recorder: before it, nothing is recorded. The streams of
/// the tests have names of their own.
pub(crate) fn scrape() -> String {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&[0.1, 1.0]).unwrap();
        builder.install_recorder().unwrap()
    });
    recorder.render()
}
