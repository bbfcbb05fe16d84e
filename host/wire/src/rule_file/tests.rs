//! Rule files of the community, and files of our own that are wrong.

use super::*;
use crate::shared_data;

fn problems(text: &str) -> Vec<String> {
    read(text)
        .map(|groups| panic!("it was taken: {groups:?}"))
        .unwrap_or_else(|problems| problems.iter().map(ToString::to_string).collect())
}

fn one(text: &str) -> String {
    let all = problems(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap_or_default()
}

#[test]
fn a_file_with_every_key_is_read() {
    let groups = read(
        "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 7\n  labels: { team: gpu, size: 1 }\n  rules:\n\
         \x20 - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: { team: other }\n\
         \x20 - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1h30m\n    labels: { severity: page, on: true }\n\
         \x20   annotations: { summary: '{{ $labels.instance }} is down' }\n",
    )
    .expect("a rule file");
    let group = &groups[0];
    assert_eq!((group.interval_millis, group.query_offset_millis, group.limit), (Some(30_000), Some(60_000), 7));
    assert_eq!((group.line, group.rules[0].line, group.rules[1].line), (2, 8, 11));
    let labels = |rule: &Rule| rule.labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",");
    assert_eq!(labels(&group.rules[0]), "size=1,team=other", "the rule's own labels count before those of the group");
    assert_eq!(labels(&group.rules[1]), "on=true,severity=page,size=1,team=gpu", "whatever YAML takes a label for");
    let RuleKind::Alerting { for_millis, keep_firing_for_millis, annotations } = &group.rules[1].kind else { panic!() };
    assert_eq!((*for_millis, *keep_firing_for_millis), (300_000, 5_400_000));
    assert_eq!(annotations["summary"], "{{ $labels.instance }} is down");
}

#[test]
fn empty_files_and_groups_are_fine() {
    for text in
        ["", "groups:\n", "groups: []\n", "# nothing\n", "groups:\n- name: g\n", "groups:\n- name: g\n  rules:\n"]
    {
        assert!(read(text).is_ok(), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_all_at_once() {
    let said = one("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    fro: 5m\n");
    assert!(said.starts_with("6: ") && said.contains("fro"), "{said}");
    let said = one("groups:\n- name: g\n- name: g\n");
    assert!(said.starts_with("3: group \"g\"") && said.contains("line 2"), "{said}");
    assert!(one("groups:\n- interval: 5s\n").contains("must have a name"));
    assert!(one("groups:\n- name: g\n  interval: 5\n").contains("\"5\" is no duration"));
    assert!(one("groups:\n- name: g\n  name: h\n").contains("name"), "a key twice");
    assert!(one("groups: [\n").starts_with(char::is_numeric));
    let rules = |rules: &str| problems(&format!("groups:\n- name: g\n  rules:\n{rules}"));
    assert_eq!(rules("  - expr: up\n"), ["4: group \"g\": one of 'record' or 'alert' must be set"]);
    assert!(rules("  - { record: a, alert: b, expr: up }\n")[0].contains("only one of"));
    assert!(rules("  - { alert: b }\n")[0].contains("'expr' must be set"));
    let said = rules(
        "  - { record: 'a b', expr: up, for: 5m, annotations: { x: y }, keep_firing_for: 1m, labels: { 1a: x } }\n",
    );
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(said.iter().all(|said| said.starts_with("4: group \"g\": rule \"a b\": ")), "{said:#?}");
    assert!(rules("  - { alert: a, expr: up, labels: { __name__: x } }\n")[0].contains("invalid label name"));
    assert!(rules("  - { alert: a, expr: up, annotations: { a-b: x } }\n")[0].contains("invalid annotation name"));
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (next, last) in ('b'..='j').zip('a'..='i') {
        text.push_str(&format!(
            "{next}: &{next} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n"
        ));
    }
    assert!(read(&format!("{text}groups: *j\n")).is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
}

#[test]
fn the_rules_of_the_community_are_read() {
    let Some(folder) = shared_data::path("alert-rules/dist/rules") else { return };
    let (mut files, mut rules) = (0, 0);
    for folder in std::fs::read_dir(folder).expect("a folder").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("text");
            let groups = read(&text).unwrap_or_else(|problems| panic!("{}: {problems:?}", file.path().display()));
            rules += groups.iter().map(|group| group.rules.len()).sum::<usize>();
            files += 1;
        }
    }
    assert!(files == 6 && rules > 60, "{files} files, {rules} rules");
}
