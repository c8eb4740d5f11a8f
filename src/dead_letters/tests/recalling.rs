//! After a crash events come again whose letters were written: which are known, and which are written a second time.

use super::*;

/// As after a crash of which nothing is known: everything may come again.
fn reopen(folder: &Path) -> Store {
    let store = open(folder, "1MiB");
    let recalled = store.letters.recall(SystemTime::UNIX_EPOCH, |_| true);
    recalled.unwrap();
    store
}

#[test]
fn what_comes_again_after_a_crash_is_counted_and_not_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let before = open(folder.path(), "1MiB");
    before.arrive(10, 3);
    before.reject(20);
    before.reject(21);
    drop(before);

    let store = open(folder.path(), "1MiB");
    let start = SystemTime::now();
    let is_open = |id| id != 10 && id != 21;
    store.letters.recall(start, is_open).unwrap();
    // 10 and 21 are told to be done, so what has their ids now is something else.
    store.arrive(10, 4);
    store.reject(20);
    store.reject(21);
    assert_eq!(store.ids(), [10, 11, 12, 10, 13, 20, 21, 21]);
    assert_eq!(store.dead_lettered(), 6, "this run's books count them");
    // Once they have come they are forgotten.
    store.arrive(12, 1);
    store.reject(20);
    assert_eq!(store.ids(), [10, 11, 12, 10, 13, 12, 20, 21, 21, 20]);
}

#[test]
fn only_files_that_were_written_since_are_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "1MiB");
    store.reject(5);
    let later = SystemTime::now() + 2 * CLOCK_SLACK;
    let nothing = |id| panic!("{id} is not recent");
    store.letters.recall(later, nothing).unwrap();
    store.reject(5);
    assert_eq!(store.ids(), [5, 5]);
}

#[test]
fn a_file_that_cannot_be_read_costs_no_start_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), "1MiB").reject(5);
    let shelf = folder.path().join(ShelfKind::Broker.folder_name());
    // A loop of links cannot be opened, whoever asks.
    let unreadable = files::path(&shelf, 1);
    std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
    let store = reopen(folder.path());
    store.reject(5);
    fs::remove_file(unreadable).unwrap();
    assert_eq!(store.ids(), [5]);
}

#[test]
fn a_letter_that_a_crash_tore_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), "1MiB").reject(5);
    let shelf = folder.path().join(ShelfKind::Broker.folder_name());
    let file = files::path(&shelf, files::list(&shelf).unwrap()[0].number);
    for torn in [2, 20] {
        let text = fs::read(&file).unwrap();
        fs::write(&file, &text[..text.len() - torn]).unwrap();
        let store = reopen(folder.path());
        store.reject(5);
        assert_eq!(store.ids(), [5], "without the last {torn} bytes");
        store.purge(Some([5].into()));
    }
}
