//! Letters that are being sent again: their file makes no room for others meanwhile, and what is still to be cut off it is not
//! sent.

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

#[test]
fn what_could_not_be_cut_off_for_want_of_room_is_neither_sent_nor_purged_and_kept_once() {
    let all = [None, Some([1, 2].into())];
    let actions = [Action::Replay, Action::Purge].into_iter();
    for (action, ids) in actions.flat_map(|action| all.clone().map(|ids| (action, ids))) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), "1MiB");
        store.arrive(1, 1);
        let shelf = folder.path().join(ShelfKind::Arrival.folder_name());
        let file = files::path(&shelf, files::list(&shelf).unwrap()[0].number);
        let letter = fs::read_to_string(&file).unwrap();
        store.letters.shelves.use_up_quota(ShelfKind::Arrival);
        // The whole of a letter was written, and could not be synced.
        fs::write(&file, letter.clone() + &letter.replace("\"1\"", "\"2\"")).unwrap();
        assert!(store.letters.keep_arrived(&[arrived(2, 1)]).is_err());
        let request = Request::new(folder.path(), action, ids).unwrap();
        match action {
            Action::Purge => assert_eq!(store.letters.purge(&request).unwrap(), 1),
            Action::Replay => assert_eq!(store.take_all_out(&request), 1),
        }
        store.letters.shelves.raise_quota(ShelfKind::Arrival);
        store.arrive(2, 1);
        assert_eq!(store.ids(), [2], "{action:?}");
    }
}
