//! Over loopback, against a server that says what a test tells it.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers each request with the next answer; gives back its address and what it was sent.
async fn server(answers: Vec<String>) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.expect("reads");
            seen.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            stream.write_all(answer.as_bytes()).await.expect("writes");
        }
        seen
    });
    (address, task)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        url,
        headers: vec![("authorization".into(), b"secret".to_vec())],
        body: Vec::new(),
        timeout: Duration::from_secs(5),
        max_response_bytes: 1000,
        follow_redirects: true,
    }
}

fn grant(patterns: &[&str]) -> HttpGrant {
    HttpGrant { allow: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), ..HttpGrant::default() }
}

#[tokio::test]
async fn what_is_granted_is_answered_and_what_is_not_prints_the_line_to_add() {
    let (address, _) = server(vec![answer("200 OK", "x-test: 1\r\n", "hello")]).await;
    let client = EgressClient::default();
    let good = client.send(&grant(&["127.0.0.1"]), request(format!("http://{address}/"))).await.expect("answers");
    assert_eq!((good.status, good.body.as_slice()), (200, b"hello".as_slice()));
    let refused =
        client.send(&grant(&["10.0.0.0/8"]), request(format!("http://{address}/"))).await.expect_err("refused");
    assert_eq!(refused.code, FailureCode::Refused);
    assert!(refused.message.contains(&format!("allow_http = [\"{address}\"]")), "{}", refused.message);
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_after_it_is_resolved() {
    let (address, _) = server(vec![]).await;
    let refused = EgressClient::default()
        .send(
            &grant(&["10.0.0.0/8", "localhost.localdomain"]),
            request(format!("http://localhost:{}/", address.port())),
        )
        .await
        .expect_err("refused");
    assert_eq!(refused.code, FailureCode::Refused, "{}", refused.message);
}

#[tokio::test]
async fn redirects_are_checked_again_and_credentials_stay_behind() {
    let (second, seen) = server(vec![answer("200 OK", "", "there")]).await;
    let (first, _) = server(vec![answer("302 Found", &format!("location: http://{second}/x\r\n"), "")]).await;
    let client = EgressClient::default();
    let followed = client.send(&grant(&["127.0.0.1"]), request(format!("http://{first}/"))).await.expect("answers");
    assert_eq!(followed.body, b"there");
    let seen = seen.await.expect("joins");
    assert!(!seen[0].to_lowercase().contains("secret"), "{}", seen[0]);

    let (first, _) = server(vec![answer("302 Found", &format!("location: http://{second}/x\r\n"), "")]).await;
    let refused =
        client.send(&grant(&[&first.to_string()]), request(format!("http://{first}/"))).await.expect_err("refused");
    assert_eq!(refused.code, FailureCode::Refused);
}

#[tokio::test]
async fn long_answers_are_cut_and_silent_servers_time_out() {
    let (address, _) = server(vec![answer("200 OK", "", &"x".repeat(2000))]).await;
    let client = EgressClient::default();
    let cut = client.send(&grant(&["127.0.0.1"]), request(format!("http://{address}/"))).await.expect_err("too long");
    assert_eq!(cut.code, FailureCode::Malformed);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let mut impatient =
        request(format!("http://user:hidden@{}/?token=hidden", silent.local_addr().expect("an address")));
    impatient.timeout = Duration::from_millis(200);
    let late = client.send(&grant(&["127.0.0.1"]), impatient).await.expect_err("silent");
    assert_eq!((late.code, late.retry), (FailureCode::Unreachable, true));
    assert!(!late.message.contains("hidden"), "{}", late.message);
}
