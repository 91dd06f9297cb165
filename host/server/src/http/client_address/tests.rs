use super::{TrustedNetwork, TrustedProxies, parse_node};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::{ProptestConfig, any, proptest};
use std::net::IpAddr;

const PEER: &str = "10.0.0.1";

fn proxies() -> TrustedProxies {
    let networks = ["10.0.0.0/8", "192.168.1.1", "2001:db8:aaaa::/48", "::1"];
    TrustedProxies(networks.map(|text| TrustedNetwork::try_from(text.to_owned()).unwrap()).to_vec())
}

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn client(peer: &str, lines: &[(&str, &[u8])]) -> String {
    proxies().client_address(peer.parse().unwrap(), &headers(lines)).to_string()
}

#[test]
fn headers_of_an_untrusted_peer_are_ignored() {
    for peer in ["203.0.113.9", "192.168.1.2", "2001:db8::1"] {
        assert_eq!(client(peer, &[("x-forwarded-for", b"1.1.1.1")]), peer);
        assert_eq!(client(peer, &[("forwarded", b"for=1.1.1.1")]), peer);
    }
    assert_eq!(client("::ffff:203.0.113.9", &[("x-forwarded-for", b"1.1.1.1")]), "203.0.113.9");
}

#[test]
fn x_forwarded_for_is_evaluated_from_the_end() {
    for (value, expected) in [
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.0.0.2, 192.168.1.1", "203.0.113.9"),
        ("1.1.1.1,203.0.113.9 ,\t10.0.0.2", "203.0.113.9"),
        // Only trusted proxies: the first one.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("\"[2001:db8::9]:443\"", "2001:db8::9"),
        ("203.0.113.9:50000", "203.0.113.9"),
        ("203.0.113.9:50000, 10.0.0.2:1, [2001:db8:aaaa::2]:2", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        // Unreadable: the farthest known proxy.
        ("", PEER),
        ("unknown", PEER),
        ("1.1.1.1, unknown", PEER),
        ("1.1.1.1, _hidden, 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1, , 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1,", PEER),
        ("1.1.1.1, localhost", PEER),
        ("1.1.1.1, 203.0.113.9:70000", PEER),
        ("1.1.1.1, 203.0.113.09", PEER),
        ("1.1.1.1, 203.0.113", PEER),
        ("1.1.1.1, fe80::1%eth0", PEER),
        ("1.1.1.1, 203.0.113.9 10.0.0.2", PEER),
        ("1.1.1.1; 203.0.113.9", PEER),
        ("1.1.1.1, for=203.0.113.9", PEER),
        ("1.1.1.1, [203.0.113.9]", PEER),
        ("1.1.1.1, \"203.0.113.9", PEER),
    ] {
        assert_eq!(client(PEER, &[("x-forwarded-for", value.as_bytes())]), expected, "{value}");
    }
    assert_eq!(client(PEER, &[("x-forwarded-for", b"\xff, 203.0.113.9")]), "203.0.113.9");
    assert_eq!(client(PEER, &[("x-forwarded-for", b"1.1.1.1, \xff")]), PEER);
}

#[test]
fn forwarded_is_evaluated_from_the_end() {
    for (value, expected) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        ("proto=http;host=\"a,b;c\"; FOR=203.0.113.9 , for=10.0.0.2", "203.0.113.9"),
        ("for=1.1.1.1, for=203.0.113.9", "203.0.113.9"),
        ("for=\"203.0.113.9\"", "203.0.113.9"),
        ("for=\"203.0.113.9:50000\"", "203.0.113.9"),
        ("for=203.0.113.9:50000", "203.0.113.9"),
        ("for=\"203.0.113.9:_port\"", "203.0.113.9"),
        ("for=\"[2001:db8::9]\"", "2001:db8::9"),
        ("for=\"[2001:db8::9]:4711\"", "2001:db8::9"),
        ("for=\"[::ffff:203.0.113.9]\"", "203.0.113.9"),
        ("for=1.1.1.1, for=unknown", PEER),
        ("for=1.1.1.1, for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("for=1.1.1.1, proto=https", PEER),
        ("for=1.1.1.1, ", PEER),
        ("for=1.1.1.1, for=", PEER),
        ("for=1.1.1.1, for", PEER),
        ("for=1.1.1.1, for=203.0.113.9;for=203.0.113.8", PEER),
        ("for=1.1.1.1, for =203.0.113.9", PEER),
        ("for=1.1.1.1, 203.0.113.9", PEER),
        // A client cannot hide the address that a proxy appends in an open quoted string.
        ("for=1.1.1.1;host=\", for=203.0.113.9", PEER),
        ("for=1.1.1.1;host=\", for=\"[2001:db8::9]\"", PEER),
        ("for=1.1.1.1;host=\"\\, for=\"[2001:db8::9]\"", PEER),
        ("for=1.1.1.1;host=\"a\\\"\", for=203.0.113.9", "203.0.113.9"),
        ("for=1.1.1.1, for=\"\"203.0.113.9\"\"", PEER),
    ] {
        assert_eq!(client(PEER, &[("forwarded", value.as_bytes())]), expected, "{value}");
    }
}

#[test]
fn repeated_headers_are_one_list() {
    let name = "x-forwarded-for";
    assert_eq!(client(PEER, &[(name, b"1.1.1.1"), (name, b"203.0.113.9")]), "203.0.113.9");
    assert_eq!(client(PEER, &[(name, b"1.1.1.1, 203.0.113.9"), (name, b"10.0.0.3, 10.0.0.2")]), "203.0.113.9");
    assert_eq!(client(PEER, &[(name, b"1.1.1.1"), (name, b"")]), PEER);
    let name = "forwarded";
    assert_eq!(client(PEER, &[(name, b"for=1.1.1.1"), (name, b"for=203.0.113.9, for=10.0.0.2")]), "203.0.113.9");
    assert_eq!(client(PEER, &[(name, b"for=\""), (name, b"for=203.0.113.9")]), "203.0.113.9");
}

#[test]
fn differing_headers_are_ignored() {
    let lines = |x_forwarded_for: &'static [u8], forwarded: &'static [u8]| {
        client(PEER, &[("x-forwarded-for", x_forwarded_for), ("forwarded", forwarded)])
    };
    assert_eq!(lines(b"203.0.113.9", b"for=203.0.113.9"), "203.0.113.9");
    assert_eq!(lines(b"7.7.7.7, 203.0.113.9", b"for=203.0.113.9, for=10.0.0.2"), "203.0.113.9");
    assert_eq!(lines(b"203.0.113.9", b"for=1.1.1.1"), PEER);
    assert_eq!(lines(b"1.1.1.1", b"for=203.0.113.9"), PEER);
    assert_eq!(lines(b"203.0.113.9", b"nonsense"), PEER);
}

#[test]
fn invalid_network_is_refused_with_what_to_write() {
    for (text, part) in [
        ("10.0.0.1/8", "write \"10.0.0.0/8\""),
        ("2001:db8::1/32", "write \"2001:db8::/32\""),
        ("::ffff:10.0.0.1", "write \"10.0.0.1/32\""),
        ("::ffff:10.0.0.0/104", "write \"10.0.0.0/8\""),
        ("10.0.0.0/33", "neither"),
        ("10.0.0.0/", "neither"),
        ("10.0.0", "neither"),
        ("localhost", "neither"),
        ("10.0.0.1:80", "neither"),
        ("[::1]", "neither"),
        ("*", "neither"),
        ("", "neither"),
        (" 10.0.0.1", "neither"),
    ] {
        let error = TrustedNetwork::try_from(text.to_owned()).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in ["127.0.0.1", "10.0.0.0/8", "::1", "::/0", "0.0.0.0/0", "fe80::/10", "10.1.2.3/32"] {
        assert!(TrustedNetwork::try_from(text.to_owned()).is_ok(), "{text}");
    }
}

#[test]
fn port_is_a_number_or_an_obfuscated_name() {
    for port in ["", ":1", ":65535", ":_", ":_hidden", ":_a.b-c_9", ":x", ":65536", ":_a!", ":_!", ":+1", ":-1"] {
        let is_valid = ["", ":1", ":65535", ":_hidden", ":_a.b-c_9"].contains(&port);
        for address in ["203.0.113.9", "[2001:db8::1]"] {
            assert_eq!(parse_node(format!("{address}{port}").as_bytes()).is_some(), is_valid, "{address}{port}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a client sends, the result is the address that the proxy appends, or the proxy's own.
    #[test]
    fn client_cannot_choose_its_address(
        forged in "([ -~]|\"|\\\\|,|;|=|for=1\\.1\\.1\\.1|, |\\[::2\\]){0,20}",
        is_new_line in any::<bool>(),
        appended in proptest::sample::select(vec![
            ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "203.0.113.9:1"), ("forwarded", "for=203.0.113.9"),
            ("forwarded", "for=\"203.0.113.9:1\""), ("forwarded", "proto=http;for=\"203.0.113.9\";by=\"[::1]:2\""),
        ]),
        also_forged in proptest::option::of(proptest::sample::select(vec![
            ("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1"),
        ])),
    ) {
        let (name, appended) = appended;
        let joined = format!("{forged}, {appended}");
        let mut lines: Vec<(&str, &[u8])> = Vec::new();
        // The proxy appends to its own header, and forwards the other one unchanged.
        lines.extend(also_forged.filter(|(other, _)| *other != name).map(|(other, value)| (other, value.as_bytes())));
        if is_new_line {
            lines.extend([(name, forged.as_bytes()), (name, appended.as_bytes())]);
        } else {
            lines.push((name, joined.as_bytes()));
        }
        let client = client(PEER, &lines);
        assert!(client == "203.0.113.9" || client == PEER, "{lines:?}: {client}");
    }

    #[test]
    fn written_address_is_parsed(address: IpAddr, port: u16) {
        let canonical = Some(address.to_canonical());
        assert_eq!(parse_node(address.to_string().as_bytes()), canonical);
        assert_eq!(parse_node(std::net::SocketAddr::from((address, port)).to_string().as_bytes()), canonical);
    }
}
