//! Messages of both formats (the examples of the RFCs among them), of devices, and streams of them.

use super::*;
use proptest::prelude::*;

/// 2026-01-02T00:00:00Z.
const NOW: Timestamp = Timestamp(1_767_312_000_000);

fn read(message: &str) -> LogEntry {
    parse(message.as_bytes(), NOW, &WireLimits::default()).expect("a message")
}

#[test]
fn the_new_format_is_read_with_its_structured_data() {
    let entry = read(
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" \
         eventSource=\"App\\]li\\\"c\"][more@1 a=\"b\"] \u{feff}An application event log entry...",
    );
    assert_eq!((entry.level.as_str(), entry.severity), ("notice", Severity::Info));
    assert_eq!((entry.host.as_str(), entry.app.as_str()), ("mymachine.example.com", "evntslog"));
    assert_eq!((entry.at, entry.text.as_str()), (Timestamp(1_065_910_455_003), "An application event log entry..."));
    let attribute = |name: &str| entry.attributes.get(name);
    assert_eq!((attribute("facility"), attribute("msgid"), attribute("procid")), (Some("local4"), Some("ID47"), None));
    assert_eq!(attribute("exampleSDID@32473.eventSource"), Some("App]li\"c"));
    assert_eq!(attribute("more@1.a"), Some("b"));
    let bare = read("<34>1 - - su - - - 'su root' failed on /dev/pts/8");
    assert_eq!((bare.at, bare.severity, bare.app.as_str()), (NOW, Severity::Critical, "su"));
    assert_eq!(bare.text, "'su root' failed on /dev/pts/8");
    assert_eq!(read("<34>1 2026-01-01T00:00:00+01:00 h a - - -").text, "");
}

#[test]
fn the_old_format_is_read_in_the_nearest_year() {
    let entry = read("<34>Oct 11 22:14:15 mymachine su[42]: 'su root' failed for lonvick on /dev/pts/8");
    assert_eq!((entry.host.as_str(), entry.app.as_str()), ("mymachine", "su"));
    assert_eq!(entry.attributes.get("procid"), Some("42"));
    assert_eq!((entry.level.as_str(), entry.text.as_str()), ("crit", "'su root' failed for lonvick on /dev/pts/8"));
    assert_eq!(entry.at, Timestamp(1_760_220_855_000), "of last year");
    assert_eq!(read("<13>Dec 31 23:59:59 h a: x").at, Timestamp(1_767_225_599_000));
    assert_eq!(read("<13>Jan  3 00:00:01.25 h a: x").at, NOW.plus_millis(86_401_250));
}

#[test]
fn what_devices_write_is_not_lost() {
    let cisco = read("<189>Feb 29 2024 12:00:00: %LINK-3-UPDOWN: Interface down");
    assert_eq!((cisco.app.as_str(), cisco.text.as_str()), ("LINK-3-UPDOWN", "Interface down"));
    assert_eq!(cisco.at, Timestamp(1_709_208_000_000));
    let rsyslog = read("<30>2026-01-01T10:00:00.5+00:00 node7 systemd[1]: Started.");
    assert_eq!((rsyslog.host.as_str(), rsyslog.app.as_str()), ("node7", "systemd"));
    let plain = read("power supply 2 failed");
    assert_eq!((plain.text.as_str(), plain.level.as_str(), plain.at), ("power supply 2 failed", "notice", NOW));
    assert_eq!(read("<999>x").text, "<999>x");
    assert_eq!(read("<14>1 not the format").text, "1 not the format");
    assert_eq!(read("<13>Feb 30 10:00:00 h a: x").text, "Feb 30 10:00:00 h a: x", "no such day");
    let latin = parse(b"<14>sshd: caf\xe9\n", NOW, &WireLimits::default()).expect("a message");
    assert_eq!(latin.text, "caf\u{fffd}");
}

#[test]
fn what_is_empty_or_too_long_is_rejected_and_long_texts_are_cut() {
    let limits = WireLimits { text_bytes: 5, ..WireLimits::default() };
    assert_eq!(parse(b"<14>\n", NOW, &limits).expect("has a priority").text, "");
    assert_eq!(parse(b" \r\n", NOW, &limits).expect_err("empty").reason, Reason::Malformed);
    assert_eq!(parse(&[b'x'; MAX_MESSAGE_BYTES + 1], NOW, &limits).expect_err("long").reason, Reason::TooMany);
    assert_eq!(parse("<14>abc: größer".as_bytes(), NOW, &limits).expect("a message").text, "grö");
}

#[test]
fn streams_are_cut_into_messages_counted_or_by_line() {
    let buffer = b"11 <14>a: x\n\ny<13>line one\n<13>12 monkeys\n7 <14>abc5 <1";
    let found = frames(buffer);
    let texts: Vec<&str> = found.messages.iter().map(|message| std::str::from_utf8(message).expect("text")).collect();
    assert_eq!(texts, ["<14>a: x\n\ny", "<13>line one", "<13>12 monkeys", "<14>abc"]);
    assert_eq!(&buffer[found.consumed..], b"5 <1");
    let endless = vec![b'x'; MAX_MESSAGE_BYTES + 1];
    assert_eq!((frames(&endless).discarded, frames(&endless).consumed), (endless.len(), endless.len()));
    assert_eq!(frames(b"99999 <13>x").discarded, 6);
    assert_eq!(frames(b"12"), Frames::default());
}

proptest! {
    #[test]
    fn any_cut_of_a_stream_gives_the_same_messages(cut in 0_usize..60) {
        let buffer = b"11 <14>a: x\n\ny<13>line one\n<13>12 monkeys\n7 <14>abc";
        let (first, _) = buffer.split_at(cut.min(buffer.len()));
        let mut messages = frames(first).messages.len();
        messages += frames(&buffer[frames(first).consumed..]).messages.len();
        prop_assert_eq!(messages, 4);
    }
}
