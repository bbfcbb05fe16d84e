//! What a person who mistypes something is told.

use super::*;

fn problem(text: &str) -> String {
    Config::parse(Path::new("tandem.toml"), text).expect_err("wrong").to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    let config = Config::parse(Path::new("tandem.toml"), "").expect("fine");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8420");
    assert!(config.collect.is_none());
}

#[test]
fn an_unknown_key_names_line_and_nearest_known_one() {
    let said = problem("data = \"./d\"\nlissten = \"127.0.0.1:1\"\n");
    assert_eq!(said, "tandem.toml:2: unknown key `lissten`; did you mean `listen`?");
    let said = problem("[plugins.collector-power]\nalow_http = [\"10.0.0.0/8\"]\n");
    assert_eq!(said, "tandem.toml:2: unknown key `alow_http`; did you mean `allow_http`?");
}

#[test]
fn two_entries_for_one_target_are_both_named() {
    let said = problem(
        "[[scrape]]\njob = \"node\"\ntargets = [\"h:1\"]\n[[scrape]]\njob = \"node\"\npath = \"/more\"\ntargets = [\"h:1\"]\n",
    );
    assert!(said.starts_with("tandem.toml:4: scrape.1:"), "{said}");
    assert!(said.contains("\"h:1\" of job \"node\"") && said.contains("scrape.0"), "{said}");
}

#[test]
fn a_wrong_value_names_line_and_remedy() {
    let said = problem("[plugins.x]\nmemory = \"64 MB\"\n");
    assert!(said.starts_with("tandem.toml:2:") && said.contains("64MiB"), "{said}");
    let said = problem("listen = \"0.0.0.0:8420\"\n");
    assert!(said.starts_with("tandem.toml:1: listen:") && said.contains("127.0.0.1:8420"), "{said}");
}

#[test]
fn limits_of_series_are_read_and_held_to_sense() {
    let config = Config::parse(Path::new("t"), "[limits]\nseries = 100\nlabels_per_series = 20\n").expect("fine");
    let limits = config.limits.series_limits();
    assert_eq!((limits.total, limits.per_target, limits.per_metric), (100, 500_000, 100));
    assert_eq!(config.limits.label_limits().labels, 20);
    let said = problem("[limits]\nseries_per_target = 0\n");
    assert!(said.contains("limits.series_per_target") && said.contains("give a number from 1"), "{said}");
    let said = problem("[limits]\nquery_samples = 5\n");
    assert!(said.contains("limits.query_samples") && said.contains("from 1000000"), "{said}");
    let said = problem("[limits]\nlabels_per_series = 100000\n");
    assert!(said.contains("from 1 to 1024"), "{said}");
}

#[test]
fn the_store_is_told_how_much_to_keep_and_refuses_what_makes_no_sense() {
    let text = "[store]\nretention = \"90d\"\nmax_size = \"200GiB\"\nout_of_order_window = \"2h\"\nhead = \"64MiB\"\n";
    let config = Config::parse(Path::new("tandem.toml"), text).expect("fine");
    let options = config.store.options(&config.limits);
    assert_eq!((options.retention_millis, options.late_millis), (90 * 86_400_000, 2 * 3_600_000));
    assert_eq!((options.max_bytes, options.head_bytes), (Some(200 << 30), 64 << 20));
    assert_eq!(StoreConfig::default().options(&config.limits).max_bytes, None);
    for (line, told) in [
        ("retention = \"1h\"", "at least \"2h\""),
        ("max_size = \"1MiB\"", "at least \"16MiB\""),
        ("out_of_order_window = \"31d\"", "longer than retention"),
        ("head = \"1KiB\"", "at least \"8MiB\""),
        ("retention = \"30\"", "is not a duration"),
    ] {
        let said = problem(&format!("[store]\n{line}\n"));
        assert!(said.contains(told), "{line}: {said}");
    }
}

#[test]
fn jobs_of_a_prometheus_are_added_and_its_mistakes_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("prometheus.yml");
    let config = format!(
        "prometheus_config = {:?}\n[[scrape]]\njob = \"own\"\ntargets = [\"h:1\"]\n",
        path.display().to_string()
    );
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    write("scrape_configs: [{ job_name: theirs, static_configs: [{ targets: ['h:2'] }], enable_http2: false }]\n");
    let read = Config::parse(Path::new("tandem.toml"), &config).expect("fine");
    let jobs: Vec<&str> = read.scrape.iter().map(|scrape| scrape.job.as_str()).collect();
    assert_eq!(jobs, ["own", "theirs"]);
    assert_eq!(read.left_out, ["scrape_configs.0 (theirs).enable_http2"]);
    write("scrape_configs: [{ job_name: theirs }]\n");
    let said = problem(&config);
    assert!(said.starts_with("tandem.toml:1: prometheus_config:") && said.contains("(theirs)"), "{said}");
}
