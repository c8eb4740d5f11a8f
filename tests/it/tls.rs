//! TLS on the public listener: what is agreed upon, who is let in, and that a connection ends like a plain one.

use http::Request;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::certificates::{Authority, Identity};
use crate::support::client::{Connection, JSON, head};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{Http2Client, post};
use crate::support::test_app::{TestApp, with};
use crate::support::tls_client::{ONLY_12, ONLY_13, Wants};
use crate::support::tls_site::TlsSite;
use crate::support::{eventually, in_time};

async fn failures(app: &TestApp, reason: &str) -> Option<f64> {
    let name = "headgate_tls_handshake_failures_total";
    app.samples().await.value(name, &[("reason", reason)])
}

async fn until_failures(app: &TestApp, reason: &str, count: f64) {
    eventually("handshakes to fail", async || {
        (failures(app, reason).await == Some(count)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken() {
    let site = TlsSite::new();
    let broker = FakeBroker::start();
    let app = TestApp::start(&with(&[&broker], &site.toml(""))).await;
    for (versions, version) in [
        (ONLY_12, ProtocolVersion::TLSv1_2),
        (ONLY_13, ProtocolVersion::TLSv1_3),
    ] {
        for (protocols, agreed) in [
            (&[][..], None),
            (&["http/1.1"][..], Some("http/1.1")),
            (&["http/1.1", "h2"][..], Some("h2")),
            (&["h2"][..], Some("h2")),
        ] {
            let client = site.client(&Wants {
                versions,
                protocols,
                ..Wants::default()
            });
            let stream = client.open(app.public()).await;
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(version));
            assert_eq!(session.alpn_protocol(), agreed.map(str::as_bytes));
            let answers = if agreed == Some("h2") {
                let client = Http2Client::over(stream).await;
                let events = post("/", "application/json", "{}");
                let health = Request::get("http://logs.test/health");
                let health = health.body(http_body_util::Full::default()).unwrap();
                [client.request(events).await, client.request(health).await]
            } else {
                let mut connection = Connection::over(stream);
                let events = connection.request("POST", "/", &[JSON], "{}").await;
                [events, connection.request("GET", "/health", &[], "").await]
            };
            assert_eq!(answers.map(|answer| answer.status), [200, 200]);
        }
    }
    // Without ALPN a client may still know beforehand.
    let stream = site.client(&Wants::default()).open(app.public()).await;
    let client = Http2Client::over(stream).await;
    let answer = client.request(post("/", "application/json", "{}")).await;
    assert_eq!(answer.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 9);
}

/// Two connections of each version: the second one resumes the first one's session, but with a certificate.
async fn two_connections(toml: &str, site: &TlsSite, certificate: Option<&Identity>) {
    let is_asked = certificate.is_some();
    let app = TestApp::start(toml).await;
    for versions in [ONLY_12, ONLY_13] {
        let client = site.client(&Wants {
            versions,
            certificate,
            ..Wants::default()
        });
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut connection = client.connect(app.public()).await;
            let answer = connection.request("GET", "/health", &[], "").await;
            assert_eq!(answer.status, 200);
            kinds.extend(connection.stream().get_ref().1.handshake_kind());
        }
        let second = if is_asked {
            HandshakeKind::Full
        } else {
            HandshakeKind::Resumed
        };
        assert_eq!(kinds, [HandshakeKind::Full, second], "{toml}");
    }
    app.finish().await;
}

/// A session that is resumed shows no certificate, and would outlast the one that it began with.
#[tokio::test]
async fn sessions_are_resumed_unless_clients_show_certificates() {
    let (site, clients) = (TlsSite::new(), Authority::new());
    two_connections(&site.toml(""), &site, None).await;
    let identity = clients.identity("client.test");
    for client_auth in ["optional", "required"] {
        let toml = site.asking(client_auth, &clients);
        two_connections(&toml, &site, Some(&identity)).await;
    }
}

#[tokio::test]
async fn clients_are_asked_for_a_certificate_as_configured() {
    let (clients, strangers) = (Authority::new(), Authority::new());
    let good = clients.identity("client.test");
    let bad = strangers.identity("client.test");
    for (client_auth, certificate, is_let_in) in [
        ("none", None, true),
        ("none", Some(&bad), true),
        ("optional", None, true),
        ("optional", Some(&good), true),
        ("optional", Some(&bad), false),
        ("required", None, false),
        ("required", Some(&good), true),
        ("required", Some(&bad), false),
    ] {
        let site = TlsSite::new();
        let toml = match client_auth {
            "none" => site.toml(""),
            _ => site.asking(client_auth, &clients),
        };
        let app = TestApp::start(&toml).await;
        for versions in [ONLY_12, ONLY_13] {
            let client = site.client(&Wants {
                versions,
                certificate,
                ..Wants::default()
            });
            // With TLS 1.3 the refusal comes when the client believes that all is agreed upon.
            let answer = match client.try_open(app.public()).await {
                Err(_) => None,
                Ok(stream) => {
                    let mut connection = Connection::over(stream);
                    connection.try_request("/", &[JSON], "[]").await
                }
            };
            let status = answer.map(|answer| answer.status);
            assert_eq!(
                status,
                is_let_in.then_some(200),
                "{client_auth}, {versions:?}"
            );
        }
        let refused = if is_let_in { 0.0 } else { 2.0 };
        until_failures(&app, "client_certificate", refused).await;
        app.finish().await;
    }
}

#[tokio::test]
async fn a_refused_client_can_read_why() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.asking("required", &Authority::new())).await;
    let client = site.client(&Wants::default());
    let mut stream = client.open(app.public()).await;
    // More than fits into the buffers: were the connection reset, its words would be lost.
    let sending = stream.write_all(&[0; 64 * 1024]).await;
    let error = match sending {
        Err(error) => error,
        Ok(()) => in_time("the refusal", stream.read_u8()).await.unwrap_err(),
    };
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    app.finish().await;
}

#[tokio::test]
async fn plain_http_is_told_that_the_port_speaks_tls() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.toml("")).await;
    for begin in [
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        "hello",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut connection = app.connect().await;
        connection.send(begin).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert!(answer.text().contains("https"), "{}", answer.text());
        connection.expect_closed().await;
    }
    assert_eq!(failures(&app, "not_tls").await, Some(3.0));
    assert_eq!(app.book("received").await, 0);
    app.finish().await;
}

/// The first record of a handshake, cut.
const BEGUN: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252];

#[tokio::test]
async fn a_handshake_has_the_time_of_a_head_and_silence_before_it_that_of_an_idle_connection() {
    let site = TlsSite::new();
    let toml = site.toml("[server]\nheader_read_timeout = '50ms'");
    let app = TestApp::start(&toml).await;
    let client = site.client(&Wants::default());
    let mut silent = app.connect().await;
    let mut agreed = eventually("a handshake in time", async || {
        let mut agreed = client.connect(app.public()).await;
        let answer = agreed.try_request("/", &[], "x").await?;
        assert_eq!(answer.status, 200);
        Some(agreed)
    })
    .await;
    let too_slow = failures(&app, "timeout").await.unwrap();
    let mut slow = app.connect().await;
    slow.send(BEGUN).await;
    slow.expect_closed().await;
    assert_eq!(failures(&app, "timeout").await, Some(too_slow + 1.0));
    let mut gone = app.connect().await;
    gone.send(BEGUN).await;
    drop(gone);
    until_failures(&app, "closed", 1.0).await;
    // The head within TLS has its own clock.
    let told = eventually("a handshake in time", async || {
        let mut half_head = client.connect(app.public()).await;
        if !half_head.try_send("GET /hea").await {
            return None;
        }
        let told = half_head.rest_or_reset().await;
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert!(told.starts_with(b"HTTP/1.1 408 "), "{told:?}");
    // Those that were silent meanwhile are still open.
    let answer = agreed.request("GET", "/health", &[], "").await;
    assert_eq!(answer.status, 200);
    silent.send("x").await;
    assert_eq!(silent.answer().await.status, 400);
    app.finish().await;
}

#[tokio::test]
async fn silence_in_and_before_tls_ends_at_the_idle_limit() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.toml("[server]\nkeep_alive_timeout = '50ms'")).await;
    app.connect().await.expect_closed().await;
    for protocols in [&[][..], &["http/1.1"]] {
        let client = site.client(&Wants {
            protocols,
            ..Wants::default()
        });
        let mut silent = client.connect(app.public()).await;
        silent.expect_closed().await;
    }
    for reason in ["timeout", "closed", "not_tls", "faulty"] {
        assert_eq!(failures(&app, reason).await, Some(0.0), "{reason}");
    }
    app.finish().await;
}

#[tokio::test]
async fn connections_count_from_before_their_handshake() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.toml("[server]\nmax_connections = 1")).await;
    let _begun = {
        let mut begun = app.connect().await;
        begun.send(BEGUN).await;
        begun
    };
    app.until_connections(1).await;
    let client = site.client(&Wants::default());
    let mut reserve = client.connect(app.public()).await;
    let health = reserve.request("GET", "/health", &[], "").await;
    assert_eq!(health.status, 200);
    let refused = reserve.request("POST", "/", &[JSON], "{}").await;
    assert_eq!(refused.problem_code(), "overloaded");
    reserve.expect_closed().await;
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_can_be_read_by_a_client_that_still_sends() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.toml("[ingest]\nmax_content_length = '1KiB'")).await;
    for versions in [ONLY_12, ONLY_13] {
        let client = site.client(&Wants {
            versions,
            ..Wants::default()
        });
        let mut connection = client.connect(app.public()).await;
        let piece = vec![b'x'; 256 * 1024];
        let begin = head("POST", "/", &[JSON], 16 * piece.len());
        connection.send(begin).await;
        for _ in 0..16 {
            if !connection.try_send(&piece).await {
                break;
            }
        }
        let answer = connection.answer().await;
        assert_eq!(answer.problem_code(), "body_too_large");
        // Closed by the rules of TLS: the client of these tests fails when it is not.
        connection.expect_closed().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    let site = TlsSite::new();
    let broker = FakeBroker::start();
    let app = TestApp::start(&with(&[&broker], &site.toml(""))).await;
    broker.hold();
    let client = site.client(&Wants::default());
    let mut connection = client.connect(app.public()).await;
    connection.send(head("POST", "/", &[JSON], 2) + "{}").await;
    connection.half_close().await;
    broker.until_requests(1).await;
    broker.release();
    assert_eq!(connection.answer().await.text(), "ok");
    connection.expect_closed().await;
    app.finish().await;
}

/// Answers the PING with which a server makes sure that its GOAWAY has been read.
async fn answer_ping(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0];
    const LENGTH: usize = PING.len() + 8;
    let mut came = Vec::new();
    let mut ping = loop {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0, "{came:?}");
        let at = memchr::memmem::find(&came, PING).unwrap_or(came.len());
        if let Some(ping) = came.get(at..at + LENGTH) {
            break ping.to_vec();
        }
    };
    ping[4] = 1;
    stream.write_all(&ping).await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_connections_like_plain_ones() {
    let site = TlsSite::new();
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start(&with(&[&broker], &site.toml(""))).await;
    let client = site.client(&Wants::default());
    let http2 = site.client(&Wants {
        protocols: &["h2"],
        ..Wants::default()
    });
    let mut silent = app.connect().await;
    let mut begun = app.connect().await;
    begun.send(BEGUN).await;
    let mut agreed = client.connect(app.public()).await;
    let mut idle = client.connect(app.public()).await;
    let health = idle.request("GET", "/health", &[], "").await;
    assert_eq!(health.status, 200);
    let mut waiting = client.connect(app.public()).await;
    waiting.send(head("POST", "/", &[JSON], 2) + "{}").await;
    broker.until_requests(1).await;
    // The first words of HTTP/2 by hand, to see its end: the preface, and empty SETTINGS.
    let mut multiplexed = http2.open(app.public()).await;
    let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    multiplexed.write_all(begin).await.unwrap();
    app.until_connections(6).await;
    let ((), ()) = tokio::join!(app.drain(), async {
        // At once: who leaves it unanswered for a moment is cut off.
        in_time("the end of HTTP/2", answer_ping(&mut multiplexed)).await;
        silent.expect_closed().await;
        agreed.expect_closed().await;
        idle.expect_closed().await;
        let mut farewell = Vec::new();
        let reading = multiplexed.read_to_end(&mut farewell);
        // This fails when the connection is just cut.
        in_time("the end of TLS", reading).await.unwrap();
        // It has a moment for the rest of its handshake.
        begun.expect_closed().await;
        broker.release();
        let answer = waiting.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "ok"));
        assert_eq!(answer.header("connection"), Some("close"));
        waiting.expect_closed().await;
    });
    assert_eq!(broker.delivered().len(), 1);
}
