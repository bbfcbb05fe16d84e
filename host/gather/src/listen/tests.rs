//! Listeners over loopback into a store.

use super::*;
use crate::sent::SentMetrics;
use std::{collections::BTreeSet, time::Duration};
use tandem_domain::{
    Severity, Timestamp,
    log::LogPlace,
    series::{MetricType, Series},
    target::TargetKey,
};
use tandem_store::{LogQuery, LogText, Store, StoreOptions};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
};

struct Fixed(i64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

const NOW: i64 = 1_790_000_000_000;

/// Listeners under way.
struct Scene {
    store: Store,
    addresses: ListenAddresses,
    metrics: Arc<ListenMetrics>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn scene(statsd: Option<&str>, syslog: Option<&str>) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("a store");
    let clock: Arc<dyn Clock> = Arc::new(Fixed(NOW));
    let sent = Arc::new(SentReceiver::new(store.clone(), clock.clone(), Arc::new(SentMetrics::default())));
    let metrics = Arc::new(ListenMetrics::default());
    let statsd: Option<StatsdConfig> = statsd.map(|text| serde_json::from_str(text).expect("a config"));
    let syslog: Option<SyslogConfig> = syslog.map(|text| serde_json::from_str(text).expect("a config"));
    let listeners = Listeners::bind(statsd.as_ref(), syslog.as_ref(), sent, clock, metrics.clone()).await;
    let listeners = listeners.expect("addresses that are free");
    let (addresses, stop) = (listeners.addresses(), watch::Sender::new(false));
    let running = tokio::spawn(listeners.run(stop.subscribe()));
    Scene { store, addresses, metrics, stop, running, _folder: folder }
}

impl Scene {
    /// Waits until a listener has received so much.
    async fn received(&self, listener: &str, count: u64) {
        for _ in 0..1_000 {
            let read = self.metrics.read();
            if read.iter().any(|one| one.listener == listener && one.received >= count) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {count} by {listener}: {:?}", self.metrics.read());
    }

    fn dropped(&self, listener: &str, reason: &str) -> u64 {
        let read = self.metrics.read();
        let one = read.iter().find(|one| one.listener == listener).expect("a listener");
        one.dropped.get(reason).copied().unwrap_or_default()
    }

    async fn stop(&mut self) {
        self.stop.send_replace(true);
        (&mut self.running).await.expect("no fault");
    }

    fn value(&self, metric: &str, target: &TargetKey) -> f64 {
        let read = self.store.read().expect("a snapshot");
        let all = read.scan::<Series>(.., usize::MAX).expect("read");
        let found = all.iter().find(|one| one.description.metric == metric && one.target == *target);
        let found = found.unwrap_or_else(|| panic!("{metric} of {target:?} is missing in {all:#?}"));
        last(self, found)
    }
}

fn last(scene: &Scene, series: &Series) -> f64 {
    let read = scene.store.read().expect("a snapshot");
    *read.points(series.id, Timestamp::MIN, Timestamp::MAX).expect("read").value.last().expect("a sample")
}

#[tokio::test]
async fn what_datagrams_add_up_to_is_told_when_the_server_stops() {
    let config = r#"{"listen": "127.0.0.1:0", "flush_interval": "1h", "idle": "2h", "prefix": "shop.", "labels": {"rack": "7", "zone": "a"}}"#;
    let mut scene = scene(Some(config), None).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = scene.addresses.statsd.expect("it listens");
    let datagrams =
        ["hits:1|c\nhits:2|c", "hits:4|c|#zone:b", "load:320|ms\nnonsense", "temp:21|g|#job:api,instance:a:1"];
    for datagram in datagrams {
        sender.send_to(datagram.as_bytes(), address).await.expect("sent");
    }
    scene.received("statsd", 4).await;
    scene.stop().await;
    let own = TargetKey { job: "statsd".into(), instance: "127.0.0.1".into() };
    let all = scene.store.read().expect("a snapshot").scan::<Series>(.., usize::MAX).expect("read");
    let hits: Vec<_> = all.iter().filter(|one| one.description.metric == "shop_hits_total").collect();
    let zones: BTreeSet<_> = hits.iter().filter_map(|one| one.description.labels.get("zone")).collect();
    assert_eq!((zones, hits[0].description.metric_type), (BTreeSet::from(["a", "b"]), MetricType::Counter));
    assert!(hits.iter().all(|one| one.description.labels.get("rack") == Some("7") && one.target == own));
    let totals: f64 = hits.iter().map(|one| last(&scene, one)).sum();
    assert_eq!(totals, 7.0);
    let load = all.iter().find(|one| one.description.metric == "shop_load_seconds").expect("a timer");
    let read = scene.store.read().expect("a snapshot");
    let histograms = read.histograms(load.id, Timestamp::MIN, Timestamp::MAX).expect("read");
    assert_eq!(histograms.last().map(|(_, histogram)| (histogram.count, histogram.sum)), Some((1.0, 0.32)));
    assert_eq!(scene.value("shop_temp", &TargetKey { job: "api".into(), instance: "a:1".into() }), 21.0);
    assert_eq!(scene.dropped("statsd", "malformed"), 1);
}

#[tokio::test]
async fn syslog_comes_by_datagram_and_by_both_framings_of_a_stream() {
    let mut scene = scene(None, Some(r#"{"udp": "127.0.0.1:0", "tcp": "127.0.0.1:0"}"#)).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let datagram = b"<11>1 2026-09-21T13:33:20Z node-7 kernel - - - out of memory";
    sender.send_to(datagram, scene.addresses.syslog_udp.expect("it listens")).await.expect("sent");
    let mut stream = TcpStream::connect(scene.addresses.syslog_tcp.expect("it listens")).await.expect("connected");
    stream
        .write_all(b"<14>Sep 21 13:33:20 node-8 sshd[7]: line\n19 <14>app: counted\n\ny<14>app: the la")
        .await
        .expect("sent");
    stream.write_all(b"st without an end").await.expect("sent");
    stream.shutdown().await.expect("ended");
    scene.received("syslog-udp", 1).await;
    scene.received("syslog-tcp", 3).await;
    scene.stop().await;
    let texts = texts(&scene);
    for text in ["out of memory", "line", "counted\n\ny", "the last without an end"] {
        assert!(texts.iter().any(|known| known == text), "{text:?} is missing in {texts:?}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_and_endless_messages_are_dropped_and_counted() {
    let mut scene = scene(None, Some(r#"{"tcp": "127.0.0.1:0", "connections": 1}"#)).await;
    let address = scene.addresses.syslog_tcp.expect("it listens");
    let mut first = TcpStream::connect(address).await.expect("connected");
    first.write_all(b"<14>app: first\n").await.expect("sent");
    scene.received("syslog-tcp", 1).await;
    let second = TcpStream::connect(address).await.expect("connected");
    let mut nothing = [0; 1];
    let closed = tokio::io::AsyncReadExt::read(&mut { second }, &mut nothing).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    assert_eq!(scene.dropped("syslog-tcp", "too_many_connections"), 1);
    first.write_all(&vec![b'x'; 200 << 10]).await.expect("sent");
    first.write_all(b"\n<14>app: after it\n").await.expect("sent");
    scene.received("syslog-tcp", 2).await;
    drop(first);
    scene.stop().await;
    assert!(scene.dropped("syslog-tcp", "too_long") > 0);
    assert!(texts(&scene).iter().any(|text| text == "after it"));
}

/// The texts of all lines that were kept.
fn texts(scene: &Scene) -> Vec<String> {
    let read = scene.store.read().expect("a snapshot");
    let query = LogQuery {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        least: Severity::Info,
        owners: None,
        app: None,
        host: None,
        text: LogText::default(),
        before: LogPlace::END,
        limit: 100,
    };
    read.logs(&query).expect("read").lines.into_iter().map(|line| line.entry.text).collect()
}
