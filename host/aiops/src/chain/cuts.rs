//! The chain over a disk whose power is cut at every sync, one after another.

use super::{
    Chain,
    tests::{config, scrape, told, world},
};
use crate::testing::second;
use tandem_domain::{
    alert::Alert,
    finding::Finding,
    incident::{Incident, IncidentStatus},
};
use tandem_store::{Store, StoreOptions, testing::LossyDisk};

/// What a scrape brings, every 15 seconds: all is well, the fault, all is well again.
const VALUES: [f64; 7] = [0.0, 0.0, 79.0, 79.0, 0.0, 0.0, 0.0];

fn open(disk: &LossyDisk) -> Store {
    for _ in 0..200 {
        let disk = disk.clone();
        match Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default()) {
            Ok(store) => return store,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
    panic!("the store cannot be opened again");
}

/// Steps until nothing is left, or the power is off.
async fn step(chain: &mut Chain, at: i64) -> bool {
    for second_after in 0..8 {
        for _ in 0..20 {
            match chain.step(second(at + second_after)).await {
                Ok(progress) if !progress.worked && !progress.more => break,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
    true
}

/// Plays the scenario with a cut; answers whether the cut was reached.
async fn play(cut: u64, leak_every: u64) -> bool {
    let disk = LossyDisk::default();
    let world = world();
    let mut store = open(&disk);
    disk.leak_every(leak_every);
    disk.cut_at_sync(disk.syncs() + cut);
    let mut chain = Chain::new(store.clone(), world.ports.clone(), config());
    let mut was_cut = false;
    for (scrape_number, value) in VALUES.iter().enumerate() {
        let at = scrape_number as i64 * 15;
        loop {
            let acknowledged = scrape(&store, second(at), *value).await.is_ok();
            if acknowledged && step(&mut chain, at).await {
                break;
            }
            assert!(disk.is_cut(), "it failed though the power was on");
            was_cut = true;
            drop(chain);
            drop(store);
            disk.restore_power();
            store = open(&disk);
            chain = Chain::new(store.clone(), world.ports.clone(), config());
        }
    }
    let read = store.read().unwrap();
    let incidents = read.scan::<Incident>(.., 10).unwrap();
    assert_eq!(incidents.len(), 1, "cut at sync {cut}: {incidents:?}");
    assert_eq!(incidents[0].status, IncidentStatus::Resolved, "cut at sync {cut}");
    let alerts = read.scan::<Alert>(.., 10).unwrap();
    assert_eq!(alerts.iter().map(|alert| alert.times_fired).collect::<Vec<_>>(), [1], "cut at sync {cut}");
    assert_eq!(read.scan::<Finding>(.., 10).unwrap(), [], "cut at sync {cut}");
    // At least once, in order: what was told before a cut may be told again after it.
    let mut events: Vec<_> = told(&world.http).into_iter().map(|(event, _)| event).collect();
    events.dedup();
    assert_eq!(events, ["open", "resolve"], "cut at sync {cut}");
    was_cut
}

#[tokio::test]
async fn whenever_the_power_is_cut_there_is_one_incident_in_the_end() {
    let mut cuts = 0;
    for cut in 1..500 {
        if !play(cut, 0x7FFF_FFFF).await {
            break;
        }
        cuts += 1;
        if cut % 3 == 0 {
            // The disk's cache wrote some of it back before the cut.
            play(cut, 2).await;
        }
    }
    assert!(cuts > 30, "only {cuts} syncs were cut");
}
