//! The folder of the spool: one that cannot be used is told and left alone, and one bad byte in it costs a request at
//! most.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::numbered::{array, sorted};
use crate::support::program::run;
use crate::support::site::{Site, files};
use crate::support::test_app::with;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_another_process_uses_is_told_and_left_alone() {
    let broker = FakeBroker::start();
    let toml = with(&[&broker], "");
    let site = Site::new(&toml);
    let server = site.serve();
    assert_eq!(server.post(array(0..5)).await.status, 200);
    // With dead letters of its own, so that it is the spool that stands in the way.
    let before = site.path("headgate.toml");
    let before = fs::read_to_string(before).unwrap();
    site.configure(&with(&[&broker], "[dead_letters]\ndir = 'other-letters'"));
    let (status, told) = site.fail_to_serve();
    assert_eq!(status, Some(1), "{told}");
    let spool = site.path("spool").display().to_string();
    assert!(
        told.contains(&spool) && told.contains("another process"),
        "{told}"
    );
    fs::write(site.path("headgate.toml"), before).unwrap();
    assert_eq!(server.post(array(5..10)).await.status, 200);
    server.operator().until_all_done().await;
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert_eq!(sorted(&broker.delivered()), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let site = Site::new("");
    let place = site.path("plain-file");
    fs::write(&place, "x").unwrap();
    let link = site.path("link");
    symlink("nowhere", &link).unwrap();
    for (folder, reason) in [
        (place.join("spool"), "Not a directory"),
        (place, "in the way"),
        (link, "in the way"),
    ] {
        let folder = folder.display().to_string();
        site.configure(&format!("[spool]\ndir = '{folder}'"));
        let (status, told) = site.fail_to_serve();
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains(&folder) && told.contains(reason), "{told}");
    }
}

#[test]
fn a_folder_with_the_name_of_a_file_of_the_spool_is_told() {
    let site = Site::new("");
    let segment = "00000000000000000007.seg";
    let spare = "00000000000000000007.spare";
    for name in [segment, spare, "checkpoint-a", "lock"] {
        let in_the_way = site.path("spool").join(name);
        fs::create_dir_all(&in_the_way).unwrap();
        let (status, told) = site.fail_to_serve();
        assert_eq!(status, Some(1), "{told}");
        let path = in_the_way.display().to_string();
        assert!(
            told.contains(&path) && told.contains("moved away"),
            "{told}"
        );
        fs::remove_dir(in_the_way).unwrap();
    }
}

/// Lets the beginning of a file tell a version of its format: magic (8 bytes), version (4), CRC-32 of both (4).
fn set_version(file: &Path, version: u32) {
    let mut bytes = fs::read(file).unwrap();
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.sum().to_le_bytes());
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_newer_format_is_told_and_nothing_in_it_is_touched() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(
        &[&broker],
        "[spool]\nsegment_bytes = '4KiB'\n[server]\ndrain_timeout = '100ms'",
    ));
    let server = site.serve();
    for request in 0..3 {
        let body = array(100 * request..100 * (request + 1));
        assert_eq!(server.post(body).await.status, 200);
    }
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    let spool = site.path("spool");
    let segments = site.segments();
    let checkpoint = files(&spool).into_iter().find(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("checkpoint-")
    });
    let newer = [segments[0].clone(), checkpoint.unwrap(), spool.join("lock")];
    for file in newer {
        set_version(&file, seglog::VERSION + 1);
        let before = site.snapshot();
        let (status, told) = site.fail_to_serve();
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains(&file.display().to_string()), "{told}");
        assert!(
            site.snapshot() == before,
            "{} told, and files changed",
            file.display()
        );
        set_version(&file, seglog::VERSION);
    }
    broker.usually(Reply::status(200));
    let server = site.serve();
    server.operator().until_all_done().await;
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert_eq!(sorted(&broker.delivered()), (0..300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_byte_costs_the_request_that_it_hit_and_is_told_and_counted() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    for request in 0..30 {
        let body = array(10 * request..10 * (request + 1));
        assert_eq!(server.post(body).await.status, 200);
    }
    server.kill();
    let segment = site.segments().pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // In the text of the fifteenth request.
    let at = memchr::memmem::find(&bytes, b"{\"n\":155,").unwrap();
    bytes[at + 1] ^= 0x20;
    fs::write(&segment, bytes).unwrap();
    let first = site.survey().segments[0].first;

    broker.usually(Reply::status(200));
    let server = site.serve();
    let operator = server.operator();
    operator.until_all_done().await;
    let books = operator.status().await["books"].clone();
    assert_eq!(
        (
            &books["spooled_at_start"],
            &books["delivered"],
            &books["lost"]
        ),
        (&300.into(), &290.into(), &10.into())
    );
    assert_eq!(
        operator
            .metric("headgate_spool_corrupt_records_total")
            .await,
        1.0
    );
    assert_eq!(
        operator.metric("headgate_spool_lost_events_total").await,
        10.0
    );
    assert_eq!(server.post(array(300..310)).await.status, 200);
    operator.until_all_done().await;
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");

    let expected: Vec<u64> = (0..150).chain(160..310).collect();
    assert_eq!(sorted(&broker.delivered()), expected);
    let told = log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["message"].as_str().unwrap().contains("damaged"));
    let told = told.expect("the damage is logged");
    let generation = segment.file_stem().unwrap().to_str().unwrap();
    assert_eq!(told["segment"], generation.parse::<u64>().unwrap());
    assert_eq!(told["events_lost"], 10);
    let positions = format!("{}..{}", first + 150, first + 160);
    assert_eq!(told["positions"], positions);
    let set_aside = told["set_aside"].as_str().unwrap();
    assert!(
        set_aside.starts_with(&format!("damaged-{generation}")),
        "{set_aside}"
    );
    let kept = fs::read(site.path("spool").join(set_aside)).unwrap();
    assert!(memchr::memmem::find(&kept, b"{\"n\":154,").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_tells_of_damage_as_far_as_it_goes_and_a_check_of_all() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    for request in 0..3 {
        let body = array(10 * request..10 * (request + 1));
        assert_eq!(server.post(body).await.status, 200);
    }
    server.kill();
    let segment = site.segments().pop().unwrap();
    let sound = fs::read(&segment).unwrap();
    let told_by = |command| {
        let output = run(&["spool", command, "--dir", "."], &site.path("spool"));
        let told = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), told)
    };
    assert_eq!(told_by("inspect").0, Some(0));
    for (event, inspected) in [("{\"n\":5,", Some(3)), ("{\"n\":15,", Some(0))] {
        let mut bytes = sound.clone();
        let at = memchr::memmem::find(&bytes, event.as_bytes()).unwrap();
        bytes[at + 1] ^= 0x20;
        fs::write(&segment, bytes).unwrap();
        let (status, told) = told_by("inspect");
        assert_eq!(status, inspected, "{event}: {told}");
        let is_told = told.contains("10 events not delivered\n");
        assert_eq!(is_told, inspected == Some(3), "{event}: {told}");
        let (status, told) = told_by("verify");
        assert_eq!(status, Some(3), "{event}: {told}");
        assert!(told.contains("10 events not delivered\n"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_of_which_both_files_are_damaged_or_gone_is_told() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    assert_eq!(server.post(array(0..10)).await.status, 200);
    server.kill();
    let files = ["checkpoint-a", "checkpoint-b"].map(|name| site.path("spool").join(name));
    let flip_a_bit = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        bytes[20] ^= 0x20;
        fs::write(file, bytes).unwrap();
    };
    for command in ["inspect", "verify", "export"] {
        let look = || {
            let output = run(&["spool", command, "--dir", "."], &site.path("spool"));
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let is_told = told.contains("both its files are damaged or gone");
            (output.status.code(), is_told)
        };
        assert_eq!(look(), (Some(0), false), "{command}");
        // One alone may be what a crash has torn.
        flip_a_bit(&files[0]);
        assert_eq!(look(), (Some(0), false), "{command}");
        flip_a_bit(&files[1]);
        assert_eq!(look(), (Some(3), true), "{command}");
        files.iter().for_each(|file| flip_a_bit(file));
    }
    for file in &files {
        fs::remove_file(file).unwrap();
    }
    let export = run(&["spool", "export", "--dir", "."], &site.path("spool"));
    assert_eq!(export.status.code(), Some(3));
    let told = String::from_utf8(export.stderr).unwrap();
    assert!(
        told.contains("both its files are damaged or gone"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_what_was_delivered_long_ago_is_nobodys_loss() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], ""));
    let mut server = site.serve();
    assert_eq!(server.post(array(0..10)).await.status, 200);
    server.operator().until_all_done().await;
    broker.usually(Reply::status(503));
    assert_eq!(server.post(array(10..20)).await.status, 200);
    server.signal("TERM");
    server.until_logged("draining");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    let segment = site.segments().pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"{\"n\":5,").unwrap();
    bytes[at] = 0;
    fs::write(&segment, bytes).unwrap();
    broker.usually(Reply::status(200));
    let server = site.serve();
    let operator = server.operator();
    operator.until_all_done().await;
    assert_eq!(operator.book("lost").await, 0);
    assert_eq!(
        operator
            .metric("headgate_spool_corrupt_records_total")
            .await,
        0.0
    );
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert_eq!(sorted(&broker.delivered()), (0..20).collect::<Vec<_>>());
}
