//! The hosts that are reached without the proxy.

use std::net::IpAddr;

/// Whether a list such as `NO_PROXY` names the host, which is in lower case and without brackets.
///
/// Commas or blanks separate its entries: `*`; a domain, which covers its subdomains, with or without `.` or `*.`
/// before it; the beginning of a name and `*`; an address; a range of addresses, such as `10.0.0.0/8`. With a port
/// after a colon the entry is for that port only.
///
/// That is what curl reads, and more: curl takes `*` alone, and no `*.`, no beginning of a name, no port and no
/// brackets. Such an entry is meant for other programs, which read it as it is read here.
pub(crate) fn names(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.');
    let entries = list.split(|it: char| it == ',' || it.is_whitespace());
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        let (name, only) = split_port(entry);
        only.is_none_or(|only| only == port) && fits(&name.to_ascii_lowercase(), host)
    })
}

fn fits(entry: &str, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let is_it = entry.parse::<IpAddr>().is_ok_and(|entry| entry == address);
        if is_it || in_range(entry, address) {
            return true;
        }
    }
    if let Some(start) = entry.strip_suffix('*') {
        return host.starts_with(start);
    }
    let domain = entry.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
    let before = host.strip_suffix(domain);
    !domain.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The entry without a port, and the port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        // More than one colon belong to an address of version 6.
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn in_range(entry: &str, address: IpAddr) -> bool {
    let Some((network, length)) = entry.split_once('/') else { return false };
    let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let (network, address, bits) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    // A shift by all bits leaves nothing to compare.
    length <= bits && (network ^ address).checked_shr(bits - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINESIS: &str = "kinesis.eu-west-1.amazonaws.com";

    #[test]
    fn a_list_names_hosts_as_curl_and_go_read_it() {
        for (list, host, is_named) in [
            ("*", KINESIS, true),
            ("", KINESIS, false),
            (" , ,", KINESIS, false),
            ("localhost, amazonaws.com", KINESIS, true),
            ("localhost ,\tamazonaws.com\n", KINESIS, true),
            ("localhost amazonaws.com", KINESIS, true),
            (".amazonaws.com", KINESIS, true),
            ("*.amazonaws.com", KINESIS, true),
            ("AmazonAWS.com", KINESIS, true),
            ("amazonaws.com.", KINESIS, true),
            (KINESIS, KINESIS, true),
            ("kinesis.*", KINESIS, true),
            ("aws.com", KINESIS, false),
            ("eu-west-1.amazonaws.co", KINESIS, false),
            ("x.kinesis.eu-west-1.amazonaws.com", KINESIS, false),
            (".", KINESIS, false),
            ("*.", KINESIS, false),
            ("amazonaws.com:443", KINESIS, true),
            ("amazonaws.com:80", KINESIS, false),
            ("amazonaws.com:https", KINESIS, false),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/32", "10.0.0.0", true),
            ("10.0.0.0/32", "10.0.0.1", false),
            ("0.0.0.0/0", "10.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("10.0.0.0/8", KINESIS, false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1:443", "10.0.0.1", true),
            ("10.0.0.1:80", "10.0.0.1", false),
            ("fd00::/8", "fd00:ec2::23", true),
            ("::/0", "fd00:ec2::23", true),
            ("fe00::/8", "fd00:ec2::23", false),
            ("fd00:ec2::23", "fd00:ec2::23", true),
            ("[fd00:ec2::23]", "fd00:ec2::23", true),
            ("[fd00:ec2::23]:443", "fd00:ec2::23", true),
            ("[fd00:ec2::23]:80", "fd00:ec2::23", false),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(names(list, host, 443), is_named, "{list:?} {host}");
        }
    }
}
