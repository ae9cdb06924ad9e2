//! The disk itself: what a sync keeps, and that everything else is at risk.

use super::{EIO, ENOSPC, EROFS, SimDisk, Step};
use std::collections::BTreeSet;
use std::path::Path;
use twinpact_store::vfs::Vfs;

const SEEDS: u64 = 300;

fn at(name: &str) -> std::path::PathBuf {
    Path::new("/disk").join(name)
}

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(seed, Path::new("/disk"))
}

/// What a file holds after power went, over many seeds; `None` when it is not there.
fn outcomes(work: impl Fn(&SimDisk)) -> BTreeSet<Option<Vec<u8>>> {
    let outcome = |seed| {
        let disk = disk(seed);
        work(&disk);
        disk.power_cycle();
        disk.read(&at("file")).ok()
    };
    (0..SEEDS).map(outcome).collect()
}

#[test]
fn what_is_synced_with_its_name_stays() {
    let kept = outcomes(|disk| {
        let mut file = disk.create(&at("file")).unwrap();
        file.append(b"abc").unwrap();
        file.sync().unwrap();
        disk.sync_dir(&at("")).unwrap();
    });
    assert_eq!(kept, [Some(b"abc".to_vec())].into());
    let replaced = outcomes(|disk| {
        disk.replace(&at("file"), b"old").unwrap();
        disk.replace(&at("file"), b"newer").unwrap();
    });
    assert_eq!(replaced, [Some(b"newer".to_vec())].into());
}

#[test]
fn what_is_not_synced_is_lost_torn_or_there() {
    let name = outcomes(|disk| {
        let mut file = disk.create(&at("file")).unwrap();
        file.append(b"abc").unwrap();
        file.sync().unwrap();
    });
    assert_eq!(name, [None, Some(b"abc".to_vec())].into(), "a name needs its directory");
    let bytes = outcomes(|disk| {
        let mut file = disk.create(&at("file")).unwrap();
        disk.sync_dir(&at("")).unwrap();
        file.append(b"ab").unwrap();
        file.append(b"cd").unwrap();
    });
    let expect = ["", "a", "ab", "abc", "abcd", "\0\0c", "\0\0cd", "a\0cd"];
    for text in expect {
        assert!(bytes.contains(&Some(text.as_bytes().to_vec())), "{text:?} in {bytes:?}");
    }
    let sectors = outcomes(|disk| {
        let mut file = disk.create(&at("file")).unwrap();
        disk.sync_dir(&at("")).unwrap();
        file.append(&[7; 1024]).unwrap();
    });
    let second = [[0; 512], [7; 512]].concat();
    assert!(sectors.contains(&Some(second)), "the second sector alone");
    let renamed = outcomes(|disk| {
        disk.replace(&at("file"), b"old").unwrap();
        disk.replace(&at("other"), b"new").unwrap();
        disk.rename(&at("other"), &at("file")).unwrap();
    });
    assert_eq!(renamed, [Some(b"old".to_vec()), Some(b"new".to_vec())].into());
}

/// Even when it changes nothing: whoever writes over the only copy may lose it.
#[test]
fn what_is_written_over_and_not_synced_is_old_new_or_garbage() {
    let over = |bytes: [u8; 600]| {
        outcomes(move |disk| {
            disk.replace(&at("file"), &[7; 1200]).unwrap();
            disk.open(&at("file")).unwrap().write_at(300, &bytes).unwrap();
        })
    };
    let (same, other) = (over([7; 600]), over([8; 600]));
    for bytes in same.iter().chain(&other).map(|bytes| bytes.as_ref().unwrap()) {
        let beside = [&bytes[..300], &bytes[900..]].concat();
        assert_eq!((bytes.len(), beside), (1200, vec![7; 600]), "beside the write");
    }
    let all = |bytes: &[u8], byte: u8| bytes.iter().all(|b| *b == byte);
    let sectors = |bytes: &Option<Vec<u8>>| {
        [300..512, 512..900].map(|part| bytes.as_ref().map(|bytes| bytes[part].to_vec()).unwrap())
    };
    let has = |kept: &BTreeSet<Option<Vec<u8>>>, first: &dyn Fn(&[u8]) -> bool, second: u8| {
        kept.iter().map(sectors).any(|[one, two]| first(&one) && all(&two, second))
    };
    let garbage = |bytes: &[u8]| !all(bytes, 7) && !all(bytes, 8);
    assert!(has(&same, &|one| all(one, 7), 7) && has(&same, &garbage, 7));
    for (first, second) in [(7, 7), (7, 8), (8, 7), (8, 8)] {
        assert!(has(&other, &|one| all(one, first), second), "{first} {second}");
    }
}

#[test]
fn after_a_failed_sync_pages_are_clean_and_may_be_lost() {
    let kept = outcomes(|disk| {
        let mut file = disk.create(&at("file")).unwrap();
        disk.sync_dir(&at("")).unwrap();
        file.append(b"abc").unwrap();
        disk.fail(Some(Step::Sync), 0, EIO, false);
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
        assert_eq!(file.read_at(0, 3).unwrap(), b"abc");
        file.sync().unwrap();
    });
    assert!(kept.contains(&Some(Vec::new())) && kept.contains(&Some(b"abc".to_vec())));
}

#[test]
fn one_seed_is_one_outcome() {
    let run = |seed| {
        let disk = disk(seed);
        for name in ["file", "b", "c"] {
            let mut file = disk.create(&at(name)).unwrap();
            file.append(&[1; 3000]).unwrap();
        }
        disk.power_cycle();
        disk.files()
    };
    assert!((0..50).all(|seed| run(seed) == run(seed)));
    assert!((0..50).any(|seed| run(seed) != run(seed + 1)));
}

#[test]
fn steps_fail_as_planned() {
    let disk = disk(1);
    let mut file = disk.create(&at("file")).unwrap();
    let errno = |r: std::io::Result<()>| r.err().and_then(|e| e.raw_os_error());
    disk.fail(Some(Step::Write), 1, ENOSPC, true);
    assert_eq!(errno(file.append(b"a")), None);
    assert_eq!((errno(file.append(b"b")), errno(file.append(b"c"))), (Some(ENOSPC), Some(ENOSPC)));
    assert_eq!(errno(file.sync()), None);
    disk.fail(None, 0, EROFS, true);
    assert_eq!(errno(disk.remove(&at("file"))), Some(EROFS));
    assert_eq!(errno(disk.make_dir(&at("dir"))), Some(EROFS));
    disk.mend();
    disk.cut_after(1);
    assert!(file.append(b"d").is_ok() && !disk.is_off());
    assert!(file.sync().is_err() && disk.is_off() && file.length().is_err());
    disk.power_cycle();
    assert!(file.length().is_err(), "a handle from before the cut");
}

#[test]
fn a_lock_is_held_by_one_and_goes_with_the_program() {
    let disk = disk(1);
    let held = disk.lock(&at("lock")).unwrap();
    assert!(disk.lock(&at("lock")).is_err());
    disk.kill();
    let next = disk.lock(&at("lock")).unwrap();
    // What the program that is gone held does not let go of the lock of its successor.
    drop(held);
    assert!(disk.lock(&at("lock")).is_err());
    drop(next);
    assert!(disk.lock(&at("lock")).is_ok());
}

#[test]
fn rot_changes_durable_bytes() {
    let disk = disk(1);
    disk.replace(&at("file"), b"abc").unwrap();
    disk.rot(&at("file"), 1, 0x01);
    disk.power_cycle();
    assert_eq!(disk.read(&at("file")).unwrap(), b"acc");
}
