//! A BMC with prepared answers: one chassis with the older resources, one with the newer, one that does not answer.

use super::*;

const BMC: &str = "https://bmc.example";

fn bmc() -> FixtureHost {
    let answers = [
        ("/redfish/v1", "root"),
        ("/redfish/v1/Chassis/", "chassis-collection"),
        ("/redfish/v1/Chassis/1", "chassis-1"),
        ("/redfish/v1/Chassis/1/Power", "power"),
        ("/redfish/v1/Chassis/1/Thermal", "thermal"),
        ("/redfish/v1/Chassis/Enclosure", "enclosure"),
        ("/redfish/v1/Chassis/Enclosure/EnvironmentMetrics", "environment"),
        ("/redfish/v1/Chassis/Enclosure/PowerSubsystem", "power-subsystem"),
        ("/redfish/v1/Chassis/Enclosure/PowerSubsystem/PowerSupplies", "supplies"),
        ("/redfish/v1/Chassis/Enclosure/PowerSubsystem/PowerSupplies/Bay1", "supply"),
        ("/redfish/v1/Chassis/Enclosure/PowerSubsystem/PowerSupplies/Bay1/Metrics", "supply-metrics"),
        ("/redfish/v1/Chassis/Enclosure/ThermalSubsystem", "thermal-subsystem"),
        ("/redfish/v1/Chassis/Enclosure/ThermalSubsystem/ThermalMetrics", "thermal-metrics"),
        ("/redfish/v1/Chassis/Enclosure/ThermalSubsystem/Fans", "fans"),
        ("/redfish/v1/Chassis/Enclosure/ThermalSubsystem/Fans/F1", "fan"),
        ("/redfish/v1/Systems/", "systems"),
        ("/redfish/v1/Systems/1/", "system"),
    ];
    answers.into_iter().fold(FixtureHost::default(), |host, (path, file)| {
        let body =
            std::fs::read(fixtures().join("redfish").join(format!("{file}.json"))).expect("the fixture is there");
        host.http("GET", &format!("{BMC}{path}"), 200, body)
    })
}

fn collected() -> Collection {
    let config = r#"{"authorization": "Basic c2VjcmV0"}"#;
    Power::collect(request("https://bmc.example/redfish/v1", config), &bmc()).expect("the service answers")
}

#[test]
fn old_and_new_resources_are_read() {
    let collection = collected();
    expect_values(
        &collection,
        &[
            ("tandem_redfish_consumed_watts", &[("chassis", "1")], 344.0),
            ("tandem_redfish_health", &[("part", "power-supply"), ("name", "PSU2")], 2.0),
            ("tandem_redfish_input_watts", &[("name", "PSU1")], 205.4),
            ("tandem_redfish_celsius", &[("name", "Inlet")], 24.0),
            ("tandem_redfish_fan_rpm", &[("name", "Fan 1")], 6000.0),
            ("tandem_redfish_fan_percent", &[("name", "Fan 2")], 40.0),
            ("tandem_redfish_system_power_on", &[("system", "1")], 1.0),
            ("tandem_redfish_consumed_watts", &[("chassis", "Enclosure")], 812.5),
            ("tandem_redfish_output_watts", &[("chassis", "Enclosure"), ("id", "Bay1")], 390.0),
            ("tandem_redfish_celsius", &[("name", "Exhaust")], 38.5),
            ("tandem_redfish_fan_rpm", &[("id", "F1")], 2200.0),
            ("node_scrape_collector_success", &[("collector", "/redfish/v1/Chassis/1")], 1.0),
            ("node_scrape_collector_success", &[("collector", "/redfish/v1/Chassis/Broken")], 0.0),
        ],
    );
    assert!(value(&collection, "tandem_redfish_health", &[("name", "PSU3")]).is_none(), "an empty bay is no fault");
}

#[test]
fn chassis_supplies_and_host_are_told_apart_and_joined() {
    let series = collected().series;
    let mapping = Power::interpret(&target("https://bmc.example/redfish/v1"), &series).expect("understood");
    assert_unambiguous(&mapping);
    let labels = [("part", "power-supply"), ("name", "PSU2")];
    let (health, supply) = meaning(&mapping, &series, "tandem_redfish_health", &labels).expect("meant");
    assert_eq!(
        (codes(health, 2.0), codes(health, 1.0), codes(health, 0.0).len()),
        (vec!["power-supply.failed"], vec!["power-supply.degraded"], 0)
    );
    assert_eq!(supply.keys[0].value, "bmc.example/1/power-supply-1");
    let chassis = mapping
        .entities
        .iter()
        .find(|e| e.keys[0].value == "J300EXAMPLE" && e.kind == "chassis")
        .expect("known by serial");
    assert!(chassis.keys.iter().any(|key| key.scheme == "address" && key.value == "bmc.example"));
    let host = mapping.entities.iter().find(|e| e.kind == "host").expect("the machine inside");
    assert_eq!((host.keys[0].scheme.as_str(), host.keys[0].value.as_str()), ("dmi-serial", "J300EXAMPLE"));
    let has = |kind, dependent: &Entity, dependency: &Entity| {
        mapping.relations.iter().any(|relation| {
            relation.kind == kind
                && mapping.entities[relation.dependent as usize].name == dependent.name
                && mapping.entities[relation.dependency as usize].name == dependency.name
        })
    };
    assert!(has(RelationKind::DependsOn, host, chassis));
    assert!(has(RelationKind::PoweredBy, chassis, supply));
}

#[test]
fn the_authorization_is_sent_and_only_to_the_service() {
    let host = bmc();
    Power::collect(request("https://bmc.example/redfish/v1", r#"{"authorization": "Basic c2VjcmV0"}"#), &host)
        .expect("it answers");
    let requests = host.requests();
    assert!(requests.len() > 10);
    for request in requests {
        assert!(request.url.starts_with(BMC), "{}", request.url);
        assert!(request.headers.contains(&("authorization".into(), "Basic c2VjcmV0".into())));
    }
    let elsewhere = FixtureHost::default().http(
        "GET",
        "https://bmc.example/redfish/v1/",
        200,
        r#"{"Chassis": {"@odata.id": "//evil.example/"}}"#,
    );
    let failure = Power::collect(request(BMC, ""), &elsewhere).expect_err("a link to elsewhere is not followed");
    assert_eq!((failure.code, elsewhere.requests().len()), (FailureCode::Malformed, 1));
}

#[test]
fn failures_say_what_to_do() {
    let refused = FixtureHost::default().http("GET", "https://bmc.example/redfish/v1/", 401, "");
    let failure = Power::collect(request(BMC, ""), &refused).expect_err("no user was given");
    assert_eq!(failure.code, FailureCode::Refused);
    assert!(failure.message.contains("authorization"), "{}", failure.message);
    let failure = Power::collect(request("bmc.example", ""), &FixtureHost::default()).expect_err("no URL");
    assert_eq!(failure.code, FailureCode::Misconfigured);
    let failure =
        Power::collect(request("", r#"{"user": "x"}"#), &FixtureHost::default()).expect_err("no such setting");
    assert_eq!(failure.code, FailureCode::Misconfigured);
    let silent = Power::collect(request(BMC, ""), &FixtureHost::default()).expect_err("nothing answers");
    assert_eq!((silent.code, silent.retry), (FailureCode::Unreachable, true));
}

#[test]
fn a_service_with_endless_links_is_read_only_so_far() {
    let members: Vec<String> = (0..40).map(|n| format!(r#"{{"@odata.id": "/redfish/v1/Chassis/{n}"}}"#)).collect();
    let host = FixtureHost::default()
        .http("GET", "https://bmc.example/redfish/v1/", 200, r#"{"Chassis": {"@odata.id": "/redfish/v1/Chassis"}}"#)
        .http(
            "GET",
            "https://bmc.example/redfish/v1/Chassis",
            200,
            format!(r#"{{"Members": [{}]}}"#, members.join(",")),
        );
    let failure = Power::collect(request(BMC, ""), &host).expect_err("no chassis answers");
    assert_eq!(failure.code, FailureCode::Unreachable);
    assert_eq!(host.requests().len(), 2 + 16);
}

/// The larger real answers, when they are at hand.
#[test]
fn real_samples_are_understood() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
    let folder = shared.join("data/redfish-samples/sampleOut");
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let (Some(root), Some(chassis), Some(system)) =
        (read("ServiceRoot.json"), read("chassis.json"), read("system.json"))
    else {
        println!("{} is not at hand (TANDEM_SHARED): the real Redfish samples were not tested", folder.display());
        return;
    };
    let one = |path: &str| format!(r#"{{"Members": [{{"@odata.id": "{path}"}}]}}"#);
    let host = FixtureHost::default()
        .http("GET", "https://bmc.example/redfish/v1/", 200, root)
        .http("GET", "https://bmc.example/redfish/v1/Chassis/", 200, one("/redfish/v1/Chassis/1/"))
        .http("GET", "https://bmc.example/redfish/v1/Chassis/1/", 200, chassis)
        .http("GET", "https://bmc.example/redfish/v1/Chassis/1/Power/", 200, r#"{"PowerControl": []}"#)
        .http("GET", "https://bmc.example/redfish/v1/Chassis/1/Thermal/", 200, r#"{"Fans": []}"#)
        .http("GET", "https://bmc.example/redfish/v1/Systems/", 200, one("/redfish/v1/Systems/1/"))
        .http("GET", "https://bmc.example/redfish/v1/Systems/1/", 200, system);
    let collection = Power::collect(request(BMC, ""), &host).expect("the samples are read");
    expect_values(
        &collection,
        &[
            ("tandem_redfish_chassis_info", &[("serial", "J300Z21M"), ("main", "true")], 1.0),
            ("tandem_redfish_system_health", &[("system", "1")], 0.0),
            ("tandem_redfish_system_info", &[("uuid", "f9753d74-6e44-11e9-81ba-0a94ef7a633b")], 1.0),
        ],
    );
}
