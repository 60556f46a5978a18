//! Whether a client reads where a stream is.

use crate::aws::partition;
use crate::model::stream_id::StreamId;

/// Checks that a client of this region, which sends to this host, can read the stream.
///
/// Only at Amazon's own hosts: whoever runs another server, which calls its region and account as it likes, may give
/// the ARN that it shows.
///
/// # Errors
/// If the ARN is of another region or partition; then the service would not find the stream.
pub(super) fn check(stream: &StreamId, region: &str, host: &str) -> Result<(), String> {
    let (Some(partition), Some(of)) = (stream.partition(), stream.region()) else { return Ok(()) };
    if partition::known(host).is_none() {
        return Ok(());
    }
    if of != region {
        return Err(format!(
            "{stream} is in region {of:?}, and the client reads in {region:?}: give the client the region \
             of the stream"
        ));
    }
    match partition::name(region) {
        Some(right) if right != partition => Err(format!(
            "{stream} is in partition {partition:?}, and region {region:?} is in {right:?}: correct \
             one of them"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::service::Service;

    fn checked(stream: &str, region: &str, host: &str) -> Result<(), String> {
        check(&stream.parse().unwrap(), region, host)
    }

    #[test]
    fn an_arn_of_another_region_or_partition_is_refused_at_amazons_hosts() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
        for host in [
            "kinesis.us-east-1.amazonaws.com",
            "kinesis-fips.us-east-1.api.aws",
            "vpce-1-2.kinesis.us-east-1.vpce.amazonaws.com",
        ] {
            let error = checked(arn, "us-east-1", host).unwrap_err();
            assert!(error.contains(arn) && error.contains("in \"us-east-1\""), "{error}");
            assert!(error.contains("is in region \"eu-west-1\""), "{error}");
            assert_eq!(checked("orders", "us-east-1", host), Ok(()));
        }
        let host = "kinesis.cn-north-1.amazonaws.com.cn";
        let wrong = arn.replace("eu-west-1", "cn-north-1");
        let error = checked(&wrong, "cn-north-1", host).unwrap_err();
        assert!(error.contains("in partition \"aws\"") && error.contains("\"aws-cn\""), "{error}");
    }

    #[test]
    fn every_region_is_in_its_partition() {
        for (partition, region) in [
            ("aws", "eu-west-1"),
            ("aws-cn", "cn-north-1"),
            ("aws-us-gov", "us-gov-west-1"),
            ("aws-eusc", "eusc-de-east-1"),
            ("aws-iso", "us-iso-east-1"),
            ("aws-iso-b", "us-isob-east-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
            ("aws-iso-f", "us-isof-south-1"),
        ] {
            let arn = format!("arn:{partition}:kinesis:{region}:123456789012:stream/orders");
            let host = partition::host(Service::Kinesis, region, false, false).unwrap();
            assert_eq!(checked(&arn, region, &host), Ok(()), "{arn}");
            let other = arn.replace(&format!("arn:{partition}:"), "arn:aws-other:");
            assert!(checked(&other, region, &host).is_err(), "{other}");
        }
    }

    #[test]
    fn another_server_finds_the_stream_or_does_not() {
        let arn = "arn:aws:kinesis:eu-west-1:000000000000:stream/orders";
        for host in ["localhost", "127.0.0.1", "::1", "localstack", "kinesis.example.com"] {
            assert_eq!(checked(arn, "us-east-1", host), Ok(()), "{host}");
        }
    }
}
