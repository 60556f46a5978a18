//! The services of Amazon's that are called, and what differs between their hosts.

/// A service. Its hosts are known also where it is not called, so that none is taken for Kinesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Kinesis,
    /// Gives the keys of a role.
    Sts,
    /// Gives keys for the token of a single sign-on.
    SsoPortal,
    DynamoDb,
}

/// What differs between services.
struct Facts {
    /// The name for people.
    title: &'static str,
    /// The beginning of its hosts' names; with `-fips` after it for a FIPS endpoint.
    host: &'static str,
    /// Its name in a signature.
    signing_name: &'static str,
    /// The variable that names its endpoint.
    variable: &'static str,
    /// Its name in a `services` section of the config file.
    section: &'static str,
    /// The beginnings of the regions in which Amazon lists a FIPS endpoint of it.
    ///
    /// Amazon's rules make a name for every region, but no host answers to most of these names. Source: the endpoints
    /// that Amazon's SDKs list one by one, and for the portal "FIPS endpoints by service" on Amazon's pages.
    fips: &'static [&'static str],
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Kinesis, Self::Sts, Self::SsoPortal, Self::DynamoDb];

    // long: one row for each service.
    const fn facts(self) -> &'static Facts {
        match self {
            Self::Kinesis => &Facts {
                title: "Kinesis",
                host: "kinesis",
                signing_name: "kinesis",
                variable: "AWS_ENDPOINT_URL_KINESIS",
                section: "kinesis",
                fips: &["us-east-", "us-west-", "us-gov-"],
            },
            Self::Sts => &Facts {
                title: "STS",
                host: "sts",
                signing_name: "sts",
                variable: "AWS_ENDPOINT_URL_STS",
                section: "sts",
                fips: &["us-east-", "us-west-", "us-gov-"],
            },
            Self::SsoPortal => &Facts {
                title: "the portal of IAM Identity Center (SSO)",
                host: "portal.sso",
                signing_name: "awsssoportal",
                variable: "AWS_ENDPOINT_URL_SSO",
                section: "sso",
                fips: &["us-gov-"],
            },
            Self::DynamoDb => &Facts {
                title: "DynamoDB",
                host: "dynamodb",
                signing_name: "dynamodb",
                variable: "AWS_ENDPOINT_URL_DYNAMODB",
                section: "dynamodb",
                fips: &["us-east-", "us-west-", "us-gov-", "ca-"],
            },
        }
    }

    /// The name for people.
    pub(crate) fn title(self) -> &'static str {
        self.facts().title
    }

    /// The beginning of its hosts' names.
    pub(crate) fn host(self) -> &'static str {
        self.facts().host
    }

    /// Its name in a signature.
    pub(crate) const fn signing_name(self) -> &'static str {
        self.facts().signing_name
    }

    /// The variable that names its endpoint.
    pub(crate) fn variable(self) -> &'static str {
        self.facts().variable
    }

    /// Its name in a `services` section of the config file.
    pub(crate) fn section(self) -> &'static str {
        self.facts().section
    }

    /// Whether Amazon lists a FIPS endpoint of it in a region.
    pub(crate) fn has_fips(self, region: &str) -> bool {
        self.facts().fips.iter().any(|start| region.starts_with(start))
    }
}
