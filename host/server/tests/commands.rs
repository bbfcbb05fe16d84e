//! What the program says of configurations and rule files, as its caller sees it: exit code, output, and the line of a mistake.

use std::{path::Path, process::Command};

const GOOD_RULES: &str = "groups:\n- name: up\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  - alert: Down\n    expr: up == 0\n    \
    for: 5m\n    labels: { severity: critical }\n    annotations: { summary: '{{ $labels.instance }} is down' }\n";

const GOOD_CONFIG: &str = "listen = \"127.0.0.1:0\"\ndata = \"data\"\n\n[[scrape]]\njob = \"node\"\ntargets = [\"10.0.0.7:9100\"]\n\
    relabel_configs = [{ source_labels = [\"__address__\"], regex = \"(.*):.*\", target_label = \"host\" }]\n\n\
    [rules]\nfiles = [\"rules/*.yml\"]\n\n[notify.ops]\nurl = \"http://127.0.0.1:9999/hook\"\n";

/// What a run of the program came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let done = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

/// A folder with a good configuration and good rules.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("rules")).expect("made");
    write(folder.path(), "tandem.toml", GOOD_CONFIG);
    write(folder.path(), "rules/up.yml", GOOD_RULES);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

#[test]
fn good_rule_files_are_counted_and_the_caller_is_told_0() {
    let folder = folder();
    let ran = run(folder.path(), &["rules", "check", "rules/up.yml"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "rules/up.yml: 1 groups, 2 rules\n", ""));
    let ran = run(folder.path(), &["rules", "check", "--json", "rules/up.yml"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let expected = serde_json::json!({"files": [{"file": "rules/up.yml", "groups": 1, "rules": 2}]});
    assert_eq!((ran.code, told), (Some(0), expected));
}

#[test]
fn mistakes_in_rule_files_are_told_with_their_line_and_1() {
    let folder = folder();
    let one = |name: &str, from: &str, to: &str| {
        assert!(GOOD_RULES.contains(from), "{from}");
        write(folder.path(), name, &GOOD_RULES.replace(from, to));
    };
    one("expr.yml", "up == 0", "up ==");
    one("template.yml", "{{ $labels.instance }}", "{{ $lables.instance }}");
    one("duration.yml", "for: 5m", "for: five");
    one("key.yml", "    for: 5m", "    four: 5m");
    write(folder.path(), "yaml.yml", "groups:\n- name: [\n");
    for (name, line, part) in [
        ("expr.yml", 6, "could not parse expression"),
        ("template.yml", 6, "undefined variable \"$lables\""),
        ("duration.yml", 6, "\"five\" is no duration"),
        ("key.yml", 8, "four"),
        ("yaml.yml", 2, "expected string"),
    ] {
        let ran = run(folder.path(), &["rules", "check", "rules/up.yml", name]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.err);
        assert_eq!(ran.out, "rules/up.yml: 1 groups, 2 rules\n", "the good one is told all the same");
        assert!(ran.err.starts_with(&format!("{name}:{line}: ")) && ran.err.contains(part), "{name}: {}", ran.err);
        let ran = run(folder.path(), &["rules", "check", "--json", name]);
        let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!((ran.code, &told["files"][0]["problems"][0]["line"]), (Some(1), &line.into()), "{name}");
    }
    let ran = run(folder.path(), &["rules", "check", "absent.yml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("absent.yml: cannot be read:"), "{}", ran.err);
}

#[test]
fn a_good_configuration_is_told_with_what_it_does() {
    let folder = folder();
    let ran = run(folder.path(), &["check", "--config", "tandem.toml"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    for part in ["The configuration is fine", "scrapes 1 jobs", "evaluates 2 rules"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!folder.path().join("data").exists(), "nothing is started, and nothing is made");
}

#[test]
fn a_mistake_in_a_configuration_is_told_with_its_line_and_1() {
    let folder = folder();
    for (from, to, line, part) in [
        ("targets =", "tragets =", 6, "unknown key `tragets`; did you mean `targets`?"),
        ("regex = \"(.*):.*\"", "regex = \"(\"", 4, "relabel_configs.0: regex \"(\" is none"),
        ("http://127.0.0.1:9999/hook", "no address", 12, "notify.ops"),
        ("127.0.0.1:0", "0.0.0.0:1", 1, "reachable from other machines"),
        ("[rules]\n", "[rules]\ninterval = \"soon\"\n", 10, "soon"),
        ("data = \"data\"", "data = \"data", 2, ""),
    ] {
        assert!(GOOD_CONFIG.contains(from), "{from}");
        write(folder.path(), "tandem.toml", &GOOD_CONFIG.replace(from, to));
        let ran = run(folder.path(), &["check", "--config", "tandem.toml"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{to}: {}", ran.err);
        assert!(ran.err.contains(&format!("tandem.toml:{line}: ")) && ran.err.contains(part), "{to}: {}", ran.err);
    }
}

#[test]
fn rules_that_a_configuration_names_are_checked_with_it() {
    let folder = folder();
    write(folder.path(), "rules/more.yml", &GOOD_RULES.replace("name: up", "name: more").replace("up == 0", "up =="));
    let ran = run(folder.path(), &["check", "--config", "tandem.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("more.yml:6: group \"more\": rule \"Down\": could not parse"), "{}", ran.err);
    write(folder.path(), "tandem.toml", &GOOD_CONFIG.replace("rules/*.yml", "rules/absent.yml"));
    let ran = run(folder.path(), &["check", "--config", "tandem.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("there is no such file"), "{}", ran.err);
}

#[test]
fn who_uses_the_program_wrongly_is_told_2() {
    let folder = folder();
    for arguments in [["rules", "check"].as_slice(), &["check", "--confg", "tandem.toml"], &["rules"], &["chek"]] {
        let ran = run(folder.path(), arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
    }
}
