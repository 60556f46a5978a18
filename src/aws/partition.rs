//! Amazon's partitions: from a region to the names of its hosts, and back.

/// Regions under one set of names.
struct Partition {
    /// The beginning of its regions' names; the first partition has all other regions.
    prefix: &'static str,
    suffix: &'static str,
    /// The suffix of hosts that have addresses of both kinds.
    dual_stack: &'static str,
}

const fn partition(
    prefix: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { prefix, suffix, dual_stack }
}

/// As in Amazon's own rules; the last match counts.
const PARTITIONS: [Partition; 8] = [
    partition("", "amazonaws.com", "api.aws"),
    partition("us-gov-", "amazonaws.com", "api.aws"),
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

/// The partitions that have a name of their own in ARNs, by the beginning of their regions' names.
const NAMES: [(&str, &str); 7] = [
    ("us-gov-", "aws-us-gov"),
    ("cn-", "aws-cn"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

/// The names of Kinesis before the region in a host name.
const SERVICES: [&str; 6] = [
    "kinesis",
    "kinesis-fips",
    "data-kinesis",
    "data-kinesis-fips",
    "control-kinesis",
    "control-kinesis-fips",
];

/// The suffix of host names in a region. `None` for an isolated partition that is not known.
pub(crate) fn suffix(region: &str) -> Option<&'static str> {
    let fits = |partition: &&Partition| region.starts_with(partition.prefix);
    let found = PARTITIONS.iter().rfind(fits)?;
    let place = region.split('-').nth(1).unwrap_or_default();
    let is_unknown = found.prefix.is_empty() && place.starts_with("iso");
    (!is_unknown).then_some(found.suffix)
}

/// The name of a region's partition in ARNs. `None` for an isolated partition that is not known.
pub(crate) fn name(region: &str) -> Option<&'static str> {
    suffix(region)?;
    let of = NAMES.iter().find(|(prefix, _)| region.starts_with(prefix));
    Some(of.map_or("aws", |(_, name)| name))
}

/// The region in the name of an endpoint of Amazon's, such as `kinesis.eu-west-1.amazonaws.com` or a VPC endpoint; any
/// other host has none.
pub(crate) fn region_of(host: &str) -> Option<&str> {
    let suffixes = PARTITIONS.iter().flat_map(|it| [it.suffix, it.dual_stack]);
    let mut names = suffixes.filter_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'));
    let mut labels = names.next()?.split('.');
    labels.find(|label| SERVICES.contains(label))?;
    labels.next().filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_the_hosts_of_its_partition_and_they_have_the_region() {
        for (region, wanted) in [
            ("eu-west-1", "amazonaws.com"),
            ("xx-new-7", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
        ] {
            assert_eq!(suffix(region), Some(wanted), "{region}");
            for host in [
                format!("kinesis.{region}.{wanted}"),
                format!("kinesis-fips.{region}.{wanted}"),
                format!("vpce-1-2.kinesis.{region}.vpce.{wanted}"),
                format!("123456789012.data-kinesis.{region}.{wanted}"),
            ] {
                assert_eq!(region_of(&host), Some(region), "{host}");
            }
        }
        assert_eq!(region_of("kinesis.eu-west-1.api.aws"), Some("eu-west-1"));
        assert_eq!(region_of("kinesis.us-iso-east-1.api.aws.ic.gov"), Some("us-iso-east-1"));
    }

    #[test]
    fn an_isolated_partition_that_is_not_known_has_no_hosts() {
        for region in ["us-isox-east-1", "ap-iso-east-1", "eu-isoz-west-1"] {
            assert_eq!(suffix(region), None, "{region}");
        }
    }

    #[test]
    fn hosts_that_are_not_amazons_have_no_region() {
        for host in [
            "kinesis.eu-west-1.example.com",
            "kinesis.eu-west-1.notamazonaws.com",
            "sqs.eu-west-1.amazonaws.com",
            "kinesis.amazonaws.com",
            "amazonaws.com",
            "localhost",
        ] {
            assert_eq!(region_of(host), None, "{host}");
        }
    }
}
