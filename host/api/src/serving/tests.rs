//! Connections beyond the limit, and the end of those within.

use super::*;
use axum::routing::get;
use tokio::io::AsyncReadExt;

async fn listening(
    connections: usize,
) -> (std::net::SocketAddr, Arc<ServingMetrics>, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let (address, metrics, stop) = (listener.local_addr().expect("bound"), Arc::default(), watch::Sender::new(false));
    let router = Router::new().route("/", get(async || "here"));
    let serving = tokio::spawn(serve(listener, router, connections, Arc::clone(&metrics), stop.subscribe()));
    (address, metrics, stop, serving)
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut answer = vec![0; 4_096];
    let bytes = stream.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..bytes]).into_owned()
}

#[tokio::test]
async fn who_comes_beyond_the_limit_is_told_and_may_come_when_another_has_left() {
    let (address, metrics, stop, serving) = listening(1).await;
    let mut first = TcpStream::connect(address).await.expect("connected");
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = TcpStream::connect(address).await.expect("connected");
    let mut told = String::new();
    second.read_to_string(&mut told).await.expect("told");
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("too-many-requests"), "{told}");
    assert!(told.to_ascii_lowercase().contains("retry-after: 5"), "{told}");
    drop(first);
    let answered = async {
        loop {
            let mut third = TcpStream::connect(address).await.expect("connected");
            if third.write_all(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n").await.is_ok() {
                let mut answer = String::new();
                if third.read_to_string(&mut answer).await.is_ok() && answer.contains(" 200 ") {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("there is room again");
    stop.send_replace(true);
    serving.await.expect("no fault");
    let count =
        |name: &str| metrics.read().into_iter().find(|(known, ..)| *known == name).map_or(0, |(.., value)| value);
    assert!(count("tandem_http_connections_refused_total") >= 1);
    assert_eq!(count("tandem_http_connections"), 0);
    assert!(metrics.ended().get("in_order").is_some_and(|count| *count >= 2));
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_counted_by_its_reason() {
    let (address, metrics, stop, serving) = listening(8).await;
    for (sent, status) in
        [(vec![b'x'; 100], " 400 "), ([b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'y'; 200 << 10]].concat(), " 431 ")]
    {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        // It may be refused before all is sent.
        let _ = stream.write_all(&sent).await;
        let _ = stream.write_all(b"\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.contains(status), "{answer}");
    }
    stop.send_replace(true);
    serving.await.expect("no fault");
    let ended = metrics.ended();
    assert_eq!((ended.get("no_request"), ended.get("head_too_long")), (Some(&1), Some(&1)), "{ended:?}");
}
