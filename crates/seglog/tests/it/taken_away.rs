//! Somebody removes or replaces the files of a log that is open.

use seglog::testing::MemoryFolder;
use seglog::{Folder, Mode};

use crate::support::{append, open, payload, try_append};

#[test]
fn a_log_whose_files_were_taken_away_takes_nothing_more() {
    for (name, is_made_anew) in [
        ("lock", false),
        ("lock", true),
        ("00000000000000000001.seg", false),
        ("00000000000000000001.seg", true),
    ] {
        let folder = MemoryFolder::default();
        let mut opened = open(&folder);
        opened.log.check_place().unwrap();
        append(&mut opened.log, 1, &payload(0, 100)).unwrap();
        opened.log.sync().unwrap();
        opened.log.check_place().unwrap();
        folder.remove(name).unwrap();
        if is_made_anew {
            folder.open(name, Mode::Create).unwrap();
        }
        let failed = opened.log.check_place().unwrap_err();
        assert!(failed.path.ends_with(name), "{failed}");
        assert!(opened.log.append(&[]).is_err(), "{name}");
        assert!(opened.log.sync().is_err(), "{name}");
    }
}

#[test]
fn a_file_that_still_has_a_name_is_not_taken_away_whatever_number_its_name_leads_to() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    folder.rename("lock", "elsewhere").unwrap();
    folder.open("lock", Mode::Create).unwrap();
    opened.log.check_place().unwrap();
}

#[test]
fn what_lies_on_a_disk_that_was_mounted_over_the_folder_is_not_touched() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &payload(0, 100)).unwrap();
    opened.log.sync().unwrap();
    folder.mount_another();
    let before = folder.list().unwrap();
    // It fits into no segment but a new one.
    assert!(try_append(&mut opened.log, &[(1, &payload(1, 900))]).is_err());
    assert!(opened.log.check_place().is_err());
    assert_eq!(folder.list().unwrap(), before);
}
