//! The rule for outgoing connections as tables.

use super::{Endpoint, MAX_URL_BYTES, Network, Target, allowed, listed};
use proptest::prelude::*;
use std::net::IpAddr;

fn endpoints(urls: &[&str]) -> Vec<Endpoint> {
    urls.iter().map(|url| Endpoint::parse(url).unwrap()).collect()
}

/// The verdict with these pinned endpoints, these in the operator's list, and this address.
fn verdict(url: &str, ip: &str) -> &'static str {
    let pinned = endpoints(&[
        "https://op.example/dsp",
        "https://op.example:8443/",
        "https://203.0.114.7/dsp",
        "https://[2606:4700::1]:8443/dsp/",
        "https://inside.example/dsp",
        "http://op.example/dsp",
        "http://localhost:9000/dsp",
    ]);
    let extra = endpoints(&[
        "http://localhost:8080/dsp",
        "http://lan.example:8080/dsp",
        "https://lan.example/dsp",
        "https://10.0.0.5:8443/dsp",
        "http://[::1]:8080/",
    ]);
    let verdict = Target::parse(url)
        .and_then(|target| allowed(&target, &pinned, &extra, ip.parse().unwrap()));
    verdict.err().map_or("ok", |problem| problem.code.name)
}

/// An address of the public internet.
const PUBLIC: &str = "93.184.216.34";

#[test]
fn endpoints_cover_by_scheme_host_port_and_whole_segments() {
    for (url, expect) in [
        ("https://op.example/dsp", "ok"),
        ("https://op.example/dsp/", "ok"),
        ("https://op.example/dsp/catalog/request", "ok"),
        ("https://op.example/dsp/transfers/urn:uuid:1?from=2&x=%20", "ok"),
        ("https://op.example/dsp?x=/../y", "ok"),
        ("https://op.example:443/dsp", "ok"),
        ("https://OP.Example/dsp", "ok"),
        ("https://op.example:8443/anything/below", "ok"),
        ("https://op.example:8443", "ok"),
        ("https://op.example/dspx", "outgoing.endpoint"),
        ("https://op.example/", "outgoing.endpoint"),
        ("https://op.example/DSP", "outgoing.endpoint"),
        ("https://op.example//dsp", "outgoing.endpoint"),
        ("https://op.example:8444/dsp", "outgoing.endpoint"),
        ("https://evil.op.example/dsp", "outgoing.endpoint"),
        ("https://op.example.evil.example/dsp", "outgoing.endpoint"),
        ("https://stranger.example/dsp", "outgoing.endpoint"),
        // A record cannot allow a connection without TLS.
        ("http://op.example/dsp", "outgoing.url"),
        ("http://op.example:8443/x", "outgoing.url"),
    ] {
        assert_eq!(verdict(url, PUBLIC), expect, "{url}");
    }
}

#[test]
fn urls_have_one_reading() {
    for url in [
        "",
        "op.example/dsp",
        "//op.example/dsp",
        "ftp://op.example/dsp",
        "HTTPS://op.example/dsp",
        "https:op.example/dsp",
        "https:///op.example/dsp",
        "https://user@op.example/dsp",
        "https://user:secret@op.example/dsp",
        "https://op.example@evil.example/dsp",
        "https://op.example\\@evil.example/dsp",
        "https://op.example\\.evil.example/dsp",
        "https://op.example#@evil.example/dsp",
        "https://op.example/dsp#part",
        "https://op.example./dsp",
        "https://.op.example/dsp",
        "https://op..example/dsp",
        "https://-op.example/dsp",
        "https://op%2eexample/dsp",
        "https://öp.example/dsp",
        "https://op.example:/dsp",
        "https://op.example:0/dsp",
        "https://op.example:0443/dsp",
        "https://op.example:+443/dsp",
        "https://op.example:65536/dsp",
        "https://op.example:443:443/dsp",
        "https://op.example/dsp/../admin",
        "https://op.example/dsp/./x",
        "https://op.example/dsp/%2e%2e/admin",
        "https://op.example/dsp/%2E./admin",
        "https://op.example/dsp/..%2fadmin",
        "https://op.example/dsp/x%2F..%2fadmin",
        "https://op.example/dsp%2F.",
        "https://op.example/dsp/%2e%2e%2fadmin",
        "https://op.example/dsp/..%5cadmin",
        "https://op.example/dsp\\..\\admin",
        "https://op.example/dsp/%zz",
        "https://op.example/dsp/%+1",
        "https://op.example/dsp/%2",
        "https://op.example/dsp/%00",
        "https://op.example/dsp/%0d%0aHost:x",
        "https://op.example/dsp?x=%0a",
        "https://op.example/dsp/é",
        "https://op.example/ dsp",
        "https://op.example/dsp\n",
        " https://op.example/dsp",
        // Other spellings of 127.0.0.1 and of nothing.
        "https://127.1/dsp",
        "https://2130706433/dsp",
        "https://0x7f.0.0.1/dsp",
        "https://0x7f000001/dsp",
        "https://127.0.0.0x1/dsp",
        "https://0177.0.0.1/dsp",
        "https://127.0.0.1./dsp",
        "https://1.2.3.4.5/dsp",
        "https://[::1/dsp",
        "https://[::1]x/dsp",
        "https://[fe80::1%25eth0]/dsp",
        "https://[127.0.0.1]/dsp",
        "https://::1/dsp",
    ] {
        assert_eq!(verdict(url, PUBLIC), "outgoing.url", "{url}");
    }
    assert!(Endpoint::parse("https://op.example/dsp?x=1").is_err());
}

#[test]
fn the_dialled_address_decides() {
    for (url, ip, expect) in [
        ("https://op.example/dsp", "2606:4700::1", "ok"),
        // A name in a record that leads inside: DNS rebinding, cloud metadata.
        ("https://inside.example/dsp", "10.0.0.5", "outgoing.address"),
        ("https://inside.example/dsp", "127.0.0.1", "outgoing.address"),
        ("https://inside.example/dsp", "169.254.169.254", "outgoing.address"),
        ("https://inside.example/dsp", "::1", "outgoing.address"),
        ("https://inside.example/dsp", "::ffff:10.0.0.5", "outgoing.address"),
        ("https://inside.example/dsp", "fd00::5", "outgoing.address"),
        ("https://inside.example/dsp", PUBLIC, "ok"),
        // The operator listed exactly this endpoint.
        ("https://lan.example/dsp/x", "10.0.0.5", "ok"),
        ("https://lan.example/dsp/x", "::ffff:10.0.0.5", "ok"),
        ("https://lan.example/dsp/x", PUBLIC, "ok"),
        ("https://lan.example/other", "10.0.0.5", "outgoing.endpoint"),
        ("https://lan.example:8443/dsp", "10.0.0.5", "outgoing.endpoint"),
        ("https://10.0.0.5:8443/dsp", "10.0.0.5", "ok"),
        ("https://10.0.0.6:8443/dsp", "10.0.0.6", "outgoing.endpoint"),
        // Without TLS: listed, and on this machine.
        ("http://localhost:8080/dsp", "127.0.0.1", "ok"),
        ("http://localhost:8080/dsp", "::1", "ok"),
        ("http://[::1]:8080/x", "::1", "ok"),
        ("http://localhost:8080/dsp", "10.0.0.5", "outgoing.address"),
        ("http://localhost:8080/dsp", "::ffff:127.0.0.1", "outgoing.address"),
        ("http://localhost:8080/dsp", "0.0.0.0", "outgoing.address"),
        ("http://localhost:8080/admin", "127.0.0.1", "outgoing.url"),
        ("http://localhost:9000/dsp", "127.0.0.1", "outgoing.url"),
        ("http://lan.example:8080/dsp", "10.0.0.5", "outgoing.address"),
        ("http://lan.example:8080/dsp", PUBLIC, "outgoing.address"),
        // A host that is an address is that address.
        ("https://203.0.114.7/dsp", "203.0.114.7", "ok"),
        ("https://203.0.114.7/dsp", PUBLIC, "outgoing.address"),
        ("https://[2606:4700::1]:8443/dsp/x", "2606:4700::1", "ok"),
        ("https://[2606:4700:0::0:1]:8443/dsp/x", "2606:4700::1", "ok"),
        ("https://[2606:4700::1]:8443/dsp/x", "2606:4700::2", "outgoing.address"),
    ] {
        assert_eq!(verdict(url, ip), expect, "{url} at {ip}");
    }
}

fn check_networks(rows: &[(&str, Network)]) {
    for (ip, expect) in rows {
        assert_eq!(Network::of(ip.parse().unwrap()), *expect, "{ip}");
    }
}

#[test]
fn networks_of_ipv4_end_where_they_end() {
    use Network::{LinkLocal, Loopback, Multicast, Private, Public, Reserved};
    check_networks(&[
        ("0.0.0.0", Reserved),
        ("0.255.255.255", Reserved),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", LinkLocal),
        ("169.254.255.255", LinkLocal),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.0.0.1", Reserved),
        ("192.0.1.0", Public),
        ("192.0.2.1", Reserved),
        ("192.88.99.1", Reserved),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Reserved),
        ("198.19.255.255", Reserved),
        ("198.20.0.0", Public),
        ("198.51.100.1", Reserved),
        ("203.0.113.1", Reserved),
        ("223.255.255.255", Public),
        ("224.0.0.0", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.0", Reserved),
        ("255.255.255.255", Reserved),
    ]);
}

#[test]
fn networks_of_ipv6_end_where_they_end() {
    use Network::{Embedded, LinkLocal, Loopback, Multicast, Private, Public, Reserved};
    check_networks(&[
        ("::", Reserved),
        ("::1", Loopback),
        ("::2", Embedded),
        ("::127.0.0.1", Embedded),
        ("::ffff:8.8.8.8", Embedded),
        ("::ffff:0:8.8.8.8", Embedded),
        ("64:ff9b::a00:5", Embedded),
        ("64:ff9b:1::a00:5", Embedded),
        ("100::1", Reserved),
        ("1fff::1", Reserved),
        ("2000::1", Public),
        ("2001::1", Embedded),
        ("2001:2::1", Reserved),
        ("2001:1ff::1", Reserved),
        ("2001:200::1", Public),
        ("2001:db7:ffff::1", Public),
        ("2001:db8::1", Reserved),
        ("2001:db9::1", Public),
        ("2002:a00:5::1", Embedded),
        ("2003::1", Public),
        ("3ffe::1", Public),
        ("3fff:fff::1", Reserved),
        ("3fff:1000::1", Public),
        ("4000::1", Reserved),
        ("5f00::1", Reserved),
        ("fc00::1", Private),
        ("fdff::1", Private),
        ("fe00::1", Reserved),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("fec0::1", Private),
        ("ff00::1", Multicast),
        ("ff02::1", Multicast),
    ]);
}

#[test]
fn a_stranger_is_refused_before_its_name_is_resolved_and_learns_no_address() {
    let pinned = endpoints(&["https://op.example/dsp"]);
    let stranger = Target::parse("https://stranger.example/dsp").unwrap();
    assert_eq!(listed(&stranger, &pinned, &[]).unwrap_err().code.name, "outgoing.endpoint");
    let inside = Target::parse("https://op.example/dsp").unwrap();
    assert!(listed(&inside, &pinned, &[]).is_ok());
    let problem = allowed(&inside, &pinned, &[], "10.0.0.5".parse().unwrap()).unwrap_err();
    // Its sentence names the address, so it must not cross the boundary.
    assert!(problem.message.contains("10.0.0.5") && !problem.code.public());
}

#[test]
fn no_user_and_no_query_stands_in_an_error() {
    let pinned = endpoints(&["https://op.example/dsp"]);
    for (url, ip) in [
        ("https://user:secret@op.example/dsp", PUBLIC),
        ("https://us@er:secret@op.example/dsp", PUBLIC),
        ("ftp://user:secret@op.example/dsp", PUBLIC),
        ("https://user:secret@op.example/dsp?token=secret@x", PUBLIC),
        ("https://op.example/dsp/..?token=secret", PUBLIC),
        ("https://op.example/dsp#secret", PUBLIC),
        ("http://op.example/dsp?token=secret", PUBLIC),
        ("https://other.example/dsp?token=secret", PUBLIC),
        ("https://op.example/dsp?token=secret", "10.0.0.5"),
    ] {
        let verdict = Target::parse(url)
            .and_then(|target| allowed(&target, &pinned, &[], ip.parse().unwrap()));
        let message = verdict.unwrap_err().message;
        assert!(!message.contains("secret") && message.contains(".example/dsp"), "{message}");
    }
    assert!(!Endpoint::parse("https://op.example/?secret").unwrap_err().message.contains("secret"));
}

#[test]
fn lengths_have_bounds() {
    let url = |n: usize| Target::parse(&format!("https://a.example/{}", "x".repeat(n - 18)));
    assert!(url(MAX_URL_BYTES).is_ok() && url(MAX_URL_BYTES + 1).is_err());
    let label = |n: usize| Target::parse(&format!("https://{}.example/", "x".repeat(n)));
    assert!(label(63).is_ok() && label(64).is_err());
    let host = |n: usize| {
        let name = format!("{}{}", "x.".repeat(126), "x".repeat(n - 252));
        Target::parse(&format!("https://{name}/"))
    };
    assert!(host(253).is_ok() && host(254).is_err());
}

proptest! {
    #[test]
    fn what_is_dialled_reads_back_as_what_was_checked(
        url in "https?://[a-z0-9.:@\\[\\]-]{1,16}(/[a-z.%0-9/?#]{0,12})?",
    ) {
        if let Ok(target) = Target::parse(&url) {
            prop_assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
        }
    }

    #[test]
    fn nothing_private_is_dialled_without_the_operator(octets in any::<[u8; 4]>()) {
        let ip = IpAddr::from(octets);
        let pinned = endpoints(&["https://op.example/dsp"]);
        let target = Target::parse("https://op.example/dsp").unwrap();
        let ok = allowed(&target, &pinned, &[], ip).is_ok();
        let IpAddr::V4(v4) = ip else { unreachable!() };
        let inside = v4.is_private() || v4.is_loopback() || v4.is_link_local();
        let nowhere = v4.is_multicast() || v4.is_unspecified() || v4.is_broadcast();
        let std_says_no = inside || nowhere || v4.is_documentation();
        prop_assert!(!(ok && std_says_no));
    }
}
