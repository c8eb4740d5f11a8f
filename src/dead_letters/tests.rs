//! The store as its users see it: what is kept, what comes again after a crash, what requests do.

mod recalling;
mod sending;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::OutputType;
use crate::telemetry::DeathReason;

struct Store {
    letters: DeadLetters,
    telemetry: Arc<Telemetry>,
}

fn open(folder: &Path, max_bytes: &str) -> Store {
    let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
    let config = config::DeadLetters {
        dir: folder.into(),
        max_bytes: max_bytes.parse().unwrap(),
    };
    let letters = DeadLetters::open(&config, Arc::clone(&telemetry)).unwrap();
    Store { letters, telemetry }
}

impl Store {
    /// Keeps letters of events that died on arrival, `first` the position of the first one.
    fn arrive(&self, first: Position, count: usize) {
        self.letters.keep_arrived(&[arrived(first, count)]).unwrap();
    }

    fn reject(&self, position: Position) {
        let rejected = UndeliverableEvent {
            position,
            event: br#"{"n":1e400,"m":"\ud800"}"#,
            broker: "127.0.0.1:9",
            reason: DeathReason::RejectedByBroker,
            status: Some(422),
            message: "the Broker answered 422",
        };
        self.letters.keep_undeliverable(&rejected).unwrap();
    }

    fn dead_lettered(&self) -> u64 {
        self.telemetry.books().dead_lettered
    }

    fn expect_metric(&self, line: &str) {
        let text = self.telemetry.render(crate::telemetry::Gauges::default());
        assert!(text.contains(line), "no {line} in\n{text}");
    }

    fn purge(&self, ids: Option<BTreeSet<Position>>) -> u64 {
        let folder = self.letters.shelves.folder();
        let request = Request::new(folder, Action::Purge, ids).unwrap();
        self.letters.purge(&request).unwrap()
    }

    /// Reads the letters that a request is about one by one and takes them out, as a replay does; how many they were.
    fn take_all_out(&self, request: &Request) -> usize {
        let limits = ReadLimits {
            max_letters: 1,
            max_bytes: 1,
        };
        let mut taken = 0;
        for file in self.letters.files(request).unwrap() {
            loop {
                let batch = self.letters.read(file, 0, request, limits).unwrap();
                if batch.events.is_empty() {
                    break;
                }
                self.letters.take_out(file, &batch.places).unwrap();
                taken += 1;
            }
        }
        taken
    }

    fn ids(&self) -> Vec<Position> {
        ids(self.letters.shelves.folder())
    }
}

fn arrived(first: Position, count: usize) -> (Position, Lines) {
    let letter =
        br#"{"reason":"too_deep","at":"2026-01-01T00:00:00.000Z","errors":[],"event":"x"}"#;
    let line = [&letter[..], b",\n"].concat();
    let bytes = line.repeat(count).into();
    (first, Lines { count, bytes })
}

fn ids(folder: &Path) -> Vec<Position> {
    let mut ids = Vec::new();
    read(folder, |letter| {
        ids.extend(letter.position());
        true
    })
    .unwrap();
    ids
}

#[test]
fn letters_of_both_shelves_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(7, 1);
    store.reject(8);
    let mut seen = Vec::new();
    read(folder.path(), |letter| {
        seen.push((letter.id, letter.reason, letter.status));
        assert!(letter.text.ends_with('}'));
        true
    })
    .unwrap();
    assert_eq!(
        seen,
        [
            ("7".into(), "too_deep".into(), None),
            ("8".into(), "rejected_by_broker".into(), Some(422))
        ]
    );
    assert_eq!(store.dead_lettered(), 2);
}

#[test]
fn letters_of_several_envelopes_are_kept_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    let parts = [arrived(3, 2), arrived(10, 1), arrived(20, 2)];
    store.letters.keep_arrived(&parts).unwrap();
    assert_eq!(store.ids(), [3, 4, 10, 20, 21]);
    assert_eq!(store.dead_lettered(), 5);
}

#[test]
fn a_folder_that_cannot_be_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain-file");
    fs::write(&file, "x").unwrap();
    let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
    let open = |dir: PathBuf| {
        let max_bytes = "1MiB".parse().unwrap();
        let config = config::DeadLetters { dir, max_bytes };
        DeadLetters::open(&config, Arc::clone(&telemetry))
    };
    let error = open(file.join("letters")).map(drop).unwrap_err();
    assert!(error.to_string().contains("plain-file"), "{error}");
    let held = open(folder.path().join("a/b")).unwrap();
    let error = open(folder.path().join("a/b")).map(drop).unwrap_err();
    assert!(error.to_string().contains("a/b is locked"), "{error}");
    drop(held);
    open(folder.path().join("a/b")).unwrap();
}

#[test]
fn a_flood_of_nonsense_evicts_no_event_that_a_broker_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "4KiB");
    store.reject(1);
    for first in 0..100 {
        store.arrive(100 + 10 * first, 10);
    }
    let ids = store.ids();
    assert_eq!(ids.last(), Some(&1), "the shelf of the Broker comes last");
    assert!((2..100).contains(&ids.len()), "{} are kept", ids.len());
    let dropped = 1001 - ids.len();
    store.expect_metric(&format!("headgate_dead_letters_dropped_total {dropped}"));
}

#[test]
fn each_shelf_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    let bytes = |kind: ShelfKind| {
        let files = files::list(&folder.path().join(kind.folder_name())).unwrap();
        files.iter().map(|file| file.bytes).sum::<u64>()
    };
    let expect_measured = || {
        for kind in ShelfKind::ALL {
            let shelf = kind.folder_name();
            let bytes = bytes(kind);
            store.expect_metric(&format!(
                "headgate_dead_letters_bytes{{shelf=\"{shelf}\"}} {bytes}\n"
            ));
        }
    };
    // From the start on.
    expect_measured();
    store.arrive(10, 3);
    store.reject(20);
    assert!(bytes(ShelfKind::Arrival) > bytes(ShelfKind::Broker));
    store.letters.measure();
    expect_measured();
    store.purge(Some([10, 20].into()));
    assert_eq!(bytes(ShelfKind::Broker), 0);
    store.letters.measure();
    expect_measured();
}

#[test]
fn letters_count_as_purged_also_where_others_could_not_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(10, 2);
    store.reject(20);
    store.reject(21);
    let shelf = folder.path().join(ShelfKind::Broker.folder_name());
    let kept = files::path(&shelf, files::list(&shelf).unwrap()[0].number);
    let in_the_way = kept.with_extension(files::UNDER_WAY);
    fs::create_dir(&in_the_way).unwrap();
    let ids = Some([10, 20].into());
    let request = Request::new(folder.path(), Action::Purge, ids).unwrap();
    assert!(store.letters.purge(&request).is_err());
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(store.letters.purge(&request).unwrap(), 1);
    store.expect_metric("headgate_dead_letters_purged_total 2\n");
}

#[test]
fn chosen_letters_or_all_are_purged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(10, 5);
    store.reject(20);
    store.reject(21);
    assert_eq!(store.purge(Some([11, 14, 20, 99].into())), 3);
    assert_eq!(store.ids(), [10, 12, 13, 21]);
    store.arrive(30, 1);
    assert_eq!(store.purge(None), 5);
    assert!(store.ids().is_empty());
    assert_eq!(store.purge(None), 0);
    store.arrive(40, 1);
    assert_eq!(store.ids(), [40]);
}

#[test]
fn a_purge_that_a_loss_of_power_could_undo_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(10, 2);
    store.reject(20);
    for ids in [Some([10].into()), None] {
        store.letters.shelves.fail_syncs(true);
        store.purge(ids);
        let error = store.letters.sync().unwrap_err();
        assert!(error.to_string().contains("arrival"), "{error}");
        store.letters.shelves.fail_syncs(false);
        store.letters.sync().unwrap();
    }
    assert!(store.ids().is_empty());
}

#[test]
fn a_file_that_letters_are_taken_out_of_keeps_its_access() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(1, 2);
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    let shelf = folder.path().join(ShelfKind::Arrival.folder_name());
    let file = || files::path(&shelf, files::list(&shelf).unwrap()[0].number);
    for access in [0o640, 0o604] {
        fs::set_permissions(file(), fs::Permissions::from_mode(access)).unwrap();
        assert_eq!(store.purge(Some([1].into())), u64::from(access == 0o640));
        assert_eq!(mode(&file()), access);
    }
}

#[test]
fn a_request_that_begins_anew_leaves_what_came_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(1, 2);
    let request = Request::new(folder.path(), Action::Purge, None).unwrap();
    assert_eq!(store.letters.purge(&request).unwrap(), 2);
    store.arrive(3, 1);
    assert_eq!(store.letters.purge(&request).unwrap(), 0);
    drop(store);
    // As after a crash between the purge and the removal of its request.
    let store = open(folder.path(), "1MiB");
    store.arrive(4, 1);
    assert_eq!(store.letters.purge(&request).unwrap(), 0);
    assert_eq!(store.ids(), [3, 4]);
}

#[test]
fn letters_that_came_after_a_request_in_the_same_file_are_not_meant() {
    for action in [Action::Purge, Action::Replay] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), "1MiB");
        store.arrive(1, 2);
        store.reject(5);
        let request = Request::new(folder.path(), action, None).unwrap();
        store.arrive(3, 1);
        store.reject(6);
        match action {
            Action::Purge => assert_eq!(store.letters.purge(&request).unwrap(), 3),
            Action::Replay => assert_eq!(store.take_all_out(&request), 3),
        }
        assert_eq!(store.ids(), [3, 6], "{action:?}");
    }
}

#[test]
fn requests_mean_the_same_letters_whatever_was_taken_out_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(1, 2);
    let ask = || {
        let request = Request::new(folder.path(), Action::Purge, None).unwrap();
        request.submit(folder.path()).unwrap();
    };
    ask();
    store.arrive(3, 1);
    ask();
    store.arrive(4, 4);
    let first = store.letters.next_request(&[]).unwrap().unwrap();
    assert_eq!(store.letters.purge(&first.request.unwrap()).unwrap(), 2);
    drop(store);
    // As after a crash between the purge and the removal of its request.
    let store = open(folder.path(), "1MiB");
    store.arrive(8, 1);
    let again = store.letters.next_request(&[]).unwrap().unwrap();
    assert_eq!(again.path, first.path);
    assert_eq!(store.letters.purge(&again.request.unwrap()).unwrap(), 0);
    let second = store.letters.next_request(&[first.path]).unwrap().unwrap();
    assert_eq!(store.letters.purge(&second.request.unwrap()).unwrap(), 1);
    assert_eq!(store.ids(), [4, 5, 6, 7, 8]);
}

#[test]
fn a_purge_beside_a_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(1, 2);
    let request = Request::new(folder.path(), Action::Purge, None).unwrap();
    let refused = purge(folder.path(), &request).unwrap_err();
    assert!(matches!(
        refused,
        PurgeError::Open(OpenError::Locked { .. })
    ));
    drop(store);
    assert_eq!(purge(folder.path(), &request).unwrap(), 2);
    assert!(ids(folder.path()).is_empty());
}

#[test]
fn letters_are_read_in_bounded_pieces_and_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.arrive(1, 5);
    let request = Request::new(folder.path(), Action::Replay, None).unwrap();
    let file = store.letters.files(&request).unwrap()[0];
    // Later letters are not in that file.
    store.arrive(6, 1);
    for (max_letters, max_bytes, first) in [(2, 1 << 20, 2), (100, 1, 1), (100, 1 << 20, 5)] {
        let limits = ReadLimits {
            max_letters,
            max_bytes,
        };
        let (mut from, mut sizes) = (0, Vec::new());
        loop {
            let batch = store.letters.read(file, from, &request, limits).unwrap();
            assert_eq!(batch.events.len(), batch.places.letters());
            if batch.events.is_empty() {
                break;
            }
            sizes.push(batch.events.len());
            from = batch.end;
        }
        assert_eq!((sizes[0], sizes.iter().sum::<usize>()), (first, 5));
    }
    let limits = ReadLimits {
        max_letters: 2,
        max_bytes: 1 << 20,
    };
    let batch = store.letters.read(file, 0, &request, limits).unwrap();
    store.letters.take_out(file, &batch.places).unwrap();
    assert_eq!(batch.end, batch.places.bytes());
    assert_eq!(store.ids(), [3, 4, 5, 6]);
}

#[test]
fn a_folder_that_was_removed_is_still_ours() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("letters");
    let store = open(&folder, "1MiB");
    store.arrive(7, 1);
    fs::remove_dir_all(&folder).unwrap();
    store.arrive(8, 1);
    let request = Request::new(&folder, Action::Purge, None).unwrap();
    assert!(matches!(
        purge(&folder, &request),
        Err(PurgeError::Open(OpenError::Locked { .. }))
    ));
    assert_eq!(store.ids(), [8]);
}
