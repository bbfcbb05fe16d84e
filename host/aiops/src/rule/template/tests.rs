//! Templates as Prometheus expands them. What they come to was read off a Prometheus 2.42.

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn around() -> Surroundings {
    let answer = |expr: &str| match expr {
        "up" => Ok(vec![
            (labels(&[("__name__", "up"), ("instance", "b:1")]), 1.0),
            (labels(&[("__name__", "up"), ("instance", "a:1")]), 0.0),
        ]),
        "nothing" => Ok(Vec::new()),
        other => Err(format!("parse error in {other}")),
    };
    Surroundings {
        external_labels: labels(&[("site", "north")]),
        external_url: "http://tandem.example:8420/prom".into(),
        query: Arc::new(answer),
    }
}

fn try_expand(text: &str, value: f64) -> Result<String, String> {
    let labels = labels(&[("instance", "gpu-7.site.example:9400"), ("device", "nvme0n1"), ("Labels", "x")]);
    let template = Template::parse(text)?;
    Expander::new(&template, &around()).expand(&Shown { labels: &labels, value })
}

fn expand(text: &str, value: f64) -> String {
    try_expand(text, value).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn data_are_reached_by_every_name() {
    for (text, expanded) in [
        ("plain } { text", "plain } { text"),
        ("{{ $labels.device }} {{ .Labels.device }} {{ index $labels \"device\" }}", "nvme0n1 nvme0n1 nvme0n1"),
        ("[{{ $labels.missing }}|{{ .Labels.missing }}|{{ index .Labels \"missing\" }}]", "[||]"),
        ("{{ if eq $labels.missing \"\" }}none{{ else }}some{{ end }}", "none"),
        ("{{ with $labels.missing }}some{{ else }}none{{ end }}", "none"),
        ("{{ $labels.missing | toUpper }}{{ printf \"%s\" $labels.missing }}", ""),
        ("{{ $externalLabels.site }} {{ .ExternalLabels.site }}", "north north"),
        (
            "{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            "http://tandem.example:8420/prom http://tandem.example:8420/prom /prom",
        ),
        (
            "{{ range $name, $value := $labels }}{{ $name }}={{ $value }};{{ end }}",
            "Labels=x;device=nvme0n1;instance=gpu-7.site.example:9400;",
        ),
        ("{{- /* a comment */ -}} {{ $x := .Value }}{{ if gt $x 40.0 }}hot{{ end }}", "hot"),
    ] {
        assert_eq!(expand(text, 42.5), expanded, "{text}");
    }
}

#[test]
fn numbers_are_written_as_go_does() {
    for (text, value, expanded) in [
        ("{{ $value }}", 0.1, "0.1"),
        ("{{ $value }}", 1_000_000.0, "1e+06"),
        ("{{ printf \"%v %g\" $value $value }}", 1_234_567.0, "1.234567e+06 1.234567e+06"),
        ("{{ $value }}", 123_456.0, "123456"),
        ("{{ $value }}", 1e21, "1e+21"),
        ("{{ .Value | printf \"%.2f\" }}", 12.345, "12.35"),
        ("{{ printf \"%.0f\" $value }}%", 99.5, "100%"),
        ("{{ printf \"%v %5.1f|%-6s|\" $value $value \"ab\" }}", 2.5, "2.5   2.5|ab    |"),
        ("{{ humanize $value }}", 1_234_567.0, "1.235M"),
        ("{{ humanize $value }}", 0.0, "0"),
        ("{{ humanize $value }}", 0.001_234, "1.234m"),
        ("{{ humanize $value }}", 999.0, "999"),
        ("{{ humanize \"1e30\" }}", 0.0, "1e+06Y"),
        ("{{ humanize1024 $value }}", 1_048_576.0, "1Mi"),
        ("{{ $value | humanize1024 }}B", 3.7e10, "34.46GiB"),
        ("{{ humanizeDuration $value }}", 93_784.0, "1d 2h 3m 4s"),
        ("{{ humanizeDuration $value }}", 59.91, "59.91s"),
        ("{{ humanizeDuration $value }}", -61.0, "-1m 1s"),
        ("{{ humanizeDuration $value }}", 0.000_2, "200us"),
        ("{{ humanizePercentage $value }}", 0.123_456, "12.35%"),
        ("{{ humanizeTimestamp $value }}", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ("{{ humanize $value }}", f64::NAN, "NaN"),
        ("{{ humanizeDuration $value }}", f64::INFINITY, "+Inf"),
        ("{{ $value }}", f64::NEG_INFINITY, "-Inf"),
    ] {
        assert_eq!(expand(text, value), expanded, "{text} of {value}");
    }
}

#[test]
fn functions_do_what_prometheus_says() {
    for (text, expanded) in [
        ("{{ title \"aa bb-cc d_e\" }}", "Aa Bb-Cc D_e"),
        ("{{ toUpper \"aß\" }}{{ toLower \"ÄB\" }}", "ASSäb"),
        ("{{ match \"nvme[0-9]+\" $labels.device }}", "true"),
        ("{{ reReplaceAll \"(.*):(.*)\" \"$2 of ${1}\" $labels.instance }}", "9400 of gpu-7.site.example"),
        (
            "{{ stripPort $labels.instance }} {{ stripPort \"[::1]:9\" }} {{ stripPort \"a\" }}",
            "gpu-7.site.example ::1 a",
        ),
        ("{{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:9\" }}", "gpu-7:9400 10.0.0.1:9"),
        ("{{ parseDuration \"1h30m\" }}", "5400"),
        ("{{ graphLink \"up{a=\\\"b\\\"} > 1\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D+%3E+1&g0.tab=0"),
        ("{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1"),
        ("{{ safeHtml \"<b>\" }}", "<b>"),
        ("{{ query \"up\" | first | value }}", "1"),
        ("{{ query \"up\" | first | label \"instance\" }}", "b:1"),
        ("{{ with query \"nothing\" }}some{{ else }}none{{ end }}", "none"),
        (
            "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}",
            "a:1=0 b:1=1 ",
        ),
        ("{{ range sortByLabel \"instance\" (query \"up\") }}{{ .Labels.missing }}{{ value . }}{{ end }}", "01"),
        ("{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}", "1"),
        ("{{ define \"x\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"x\" (args 1 \"b\") }}", "1-b"),
        ("{{ len (query \"up\") }}{{ print 1 \"a\" }}{{ urlquery \"a b\" }}", "21aa+b"),
    ] {
        assert_eq!(expand(text, 1.0), expanded, "{text}");
    }
}

#[test]
fn what_cannot_be_parsed_or_expanded_says_why() {
    for text in ["{{ $labels.x", "{{ nofunction 1 }}", "{{ if true }}", "{{ end }}", "{{ $undefined }}", "{{ 1 | }}"] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
    assert!(try_expand("{{ query \"up{\" }}", 1.0).unwrap_err().contains("parse error"));
    assert!(try_expand("{{ query \"nothing\" | first }}", 1.0).unwrap_err().contains("no elements"));
    assert!(try_expand("{{ .Nothing }}", 1.0).unwrap_err().contains("Nothing"));
    assert!(try_expand("{{ humanize \"abc\" }}", 1.0).unwrap_err().contains("abc"));
}

#[test]
fn work_is_bounded() {
    assert!(try_expand("{{ range 1000000000 }}{{ end }}", 1.0).is_err());
    assert!(try_expand("{{ range 90000 }}0123456789{{ end }}", 1.0).unwrap_err().contains("bytes"));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(Template::parse(&deep[..60_000]).is_err());
    let blocks = format!("{}{}", "{{if true}}".repeat(2_000), "{{end}}".repeat(2_000));
    assert!(Template::parse(&blocks).unwrap_err().contains("nested"));
}

#[test]
fn work_is_bounded_whatever_a_template_says() {
    let doubled = "{{ $x := \"ab\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}{{ len $x }}";
    let error = try_expand(doubled, 1.0).expect_err("it doubles a text a hundred times");
    assert!(error.contains("longer than 65536 bytes"), "{error}");
    for function in ["html", "js", "urlquery", "printf \"%s%s\" $x"] {
        let text = doubled.replace("print $x", function);
        let text = text.replace(" $x }}{{ end", " (print $x $x) }}{{ end");
        assert!(try_expand(&text, 1.0).is_err(), "{text}");
    }
    let replaced = "{{ $x := \"ab\" }}{{ range 100 }}{{ $x = reReplaceAll \".+\" \"$0$0\" $x }}{{ end }}";
    assert!(try_expand(replaced, 1.0).expect_err("so does this").contains("longer than"));
    assert_eq!(expand("{{ reReplaceAll \"(a)(b)?\" \"<$1|$2>\" \"xabya\" }}", 1.0), "x<a|b>y<a|>");
    assert_eq!(expand("{{ html \"<a & b>\" }} {{ js \"it's\" }}", 1.0), "&lt;a &amp; b&gt; it\\'s");
    let tired = "{{ range 100000 }}{{ $x := match \"a+\" (printf \"%2000d\" 1) }}{{ end }}";
    assert!(try_expand(tired, 1.0).expect_err("two hundred megabytes of work").contains("too much work"));
    let many = "{{ range $i := 1000 }}{{ $x := match (printf \"a%d\" $i) \"b\" }}{{ end }}";
    assert!(try_expand(many, 1.0).expect_err("a thousand expressions").contains("too much work"));

    let step = |n: u32| {
        format!(
            "{{{{ define \"t{n}\" }}}}{{{{ template \"t{}\" }}}}{{{{ template \"t{}\" }}}}{{{{ end }}}}",
            n + 1,
            n + 1
        )
    };
    let laughs: String = (0..40).map(step).collect();
    let text = format!("{laughs}{{{{ define \"t40\" }}}}ha{{{{ end }}}}{{{{ template \"t0\" }}}}");
    let error = Template::parse(&text).expect_err("a trillion calls");
    assert!(error.contains("call each other more than 1000 times"), "{error}");
    let twice = "{{ define \"r\" }}{{ template \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}";
    assert!(Template::parse(twice).is_err());
    let counted =
        "{{ define \"n\" }}{{ if . }}x{{ template \"n\" (slice . 1) }}{{ end }}{{ end }}{{ template \"n\" \"abc\" }}";
    assert_eq!(expand(counted, 1.0), "xxx", "one that calls itself once is Go's way to count");
}
