//! The page for eyes on the admin listener: there for every browser, up to date, and closed to what events or addresses
//! might bring in.

use crate::support::client::{Connection, JSON};
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn the_page_shows_the_server_as_it_is() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let page = app.admin_page("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("set-cookie"), None);
    let public = app.public().to_string();
    for value in [
        env!("CARGO_PKG_VERSION"),
        "serving",
        &public,
        &broker.url(),
        "All is well",
    ] {
        assert!(page.text().contains(value), "{value}");
    }
    assert!(page.text().contains("<data id=\"in\" value=\"0\">"));

    let events = vec!["{}"; 1234].join(",");
    app.post("/", &[JSON], format!("[{events}]")).await;
    app.until_book("delivered", 1234).await;
    let page = app.admin_page("/").await;
    for way in ["in", "out"] {
        let count = format!("<data id=\"{way}\" value=\"1234\">1,234</data>");
        assert!(page.text().contains(&count), "{count}");
    }
    app.finish().await;
}

#[tokio::test]
async fn dead_letters_that_made_room_are_told() {
    let rules = "[validate]\nrequired = ['app']\n[dead_letters]\nmax_bytes = '1MiB'";
    let app = TestApp::start(rules).await;
    let event = format!(r#"{{"message":"{}"}}"#, "x".repeat(20_000));
    let events = format!("[{}]", vec![event; 100].join(","));
    assert_eq!(app.post("/", &[JSON], events).await.status, 200);
    app.until_book("dead_lettered", 100).await;
    let dropped = app.status().await["dead_letters_dropped"].as_u64().unwrap();
    assert!((1..100).contains(&dropped), "{dropped}");
    let page = app.admin_page("/").await;
    let line = format!("<strong>{dropped} dead letters dropped.</strong>");
    assert!(page.text().contains(&line), "{}", page.text());
    app.finish().await;
}

#[tokio::test]
async fn nothing_runs_in_the_page_but_its_own_script() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let page = app.admin_page("/").await;
    let policy = page.header("content-security-policy").unwrap();
    let directives: Vec<&str> = policy.split("; ").collect();
    assert!(directives.contains(&"default-src 'none'"), "{policy}");
    for unsafe_word in ["unsafe", "http:", "https:", "*"] {
        assert!(!policy.contains(unsafe_word), "{policy}");
    }
    for tag in ["script", "style"] {
        let (_, rest) = page.text().split_once(&format!("<{tag}>")).unwrap();
        let (text, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let source = format!("{tag}-src 'sha256-{}'", sha256_base64(text));
        assert!(
            directives.contains(&source.as_str()),
            "{source} in {policy}"
        );
    }
    app.finish().await;
}

fn sha256_base64(text: &str) -> String {
    use sha2::Digest;
    data_encoding::BASE64.encode(&sha2::Sha256::digest(text))
}

#[tokio::test]
async fn a_broker_with_a_nasty_address_is_text() {
    let broker = FakeBroker::start();
    let url = format!("{}/it's&lt;b>?{{{{version}}}}", broker.url());
    let app = TestApp::start(&format!("[broker]\nurls = [\"{url}\"]")).await;
    let page = app.admin_page("/").await;
    assert!(
        page.text().contains("/it&#39;s&amp;lt;b"),
        "{}",
        page.text()
    );
    app.finish().await;
}

#[tokio::test]
async fn it_answers_head_and_refuses_what_is_no_reading() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = Connection::open(app.admin()).await;
    let head = connection.request("HEAD", "/", &[], "").await;
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let post = connection.request("POST", "/", &[], "").await;
    assert_eq!(post.status, 405);
    app.finish().await;
}
