//! The whole way: fixture trees are collected, and what comes out is given its meaning; so are exporters' pages.

use super::*;
use std::path::{Path, PathBuf};
use tandem_sdk::{
    host::FilesystemSpace,
    mapper::{Condition, Meaning},
    page::read_series,
    testing::FixtureHost,
    types::{Entity, KeyStrength, RelationKind},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn page(name: &str) -> Vec<Series> {
    read_series(&std::fs::read_to_string(fixtures().join(name)).expect("the fixture is there"))
}

fn server() -> FixtureHost {
    let space = FilesystemSpace {
        total_bytes: 1_000,
        free_bytes: 400,
        available_bytes: 300,
        total_files: 50,
        free_files: 40,
        read_only: false,
    };
    FixtureHost::from_folder(fixtures().join("server"))
        .space("/", space)
        .space("/data/models", space)
        .space("/srv/keep", FilesystemSpace { read_only: true, ..space })
}

fn collect(host: &FixtureHost) -> Collection {
    let request = CollectRequest { now: 5, target: String::new(), config: String::new(), cursor: Vec::new() };
    Storage::collect(request, host).expect("the tree can be read")
}

fn target(instance: &str) -> Target {
    Target { job: "node".into(), instance: instance.into(), labels: Vec::new() }
}

fn fits(series: &Series, metric: &str, labels: &[(&str, &str)]) -> bool {
    let has = |(name, value): &(&str, &str)| series.labels.iter().any(|l| l.name == *name && l.value == *value);
    series.metric == metric && labels.iter().all(has)
}

fn value(collection: &Collection, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let index = collection.series.iter().position(|series| fits(series, metric, labels))?;
    collection.points.iter().find(|points| points.series as usize == index).map(|points| points.value[0])
}

fn meaning<'m>(
    mapping: &'m Mapping,
    series: &[Series],
    metric: &str,
    labels: &[(&str, &str)],
) -> Option<(&'m Meaning, &'m Entity)> {
    let index = series.iter().position(|s| fits(s, metric, labels)).expect("the series is there");
    let meaning = mapping.meanings.iter().find(|m| m.series as usize == index)?;
    Some((meaning, &mapping.entities[meaning.entity as usize]))
}

fn key<'e>(entity: &'e Entity, scheme: &str) -> Option<&'e str> {
    entity.keys.iter().find(|key| key.scheme == scheme).map(|key| key.value.as_str())
}

/// Names of what an entity of this name depends on in this way.
fn below<'m>(mapping: &'m Mapping, name: &str, kind: RelationKind) -> Vec<&'m str> {
    let named = |index: u32| mapping.entities[index as usize].name.as_str();
    let fitting = mapping.relations.iter().filter(|r| r.kind == kind && named(r.dependent) == name);
    fitting.map(|r| named(r.dependency)).collect()
}

#[test]
fn disks_filesystems_and_arrays_of_a_server_are_read() {
    let collection = collect(&server());
    let expected = [
        ("node_disk_read_bytes_total", &[("device", "sda")][..], 1_003_346_126.0 * 512.0),
        ("node_disk_io_time_seconds_total", &[("device", "sda")], 9_653.88),
        ("node_disk_flush_requests_total", &[("device", "sda")], 77.0),
        ("node_disk_info", &[("device", "sda"), ("wwn", "naa.50014ee2b5e3f1a2"), ("rotational", "1")], 1.0),
        ("node_disk_info", &[("device", "nvme0n1"), ("model", "Samsung SSD 970 PRO 512GB")], 1.0),
        ("tandem_disk_size_bytes", &[("device", "nvme0n1")], 1_000_215_216.0 * 512.0),
        ("node_disk_device_mapper_info", &[("device", "dm-0"), ("name", "vg-root")], 1.0),
        ("tandem_disk_member_info", &[("device", "md0"), ("member", "sdb1")], 1.0),
        ("node_nvme_info", &[("device", "nvme0"), ("serial", "S463NF0M531020F"), ("state", "live")], 1.0),
        ("node_filesystem_avail_bytes", &[("mountpoint", "/"), ("fstype", "ext4")], 300.0),
        ("node_filesystem_readonly", &[("mountpoint", "/srv/keep")], 1.0),
        ("node_md_degraded", &[("device", "md0")], 1.0),
        ("node_md_disks", &[("device", "md0"), ("state", "failed")], 1.0),
        ("node_md_blocks", &[("device", "md0")], 248_896.0),
    ];
    for (metric, labels, wanted) in expected {
        let told = value(&collection, metric, labels).unwrap_or_else(|| panic!("{metric} {labels:?} is missing"));
        assert!((told - wanted).abs() < 1e-6, "{metric} {labels:?}: {told} instead of {wanted}");
    }
    for absent in ["ram0", "loop0", "sda1"] {
        assert_eq!(value(&collection, "node_disk_io_now", &[("device", absent)]), None, "{absent} is no disk");
    }
    assert!(value(&collection, "node_filesystem_avail_bytes", &[("mountpoint", "/mnt/nas")]).is_none());
    assert!(value(&collection, "node_filesystem_device_error", &[("mountpoint", "/far/away/disk")]).is_none());
}

#[test]
fn what_lies_on_what_is_told() {
    let collection = collect(&server());
    let mapping = Storage::interpret(&target(""), &collection.series).expect("understood");
    let on = |name| below(&mapping, name, RelationKind::StoredOn);
    assert_eq!(on("/ on rack1-n3"), ["dm-0 on rack1-n3"]);
    assert_eq!(on("dm-0 on rack1-n3"), ["md0 on rack1-n3"]);
    assert_eq!(on("md0 on rack1-n3"), ["sda on rack1-n3", "sdb on rack1-n3"]);
    assert_eq!(on("/data/models on rack1-n3"), ["nvme0n1 on rack1-n3"]);
    let array = mapping.entities.iter().find(|e| e.name == "md0 on rack1-n3").expect("there is an array");
    assert_eq!((array.kind.as_str(), key(array, "device")), ("array", Some("rack1-n3/md0")));
    assert!(below(&mapping, "rack1-n3", RelationKind::Contains).contains(&"sda on rack1-n3"));
}

#[test]
fn a_collected_a_scraped_and_a_smart_disk_are_one() {
    let collection = collect(&server());
    let collected = Storage::interpret(&target(""), &collection.series).expect("understood");
    let scraped_series = page("node.prom");
    let scraped = Storage::interpret(&target("10.0.0.7:9100"), &scraped_series).expect("understood");
    let smart_series = page("smartctl.prom");
    let smart = Storage::interpret(&target("rack1-n3:9633"), &smart_series).expect("understood");
    let named = |mapping: &Mapping, name: &str| mapping.entities.iter().find(|e| e.name == name).expect(name).clone();
    let (one, two, three) =
        (named(&collected, "sda on rack1-n3"), named(&scraped, "sda on rack1-n3"), named(&smart, "sda on rack1-n3"));
    assert_eq!(key(&one, "wwn"), key(&two, "wwn"));
    assert_eq!(key(&two, "serial"), Some("WDC_WD20EFRX-68EUZN0/WD-WCC4M0XEXAMPLE"));
    assert_eq!(key(&two, "serial"), key(&three, "serial"));
    assert_eq!(key(&one, "device"), key(&three, "device"));
    assert_eq!(key(&one, "serial"), None, "the kernel cuts an ATA drive's model short, and so names no serial number");
    let nvme = named(&smart, "nvme0n1 on rack1-n3");
    assert_eq!(key(&nvme, "serial"), key(&named(&collected, "nvme0n1 on rack1-n3"), "serial"));
    assert!(one.keys.iter().filter(|k| k.strength == KeyStrength::Unique).all(|k| k.scheme == "wwn"));
}

#[test]
fn partitions_have_no_meaning_and_two_paths_stay_two() {
    let series = page("node.prom");
    let mapping = Storage::interpret(&target("10.0.0.7:9100"), &series).expect("understood");
    assert!(meaning(&mapping, &series, "node_disk_io_time_seconds_total", &[("device", "sda1")]).is_none());
    let path =
        |device| meaning(&mapping, &series, "node_disk_io_time_seconds_total", &[("device", device)]).expect("meant");
    assert_ne!(path("sdx").0.entity, path("sdy").0.entity);
    assert_eq!(key(path("sdx").1, "wwn"), None);
}

#[test]
fn read_only_is_a_fault_only_where_it_is_not_on_purpose() {
    let series = page("node.prom");
    let mapping = Storage::interpret(&target("10.0.0.7:9100"), &series).expect("understood");
    let rules = |mountpoint| {
        let found = meaning(&mapping, &series, "node_filesystem_readonly", &[("mountpoint", mountpoint)]);
        found.map(|(meaning, _)| meaning.fault_rules.len())
    };
    assert_eq!((rules("/"), rules("/boot/firmware"), rules("/snap/core/1")), (Some(1), Some(0), None));
    let (error, _) = meaning(&mapping, &series, "node_filesystem_device_error", &[]).expect("meant");
    assert!(error.fault_rules.is_empty(), "what the exporter may not look at is no fault");
    let (failed, _) = meaning(&mapping, &series, "node_md_disks", &[("state", "failed")]).expect("meant");
    assert_eq!(failed.fault_rules[0].code, "array.degraded", "old exporters tell no node_md_degraded");
}

#[test]
fn what_drives_say_of_their_health_is_understood() {
    let series = page("smartctl.prom");
    let mapping = Storage::interpret(&target("rack1-n3:9633"), &series).expect("understood");
    let codes = |metric: &str, labels: &[(&str, &str)], sent: f64| -> Vec<String> {
        let (meaning, _) = meaning(&mapping, &series, metric, labels).expect("meant");
        let on = |condition: &Condition| match condition {
            Condition::Within(range) => range.low <= sent && sent <= range.high,
            Condition::ChangedTo(_) | Condition::Rises(_) => true,
        };
        meaning.fault_rules.iter().filter(|rule| on(&rule.condition)).map(|rule| rule.code.clone()).collect()
    };
    assert_eq!(codes("smartctl_device_smart_status", &[], 0.0), ["disk.smart.failed"]);
    assert!(codes("smartctl_device_smart_status", &[], 1.0).is_empty());
    assert_eq!(codes("smartctl_device_critical_warning", &[], 1.0), ["disk.spare.low"]);
    assert_eq!(codes("smartctl_device_critical_warning", &[], 4.0), ["disk.critical-warning"]);
    assert_eq!(codes("smartctl_device_percentage_used", &[], 100.0), ["disk.wear.exhausted"]);
    assert!(codes("smartctl_device_percentage_used", &[], 99.0).is_empty());
    assert_eq!(codes("smartctl_device_media_errors", &[], 4.0), ["disk.media-errors"]);
    let raw = |id| [("attribute_id", id), ("attribute_value_type", "raw")];
    assert_eq!(codes("smartctl_device_attribute", &raw("197"), 3.0), ["disk.sectors.pending"]);
    assert_eq!(codes("smartctl_device_attribute", &raw("5"), 8.0), ["disk.sectors.reallocated"]);
    assert!(meaning(&mapping, &series, "smartctl_device_attribute", &raw("194")).is_none());
    let (spare, drive) = meaning(&mapping, &series, "smartctl_device_available_spare", &[]).expect("meant");
    assert!((spare.scale * 9.0 - 0.09).abs() < 1e-12);
    assert_eq!(drive.name, "nvme0n1 on rack1-n3");
    let (limit, _) = meaning(&mapping, &series, "smartctl_device_temperature", &[("temperature_type", "drive_trip")])
        .expect("meant");
    assert_eq!(limit.name, "disk.temperature.limit");
}

/// Reads real pages when they are at hand; the project's own tests do not need them.
#[test]
fn real_node_exporter_pages_are_understood() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
    let pages = [
        "data/captures/scrapes/node_exporter_1.5.0_scrape.prom",
        "data/node-exporter-fixtures/collector/fixtures/e2e-output.txt",
    ];
    for page in pages {
        let Ok(text) = std::fs::read_to_string(shared.join(page)) else {
            println!("{page} is not at hand (TANDEM_SHARED): this real page was not tested");
            continue;
        };
        let series = read_series(&text);
        let mapping = Storage::interpret(&target("10.0.0.7:9100"), &series).expect("understood");
        assert!(mapping.meanings.len() > 20, "{page}: {} meanings", mapping.meanings.len());
        let mut told = std::collections::HashSet::new();
        for one in &mapping.meanings {
            let key = format!("{} {} {:?}", mapping.entities[one.entity as usize].name, one.name, one.dimensions);
            assert!(told.insert(key.clone()), "{page}: two series mean {key}");
        }
        println!(
            "{page}: {} meanings, {} entities, {} relations",
            mapping.meanings.len(),
            mapping.entities.len(),
            mapping.relations.len()
        );
    }
}

/// The kernel this test runs on, whatever it is: its files must be understood as they are.
#[cfg(target_os = "linux")]
#[test]
fn the_machine_this_runs_on_is_read() {
    let request = CollectRequest { now: 5, target: String::new(), config: String::new(), cursor: Vec::new() };
    let collection = Storage::collect(request, &FixtureHost::from_folder("/")).expect("this machine can be read");
    for part in ["diskstats", "filesystem"] {
        let success = value(&collection, "node_scrape_collector_success", &[("collector", part)]);
        assert_eq!(success, Some(1.0), "{part} of this machine is not understood");
    }
    let mapping = Storage::interpret(&target(""), &collection.series).expect("what was collected is understood");
    assert!(!mapping.meanings.is_empty());
}
