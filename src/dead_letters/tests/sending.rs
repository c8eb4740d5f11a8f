//! A file whose letters are being sent again makes no room for others meanwhile.

use super::*;

#[test]
fn a_file_that_was_being_sent_makes_room_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "4KiB");
    store.reject(1);
    let request = Request::new(folder.path(), Action::Replay, None).unwrap();
    let file = store.letters.files(&request).unwrap()[0];
    let fill = |positions: std::ops::Range<_>| positions.for_each(|one| store.reject(one));
    store.letters.begin_sending(file);
    fill(100..200);
    assert!(store.ids().contains(&1));
    store.letters.end_sending(file);
    fill(200..300);
    assert!(!store.ids().contains(&1));
}
