//! A disk that is full refuses, and is never in the way of what makes room again.

use seglog::Folder;
use seglog::testing::MemoryFolder;

use crate::support::{append, open, read_open};

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[1; 200]).unwrap();
    folder.limit_to(Some(1500));
    let mut taken = 1;
    while append(&mut opened.log, 1, &[2; 200]).is_ok() {
        taken += 1;
    }
    assert!(taken >= 3);
    opened.log.sync().unwrap();
    folder.limit_to(None);
    append(&mut opened.log, 1, &[3; 200]).unwrap();
    opened.log.sync().unwrap();
    assert_eq!(read_open(&folder, &opened).0.len(), taken + 1);
}

#[test]
fn a_log_without_its_lock_is_opened_on_a_full_disk() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[1; 200]).unwrap();
    opened.log.sync().unwrap();
    folder.kill();
    folder.remove("lock").unwrap();
    folder.limit_to(Some(folder.bytes()));
    let opened = open(&folder);
    assert_eq!(read_open(&folder, &opened).0.len(), 1);
}
