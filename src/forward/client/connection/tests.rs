//! A connection over a pipe, with a paused clock: when it is used again, when it is closed, and what its end means.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const MAX_AGE: Duration = Duration::from_secs(300);
const UNUSED_LIMIT: Duration = Duration::from_secs(45);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection whose work runs, its place, and the Broker's end of it.
async fn begin() -> (Connection, Arc<IdleConnection>, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    let (connection, work) = Connection::begin(ours, MAX_AGE).await.unwrap();
    let place = Arc::new(IdleConnection::default());
    let tasks = crate::lifecycle::Lifecycle::new().task_group();
    tasks.spawn(work.run(Arc::downgrade(&place), UNUSED_LIMIT));
    (connection, place, theirs)
}

fn request() -> Request<Pieces> {
    let mut request = Request::new(Pieces::from(Bytes::from_static(b"[{}]")));
    *request.method_mut() = http::Method::POST;
    request
}

/// Reads a request and answers.
async fn answer(theirs: &mut DuplexStream, answer: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"[{}]") {
        assert!(theirs.read_buf(&mut seen).await.unwrap() > 0);
    }
    theirs.write_all(answer).await.unwrap();
}

/// One request that is answered with 200, after which the connection is kept.
async fn deliver(mut connection: Connection, place: &IdleConnection, theirs: &mut DuplexStream) {
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, answer(theirs, OK));
    let answered = answered.unwrap();
    assert_eq!(
        (answered.status, &answered.beginning[..]),
        (200, &b"ok"[..])
    );
    place.keep(connection, &answered);
}

#[tokio::test(start_paused = true)]
async fn it_is_used_again_until_it_is_too_old() {
    let (connection, place, mut theirs) = begin().await;
    let opened = Instant::now();
    deliver(connection, &place, &mut theirs).await;
    let mut uses = 0;
    let mut old = loop {
        tokio::time::sleep(Duration::from_secs(40)).await;
        let mut connection = place.take().expect("it is used often enough to be kept");
        assert!(connection.is_ready().await);
        if connection.is_old() {
            break connection;
        }
        deliver(connection, &place, &mut theirs).await;
        uses += 1;
    };
    assert_eq!(uses, 7);
    assert_eq!(opened.elapsed(), Duration::from_secs(8 * 40));
    old.renew(MAX_AGE);
    assert!(!old.is_old(), "where there is no other to be had");
    drop(old);
    let mut end = [0];
    assert_eq!(theirs.read(&mut end).await.unwrap(), 0, "it is closed");
}

#[tokio::test(start_paused = true)]
async fn unused_it_is_closed_in_time() {
    let (connection, place, mut theirs) = begin().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    deliver(connection, &place, &mut theirs).await;
    let unused_since = Instant::now();
    let mut end = [0];
    assert_eq!(theirs.read(&mut end).await.unwrap(), 0);
    assert_eq!(unused_since.elapsed().as_secs(), UNUSED_LIMIT.as_secs());
    assert!(place.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn closed_by_the_broker_while_unused_it_is_not_used_again() {
    let (connection, place, mut theirs) = begin().await;
    deliver(connection, &place, &mut theirs).await;
    drop(theirs);
    tokio::task::yield_now().await;
    assert!(!place.take().unwrap().is_ready().await);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    let (mut connection, _place, theirs) = begin().await;
    drop(theirs);
    let answered = connection.exchange(request(), REQUEST_TIMEOUT).await;
    assert!(matches!(answered, Err(NoAnswer::NotSent(_))));

    let (mut connection, _place, mut theirs) = begin().await;
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, async {
        answer(&mut theirs, b"").await;
        drop(theirs);
    });
    assert!(matches!(answered, Err(NoAnswer::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn silence_and_nonsense_are_no_end_of_the_connection() {
    let (mut connection, _place, mut theirs) = begin().await;
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, b""));
    assert!(matches!(answered, Err(NoAnswer::TimedOut)));
    let mut end = [0];
    assert_eq!(theirs.read(&mut end).await.unwrap(), 0, "it is closed");

    let tls_alert: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";
    for nonsense in [b"SSH-2.0-OpenSSH\r\n\r\n", tls_alert] {
        let (mut connection, _place, mut theirs) = begin().await;
        let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
        let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, nonsense));
        let Err(error @ NoAnswer::Broken(_)) = answered else {
            panic!("it is no answer");
        };
        assert!(error.to_string().contains("scheme and port"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_header_line_that_is_none_counts_by_its_status() {
    for line in [
        "no line",
        "Two Words: x",
        "Server : x",
        "X: a\r\n b",
        "X: \x01",
    ] {
        let (mut connection, place, mut theirs) = begin().await;
        let text = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok");
        let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
        let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, text.as_bytes()));
        let answered = answered.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(
            (answered.status, answered.is_whole),
            (200, true),
            "{line:?}"
        );
        place.keep(connection, &answered);
        deliver(place.take().unwrap(), &place, &mut theirs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_very_many_header_lines_counts_by_its_status() {
    let (mut connection, place, mut theirs) = begin().await;
    let lines = "X-Trace: hop\r\n".repeat(MAX_ANSWER_HEADERS - 1);
    let text = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok");
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, text.as_bytes()));
    let answered = answered.unwrap();
    assert_eq!((answered.status, answered.is_whole), (200, true));
    place.keep(connection, &answered);
    deliver(place.take().unwrap(), &place, &mut theirs).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_with_a_result_for_each_event_costs_no_connection() {
    let (mut connection, place, mut theirs) = begin().await;
    let results = "x".repeat(1_000_000);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{results}");
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, text.as_bytes()));
    let answered = answered.unwrap();
    assert_eq!(answered.beginning, vec![b'x'; EXCERPT]);
    place.keep(connection, &answered);
    deliver(place.take().unwrap(), &place, &mut theirs).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_counts_and_its_connection_does_not() {
    let (mut connection, place, mut theirs) = begin().await;
    let begun = Instant::now();
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nok";
    let (answered, ()) = tokio::join!(exchange, answer(&mut theirs, head));
    let answered = answered.unwrap();
    assert_eq!(answered.status, 200);
    assert_eq!(begun.elapsed().as_secs(), ANSWER_TIMEOUT.as_secs());
    place.keep(connection, &answered);
    assert!(place.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_success_counts_once_the_request_was_sent() {
    let body = Bytes::from(vec![b' '; 1_000_000]);
    let request = || {
        let mut request = request();
        *request.body_mut() = Pieces::from(body.clone());
        request
    };
    // Read to its end behind the answer.
    let (mut connection, _place, mut theirs) = begin().await;
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, async {
        theirs.read_exact(&mut [0; 1000]).await.unwrap();
        theirs.write_all(OK).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut rest = vec![0; 999_000];
        theirs.read_exact(&mut rest).await.unwrap();
    });
    assert_eq!(answered.unwrap().status, 200);
    // Left, or closed.
    for keeps_open in [true, false] {
        let (mut connection, _place, mut theirs) = begin().await;
        let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
        let (answered, _theirs) = tokio::join!(exchange, async {
            theirs.read_exact(&mut [0; 1000]).await.unwrap();
            theirs.write_all(OK).await.unwrap();
            keeps_open.then_some(theirs)
        });
        assert!(matches!(answered, Err(NoAnswer::Unread(200))));
    }
    // What is refused need not be read.
    let (mut connection, _place, mut theirs) = begin().await;
    let exchange = connection.exchange(request(), REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, async {
        theirs.read_exact(&mut [0; 1000]).await.unwrap();
        let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
        theirs.write_all(refusal).await.unwrap();
    });
    assert_eq!(answered.unwrap().status, 413);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_is_closed_though_its_request_is_not_read_to_its_end() {
    let (mut connection, _place, mut theirs) = begin().await;
    let body = Bytes::from(vec![b'x'; 1_000_000]);
    let mut request = Request::new(Pieces::from(body));
    *request.method_mut() = http::Method::POST;
    let exchange = connection.exchange(request, REQUEST_TIMEOUT);
    let (answered, ()) = tokio::join!(exchange, async {
        theirs.read_exact(&mut [0; 1000]).await.unwrap();
        let refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        theirs.write_all(refusal).await.unwrap();
    });
    assert_eq!(answered.unwrap().status, 503);
    drop(connection);
    tokio::time::sleep(2 * CLOSE_TIMEOUT).await;
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() < 900_000, "{}", rest.len());
}
