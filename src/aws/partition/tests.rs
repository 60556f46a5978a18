//! Names of hosts, made and read.

use super::*;

/// A region of each partition, its suffix, and that of hosts with addresses of both kinds.
const REGIONS: [(&str, &str, &str); 9] = [
    ("us-east-1", "amazonaws.com", "api.aws"),
    ("xx-new-7", "amazonaws.com", "api.aws"),
    ("us-gov-west-1", "amazonaws.com", "api.aws"),
    ("cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

const NAMES: [(Service, &str); 4] = [
    (Service::Kinesis, "kinesis"),
    (Service::Sts, "sts"),
    (Service::SsoPortal, "portal.sso"),
    (Service::DynamoDb, "dynamodb"),
];

/// Every host of Amazon's rules, made from its parts and written out here from their text.
#[test]
fn every_service_has_its_hosts_in_every_partition_and_they_say_what_they_are() {
    for (region, suffix, dual) in REGIONS {
        for (service, name) in NAMES {
            let is_gov = region.starts_with("us-gov-");
            let plain_fips = if is_gov { name.to_owned() } else { format!("{name}-fips") };
            for (is_fips, is_dual_stack, wanted) in [
                (false, false, format!("{name}.{region}.{suffix}")),
                (false, true, format!("{name}.{region}.{dual}")),
                (true, false, format!("{plain_fips}.{region}.{suffix}")),
                (true, true, format!("{name}-fips.{region}.{dual}")),
            ] {
                assert_eq!(host(service, region, is_fips, is_dual_stack), Some(wanted.clone()));
                let is_fips = is_fips || is_gov && !is_dual_stack;
                let known = Known { service, region, is_fips, is_dual_stack };
                assert_eq!(super::known(&wanted), Some(known), "{wanted}");
                assert_eq!(super::known(&format!("{wanted}.")), Some(known), "{wanted}");
            }
        }
    }
}

#[test]
fn other_names_of_these_services_say_what_they_are() {
    for (host, service, region, is_fips) in [
        ("vpce-1-2.kinesis.eu-west-1.vpce.amazonaws.com", Service::Kinesis, "eu-west-1", false),
        ("vpce-1.kinesis-fips.us-east-1.vpce.amazonaws.com", Service::Kinesis, "us-east-1", true),
        ("v.sts.cn-north-1.vpce.amazonaws.com.cn", Service::Sts, "cn-north-1", false),
        ("123456789012.data-kinesis.eu-west-1.amazonaws.com", Service::Kinesis, "eu-west-1", false),
        ("1.control-kinesis-fips.us-west-2.amazonaws.com", Service::Kinesis, "us-west-2", true),
        ("1.data-kinesis.us-iso-east-1.c2s.ic.gov", Service::Kinesis, "us-iso-east-1", false),
        ("a.b.data-kinesis-x-fips.us-east-1.api.aws", Service::Kinesis, "us-east-1", true),
    ] {
        let known = known(host).unwrap_or_else(|| panic!("{host}"));
        assert_eq!((known.service, known.region), (service, region), "{host}");
        assert_eq!((known.is_fips, known.is_dual_stack), (is_fips, host.ends_with("api.aws")));
    }
}

#[test]
fn an_isolated_partition_that_is_not_known_has_no_hosts() {
    for region in ["us-isox-east-1", "ap-iso-east-1", "eu-isoz-west-1"] {
        assert_eq!(host(Service::Kinesis, region, false, false), None, "{region}");
    }
}

#[test]
fn hosts_that_are_not_of_these_services_say_nothing() {
    for host in [
        "kinesis.eu-west-1.example.com",
        "kinesis.eu-west-1.notamazonaws.com",
        "sqs.eu-west-1.amazonaws.com",
        "sso.eu-west-1.amazonaws.com",
        "notkinesis.eu-west-1.amazonaws.com",
        "kinesis.amazonaws.com",
        "sts.amazonaws.com",
        "kinesis..amazonaws.com",
        "amazonaws.com",
        "localhost",
    ] {
        assert_eq!(known(host), None, "{host}");
    }
}
