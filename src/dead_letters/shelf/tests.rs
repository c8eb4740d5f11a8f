//! Tests of a shelf: its quota, its files, and what others do to them.

use super::*;

fn text(folder: &Path) -> String {
    list(folder)
        .unwrap()
        .iter()
        .map(|file| fs::read_to_string(path(folder, file.number)).unwrap())
        .collect()
}

#[test]
fn the_oldest_letters_make_room_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().join("arrival"), 160);
    let mut dropped = 0;
    for number in 100..200 {
        dropped += shelf
            .append(format!("letter {number}\n").as_bytes())
            .unwrap();
    }
    let kept = text(&folder.path().join("arrival"));
    let fills_the_quota = 160 - 160 / FILES as usize..=160;
    assert!(fills_the_quota.contains(&kept.len()), "{}", kept.len());
    assert!(kept.ends_with("letter 198\nletter 199\n"));
    assert_eq!(dropped as usize + kept.lines().count(), 100);
}

/// A shelf of a file in which something failed that cannot be cut off for want of room, and the file.
fn uncut(folder: &Path) -> (Shelf, PathBuf) {
    let mut shelf = Shelf::new(folder.into(), 1600);
    shelf.append(b"one\n").unwrap();
    let path = path(folder, list(folder).unwrap()[0].number);
    fs::write(&path, "one\ntwo\nthr").unwrap();
    shelf.use_up_quota();
    for _ in 0..3 {
        assert!(shelf.append(b"two\nthree\n").is_err());
    }
    (shelf, path)
}

#[test]
fn a_file_that_was_removed_needs_no_cut_and_gives_back_its_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut shelf, path) = uncut(folder.path());
    fs::remove_file(path).unwrap();
    shelf.append(b"two\nthree\n").unwrap();
    assert!(shelf.uncut.is_none());
    assert_eq!(text(folder.path()), "two\nthree\n");
}

#[test]
fn what_failed_and_cannot_be_cut_off_for_want_of_room_is_before_the_next_letter() {
    let folder = tempfile::tempdir().unwrap();
    let (mut shelf, _) = uncut(folder.path());
    shelf.raise_quota();
    shelf.append(b"two\nthree\n").unwrap();
    assert_eq!(text(folder.path()), "one\ntwo\nthree\n");
}

#[test]
fn a_file_that_cannot_be_read_makes_room_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let unreadable = path(folder.path(), 1);
    // A loop of links cannot be opened, whoever asks.
    std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 20);
    for (letter, dropped) in [("one one one\n", 0), ("two two two\n", 1)] {
        assert_eq!(shelf.append(letter.as_bytes()).unwrap(), dropped);
    }
    assert!(fs::symlink_metadata(unreadable).is_err());
    assert_eq!(text(folder.path()), "two two two\n");
}

#[test]
fn a_new_start_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    for letter in ["one\n", "two\n"] {
        let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
        shelf.append(letter.as_bytes()).unwrap();
    }
    assert_eq!(text(folder.path()), "one\ntwo\n");
    assert_eq!(list(folder.path()).unwrap().len(), 2);
}

#[test]
fn a_folder_that_cannot_be_synced_gets_no_empty_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
    shelf.fail_syncs(true);
    for _ in 0..3 {
        let failed = shelf.append(b"one\n").unwrap_err();
        assert!(failed.to_string().ends_with("not synced"), "{failed}");
        assert!(list(folder.path()).unwrap().is_empty());
    }
    shelf.fail_syncs(false);
    shelf.append(b"one\n").unwrap();
    assert_eq!(text(folder.path()), "one\n");
}

#[test]
fn a_file_that_was_moved_away_takes_no_more_letters() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
    shelf.append(b"one\n").unwrap();
    let number = list(folder.path()).unwrap()[0].number;
    let moved = path(elsewhere.path(), number);
    fs::rename(path(folder.path(), number), &moved).unwrap();
    shelf.append(b"two\n").unwrap();
    assert_eq!(text(folder.path()), "two\n");
    assert_eq!(fs::read_to_string(moved).unwrap(), "one\n");
}

#[test]
fn a_file_that_another_one_took_the_place_of_takes_no_more_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
    shelf.append(b"one\n").unwrap();
    // As an editor does, and `sed -i`.
    let edited = folder.path().join("edited");
    fs::write(&edited, "edited\n").unwrap();
    let number = list(folder.path()).unwrap()[0].number;
    fs::rename(edited, path(folder.path(), number)).unwrap();
    shelf.append(b"two\n").unwrap();
    assert_eq!(text(folder.path()), "edited\ntwo\n");
}

#[test]
fn numbers_grow_when_every_file_before_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
    let mut last = 0;
    for _ in 0..3 {
        shelf.append(b"letter\n").unwrap();
        let files = list(folder.path()).unwrap();
        assert!(files.len() == 1 && files[0].number > last, "{files:?}");
        last = files[0].number;
        shelf.close();
        assert_eq!(shelf.remove(last).unwrap(), 1);
    }
}

#[test]
fn letters_that_made_room_are_not_taken_out_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 20);
    shelf.append(b"one one one\n").unwrap();
    let number = list(folder.path()).unwrap()[0].number;
    let mut chosen = LetterRanges::default();
    chosen.push(0..12);
    assert_eq!(shelf.append(b"two two two\n").unwrap(), 1);
    assert_eq!(shelf.take_out(number, &chosen).unwrap(), 0);
}

#[test]
fn letters_that_were_taken_out_count_no_more_in_the_quota() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path().into(), 1600);
    let long = "x".repeat(790) + "\n";
    shelf
        .append([&long[..], &long].concat().as_bytes())
        .unwrap();
    shelf.close();
    let number = list(folder.path()).unwrap()[0].number;
    shelf.append(b"new\n").unwrap();
    let mut first = LetterRanges::default();
    first.push(0..long.len() as u64);
    shelf.take_out(number, &first).unwrap();
    let newer = "y".repeat(50) + "\n";
    assert_eq!(shelf.append(newer.as_bytes()).unwrap(), 0);
    assert_eq!(text(folder.path()), [&long, "new\n", &newer].concat());
    shelf.remove(number).unwrap();
    assert_eq!(shelf.append(newer.as_bytes()).unwrap(), 0);
}
