//! From the environment and the profile to the endpoint of each service.

use super::*;
use crate::client::kinesis::builder::ClientBuilder;

/// A row: region, variables, the profile and what is after it in the config file, and the endpoints of Kinesis, STS,
/// the portal and DynamoDB, or a part of the error after `!`.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, [&'static str; 4]);

const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "true");
const DUAL: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
const LOCAL: &str = "http://127.0.0.1:4566";
const SERVICES: &str = "services = mine\n[services mine]\nkinesis =\n  endpoint_url = http://localhost:1\n\
                        sts =\n  endpoint_url = http://localhost:2\nsso =\n  endpoint_url = \
                        http://localhost:3\ndynamodb =\n  endpoint_url = http://localhost:4\n";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("us-east-1", &[], "", [
        "kinesis.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com",
        "portal.sso.us-east-1.amazonaws.com", "dynamodb.us-east-1.amazonaws.com",
    ]),
    ("us-east-1", &[FIPS], "", [
        "kinesis-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com",
        "!AWS_USE_FIPS_ENDPOINT demands", "dynamodb-fips.us-east-1.amazonaws.com",
    ]),
    ("us-east-1", &[DUAL], "", [
        "kinesis.us-east-1.api.aws", "sts.us-east-1.api.aws",
        "portal.sso.us-east-1.api.aws", "dynamodb.us-east-1.api.aws",
    ]),
    ("us-west-2", &[FIPS, DUAL], "", [
        "kinesis-fips.us-west-2.api.aws", "sts-fips.us-west-2.api.aws",
        "!none of the portal", "dynamodb-fips.us-west-2.api.aws",
    ]),
    ("us-gov-west-1", &[FIPS], "", [
        "kinesis.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com",
        "portal.sso.us-gov-west-1.amazonaws.com", "dynamodb.us-gov-west-1.amazonaws.com",
    ]),
    ("us-gov-east-1", &[FIPS, DUAL], "", [
        "kinesis-fips.us-gov-east-1.api.aws", "sts-fips.us-gov-east-1.api.aws",
        "portal.sso-fips.us-gov-east-1.api.aws", "dynamodb-fips.us-gov-east-1.api.aws",
    ]),
    ("us-gov-west-1", &[DUAL], "", [
        "kinesis.us-gov-west-1.api.aws", "sts.us-gov-west-1.api.aws",
        "portal.sso.us-gov-west-1.api.aws", "dynamodb.us-gov-west-1.api.aws",
    ]),
    ("ca-central-1", &[FIPS], "", [
        "!\"ca-central-1\": set the endpoint (AWS_ENDPOINT_URL_KINESIS)", "!AWS_ENDPOINT_URL_STS",
        "!AWS_ENDPOINT_URL_SSO", "dynamodb-fips.ca-central-1.amazonaws.com",
    ]),
    ("eu-west-1", &[FIPS], "", ["!Kinesis", "!STS", "!SSO", "!DynamoDB"]),
    ("cn-north-1", &[], "", [
        "kinesis.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn",
        "portal.sso.cn-north-1.amazonaws.com.cn", "dynamodb.cn-north-1.amazonaws.com.cn",
    ]),
    ("eusc-de-east-1", &[], "", [
        "kinesis.eusc-de-east-1.amazonaws.eu", "sts.eusc-de-east-1.amazonaws.eu",
        "portal.sso.eusc-de-east-1.amazonaws.eu", "dynamodb.eusc-de-east-1.amazonaws.eu",
    ]),
    ("eusc-de-east-1", &[DUAL], "", [
        "kinesis.eusc-de-east-1.api.amazonwebservices.eu", "sts.eusc-de-east-1.api.amazonwebservices.eu",
        "portal.sso.eusc-de-east-1.api.amazonwebservices.eu",
        "dynamodb.eusc-de-east-1.api.amazonwebservices.eu",
    ]),
    ("us-iso-east-1", &[], "", [
        "kinesis.us-iso-east-1.c2s.ic.gov", "sts.us-iso-east-1.c2s.ic.gov",
        "portal.sso.us-iso-east-1.c2s.ic.gov", "dynamodb.us-iso-east-1.c2s.ic.gov",
    ]),
    ("us-isob-east-1", &[DUAL], "", [
        "kinesis.us-isob-east-1.api.aws.scloud", "sts.us-isob-east-1.api.aws.scloud",
        "portal.sso.us-isob-east-1.api.aws.scloud", "dynamodb.us-isob-east-1.api.aws.scloud",
    ]),
    ("us-isox-east-1", &[], "", ["!not known", "!not known", "!not known", "!not known"]),
    // The profile.
    ("us-east-1", &[], "use_fips_endpoint = true\nuse_dualstack_endpoint = TRUE", [
        "kinesis-fips.us-east-1.api.aws", "sts-fips.us-east-1.api.aws",
        "!use_fips_endpoint of profile \"default\"", "dynamodb-fips.us-east-1.api.aws",
    ]),
    ("us-east-1", &[("AWS_USE_FIPS_ENDPOINT", "false")], "use_fips_endpoint = true", [
        "kinesis.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com",
        "portal.sso.us-east-1.amazonaws.com", "dynamodb.us-east-1.amazonaws.com",
    ]),
    ("eu-x-1", &[], "endpoint_url = http://127.0.0.1:4566", [LOCAL, LOCAL, LOCAL, LOCAL]),
    ("eu-x-1", &[], SERVICES, [
        "http://localhost:1", "http://localhost:2", "http://localhost:3", "http://localhost:4",
    ]),
    // A service that the section leaves out has the endpoint of the profile.
    ("eu-x-1", &[], "endpoint_url = http://127.0.0.1:4566\nservices = s\n[services s]\nsts =\n  endpoint_url = http://localhost:2",
        [LOCAL, "http://localhost:2", LOCAL, LOCAL]),
    ("eu-x-1", &[], "services = none", ["![services none]", "![services none]", "![services none]", "![services none]"]),
    ("eu-x-1", &[], "services = s\n[services s]\ns3 =\n  endpoint_url = http://localhost:1", [
        "kinesis.eu-x-1.amazonaws.com", "sts.eu-x-1.amazonaws.com",
        "portal.sso.eu-x-1.amazonaws.com", "dynamodb.eu-x-1.amazonaws.com",
    ]),
    // The environment goes before the profile, and there the variable of the service before the general one.
    ("eu-x-1", &[("AWS_ENDPOINT_URL", LOCAL)], SERVICES, [LOCAL, LOCAL, LOCAL, LOCAL]),
    ("eu-x-1", &[
        ("AWS_ENDPOINT_URL", LOCAL), ("AWS_ENDPOINT_URL_KINESIS", "http://localhost:5"),
        ("AWS_ENDPOINT_URL_STS", "http://localhost:6"), ("AWS_ENDPOINT_URL_SSO", "http://localhost:7"),
    ], "", ["http://localhost:5", "http://localhost:6", "http://localhost:7", LOCAL]),
    ("eu-x-1", &[("AWS_ENDPOINT_URL_DYNAMODB", LOCAL)], "", [
        "kinesis.eu-x-1.amazonaws.com", "sts.eu-x-1.amazonaws.com", "portal.sso.eu-x-1.amazonaws.com", LOCAL,
    ]),
    // A set endpoint is used, whatever is demanded.
    ("eu-x-1", &[("AWS_ENDPOINT_URL", LOCAL), FIPS, DUAL], "", [LOCAL, LOCAL, LOCAL, LOCAL]),
    // Unless configured endpoints are ignored.
    ("eu-x-1", &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("AWS_ENDPOINT_URL", LOCAL)], SERVICES, [
        "kinesis.eu-x-1.amazonaws.com", "sts.eu-x-1.amazonaws.com",
        "portal.sso.eu-x-1.amazonaws.com", "dynamodb.eu-x-1.amazonaws.com",
    ]),
    ("us-east-1", &[("AWS_ENDPOINT_URL", LOCAL), DUAL], "ignore_configured_endpoint_urls = true", [
        "kinesis.us-east-1.api.aws", "sts.us-east-1.api.aws",
        "portal.sso.us-east-1.api.aws", "dynamodb.us-east-1.api.aws",
    ]),
    ("eu-x-1", &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"), ("AWS_ENDPOINT_URL", LOCAL)],
        "ignore_configured_endpoint_urls = true", [LOCAL, LOCAL, LOCAL, LOCAL]),
    // Bad settings, each with its name.
    ("eu-x-1", &[("AWS_USE_FIPS_ENDPOINT", "1")], "", ["!AWS_USE_FIPS_ENDPOINT is neither"; 4]),
    ("eu-x-1", &[], "use_dualstack_endpoint = yes", ["!use_dualstack_endpoint of profile \"default\" is neither"; 4]),
    ("eu-x-1", &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1")], "", ["!AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is neither"; 4]),
    ("eu-x-1", &[("AWS_ENDPOINT_URL", "localhost:4566")], "", ["!AWS_ENDPOINT_URL: \"localhost:4566\": it must start"; 4]),
    ("eu-x-1", &[], "endpoint_url = http://example.com", ["!endpoint_url of profile \"default\": \"http://example.com\": plain http"; 4]),
    // The endpoint of another service.
    ("eu-west-1", &[("AWS_ENDPOINT_URL", "https://kinesis.eu-west-1.amazonaws.com")], "", [
        "kinesis.eu-west-1.amazonaws.com", "!of Kinesis, not of STS: set AWS_ENDPOINT_URL_KINESIS",
        "!of Kinesis, not of the portal", "!of Kinesis, not of DynamoDB",
    ]),
];

#[test]
fn the_environment_and_the_profile_give_each_service_its_endpoint() {
    let file = std::env::temp_dir().join(format!("kc-choice-{}", std::process::id()));
    for (number, (region, variables, profile, wanted)) in ROWS.iter().enumerate() {
        std::fs::write(&file, format!("[default]\n{profile}\n")).unwrap();
        let lookup = |name: &str| match name {
            "AWS_CONFIG_FILE" => Some(file.display().to_string()),
            "AWS_REGION" => Some((*region).to_owned()),
            _ => variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned()),
        };
        for (service, wanted) in Service::ALL.into_iter().zip(wanted) {
            let place = format!("row {number}: {region}, {}", service.title());
            let chosen = of_service(service, region, Variants::default(), false, &lookup);
            let chosen = chosen.map(|endpoint| endpoint.url().to_owned());
            is(&chosen.map_err(|error| error.to_string()), wanted, &place);
            if service == Service::Kinesis {
                let built = ClientBuilder::new().build_in(&lookup);
                let built = built.map(|client| client.endpoint().to_owned());
                is(&built.map_err(|error| error.to_string()), wanted, &format!("{place}, built"));
            }
        }
    }
    std::fs::remove_file(&file).unwrap();
}

#[track_caller]
fn is(chosen: &Result<String, String>, wanted: &str, place: &str) {
    match (chosen, wanted.strip_prefix('!')) {
        (Err(error), Some(part)) => assert!(error.contains(part), "{place}: {error}"),
        (Ok(url), None) => {
            let host = url.strip_prefix("https://").unwrap_or(url);
            assert_eq!(host, wanted, "{place}");
        }
        (chosen, _) => panic!("{place}: {chosen:?} instead of {wanted}"),
    }
}

#[test]
fn a_setter_goes_before_the_environment() {
    let lookup = |name: &str| match name {
        "AWS_USE_FIPS_ENDPOINT" => Some("true".to_owned()),
        "AWS_ENDPOINT_URL" => Some(LOCAL.to_owned()),
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" => Some("true".to_owned()),
        _ => None,
    };
    let sts = |fips, dual_stack| {
        let variants = Variants { fips, dual_stack };
        let chosen = of_service(Service::Sts, "us-east-2", variants, false, &lookup);
        chosen.unwrap().host().to_owned()
    };
    assert_eq!(sts(None, None), "sts-fips.us-east-2.amazonaws.com");
    assert_eq!(sts(Some(false), Some(true)), "sts.us-east-2.api.aws");
    assert_eq!(sts(Some(true), None), "sts-fips.us-east-2.amazonaws.com");
    let built = |builder: ClientBuilder| {
        let client = builder.region("us-east-2").build_in(&lookup).unwrap();
        client.endpoint().to_owned()
    };
    let new = ClientBuilder::new;
    assert_eq!(built(new()), "https://kinesis-fips.us-east-2.amazonaws.com");
    assert_eq!(built(new().fips(false).dual_stack(true)), "https://kinesis.us-east-2.api.aws");
    // A set endpoint counts although configured ones are ignored.
    assert_eq!(built(new().endpoint("https://example.com")), "https://example.com");
    let sts = new().endpoint("https://sts.us-east-2.amazonaws.com").region("us-east-2");
    let error = sts.build_in(&lookup).unwrap_err().to_string();
    assert!(
        error.contains("sts.us-east-2.amazonaws.com is an endpoint of STS, not of Kinesis"),
        "{error}"
    );
    let error = new().region("eu-west-1").fips(true).build_in(&|_| None).unwrap_err().to_string();
    assert!(error.contains("the program demands a FIPS endpoint"), "{error}");
}
