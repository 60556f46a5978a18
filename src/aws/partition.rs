//! Amazon's partitions: from a service and a region to the name of a host, and back.

use crate::aws::service::Service;

/// Regions under one set of names.
struct Partition {
    /// The beginning of its regions' names; the first partition has all other regions.
    prefix: &'static str,
    /// Its name in ARNs.
    name: &'static str,
    suffix: &'static str,
    /// The suffix of hosts that have addresses of both kinds.
    dual_stack: &'static str,
    /// Its usual hosts are FIPS endpoints, without another name.
    is_fips: bool,
}

/// What the name of a host of Amazon's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known<'a> {
    pub(crate) service: Service,
    pub(crate) region: &'a str,
    /// It is a FIPS endpoint.
    pub(crate) is_fips: bool,
    /// It has addresses of both kinds.
    pub(crate) is_dual_stack: bool,
}

const fn partition(
    prefix: &'static str,
    name: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { prefix, name, suffix, dual_stack, is_fips: false }
}

/// As in Amazon's own rules; the last match counts.
const PARTITIONS: [Partition; 8] = [
    partition("", "aws", "amazonaws.com", "api.aws"),
    Partition { is_fips: true, ..partition("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws") },
    partition("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

/// Other beginnings of Kinesis's hosts, after the number of an account or the name of a stream.
const OF_ACCOUNTS: [&str; 2] = ["data-kinesis", "control-kinesis"];

const FIPS: &str = "-fips";

/// The partition of a region. `None` for an isolated partition that is not known.
fn of(region: &str) -> Option<&'static Partition> {
    let fits = |partition: &&Partition| region.starts_with(partition.prefix);
    let found = PARTITIONS.iter().rfind(fits)?;
    let place = region.split('-').nth(1).unwrap_or_default();
    let is_unknown = found.prefix.is_empty() && place.starts_with("iso");
    (!is_unknown).then_some(found)
}

/// The name of a region's partition in ARNs. `None` for an isolated partition that is not known.
pub(crate) fn name(region: &str) -> Option<&'static str> {
    of(region).map(|partition| partition.name)
}

/// The name of a service's host in a region, as Amazon's rules make it. `None` for an isolated partition that is not
/// known.
pub(crate) fn host(
    service: Service,
    region: &str,
    is_fips: bool,
    is_dual_stack: bool,
) -> Option<String> {
    let partition = of(region)?;
    let suffix = if is_dual_stack { partition.dual_stack } else { partition.suffix };
    let is_plain = !is_fips || partition.is_fips && !is_dual_stack;
    let fips = if is_plain { "" } else { FIPS };
    Some(format!("{}{fips}.{region}.{suffix}", service.host()))
}

/// What the name of a host says, such as `kinesis.eu-west-1.amazonaws.com` or that of a VPC endpoint; `None` for a host
/// that is not one of these services.
pub(crate) fn known(host: &str) -> Option<Known<'_>> {
    let host = host.trim_end_matches('.');
    let suffixes = PARTITIONS.iter().flat_map(|it| [(it.suffix, false), (it.dual_stack, true)]);
    let (name, is_dual_stack) = suffixes
        .filter_map(|(suffix, is_dual_stack)| {
            Some((host.strip_suffix(suffix)?.strip_suffix('.')?, is_dual_stack))
        })
        .next()?;
    let name = name.strip_suffix(".vpce").unwrap_or(name);
    let (before, region) = name.rsplit_once('.')?;
    let plain = before.strip_suffix(FIPS);
    let service = service(plain.unwrap_or(before)).filter(|_| !region.is_empty())?;
    let is_fips = plain.is_some() || !is_dual_stack && of(region).is_some_and(|it| it.is_fips);
    Some(Known { service, region, is_fips, is_dual_stack })
}

/// The service of the labels before a region.
fn service(labels: &str) -> Option<Service> {
    let ends_with = |name: &str| {
        let before = labels.strip_suffix(name);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    if OF_ACCOUNTS.iter().any(|name| last.starts_with(name)) {
        return Some(Service::Kinesis);
    }
    Service::ALL.into_iter().find(|service| ends_with(service.host()))
}

#[cfg(test)]
mod tests;
