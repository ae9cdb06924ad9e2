//! A store on a real disk: what is committed comes back, and what is harmed is named.

use super::{Draft, ItemPoint, Opened, Store, Subject};
use crate::directory::{CONFIG_FILE, Directory};
use crate::forest::{EVENTS, LOCAL};
use crate::frame::{ENTRY_BYTES, FRAME_BYTES, MAX_TREES, MAX_TURN_BYTES};
use crate::log::without_room;
use crate::vfs::RealDisk;
use std::path::Path;
use std::sync::Arc;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp};

const SECRET: &str = "canary-0123456789-abcdef";

fn did() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

fn draft(tree: u32, n: u64) -> Draft {
    Draft {
        tree,
        subject: Subject::Twin("urn:turbine:R80711".into()),
        class: "operational".into(),
        day: 3,
        entry: Entry {
            who: Who {
                kind: Kind::FactsSet,
                twin: "urn:turbine:R80711".into(),
                twin_seq: n,
                actor: "local".into(),
            },
            when: When::default(),
            why: Why::default(),
            what: vec![Attribute::new("note", "string", SECRET)],
        },
        items: None,
    }
}

fn append(store: &mut Store, drafts: Vec<Draft>) -> Result<Vec<Opened>, Problem> {
    let committed = store.stage(drafts)?;
    store.commit(Some(now()), now())?;
    Ok(committed)
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_000)
}

fn create(path: &Path) -> Store {
    let directory = Directory::create(Arc::new(RealDisk), path).unwrap();
    std::fs::write(path.join(CONFIG_FILE), "").unwrap();
    Store::create(directory, &did(), now()).unwrap()
}

fn reopen(path: &Path) -> Result<(Store, Vec<Opened>, bool), Problem> {
    let directory = Directory::open(Arc::new(RealDisk), path)?;
    let mut entries = Vec::new();
    let (store, cut) = Store::open(directory, &did(), |_, e| {
        entries.push(e);
        Ok(())
    })?;
    Ok((store, entries, cut.is_some()))
}

#[test]
fn what_was_committed_comes_back_equal() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    store.close_segments_at(6_000);
    let mut committed = Vec::new();
    for n in 0..40 {
        let mut second = draft(EVENTS, n);
        second.items = Some(vec![ItemPoint {
            time: "t".into(),
            datatype: "row".into(),
            lexical: format!("{n}"),
        }]);
        let drafts = vec![draft(LOCAL, n), second];
        committed.extend(append(&mut store, drafts).unwrap());
    }
    let state = store.forest().state();
    drop(store);
    let (store, replayed, cut) = reopen(dir.path()).unwrap();
    assert!(!cut && store.directory().log().join("0000000003.seg").exists());
    assert_eq!(replayed, committed);
    assert_eq!(store.forest().state(), state);
    assert_eq!(store.entry(EVENTS, 7).unwrap(), committed[15]);
    assert!(store.entry(EVENTS, 40).is_err());
    assert!(replayed[1].entry.get("items").unwrap().starts_with("1:"));
}

#[test]
fn nothing_ingested_is_readable_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    append(&mut store, vec![draft(EVENTS, 1), draft(LOCAL, 2)]).unwrap();
    for part in ["log", "keys"] {
        for file in std::fs::read_dir(dir.path().join(part)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for canary in [SECRET.as_bytes(), b"R80711", b"operational"] {
                assert!(!bytes.windows(canary.len()).any(|w| w == canary));
            }
        }
    }
}

#[test]
fn too_large_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    let mut big = draft(EVENTS, 1);
    big.entry.what = (0..30).map(|i| Attribute::new(format!("a{i}"), "x", "1")).collect();
    let refused = append(&mut store, vec![draft(EVENTS, 1), big]).unwrap_err();
    assert_eq!(refused.code.name, "input.too_large");
    append(&mut store, vec![draft(EVENTS, 1)]).unwrap();
    drop(store);
    assert_eq!(reopen(dir.path()).unwrap().1.len(), 1);
}

/// A draft that takes exactly so many bytes in a frame, found from what a smaller one takes.
fn sized(store: &mut Store, bytes: usize) -> Draft {
    let of = |length: usize| {
        let mut one = draft(LOCAL, 1);
        one.entry.what = vec![Attribute::new("note", "string", "x".repeat(length))];
        one
    };
    let sealed = store.seal_draft(&mut of(1 << 20), &[7; 32], &mut None).unwrap();
    let rest = sealed.sealed.len() + ENTRY_BYTES - (1 << 20);
    of(bytes - rest)
}

#[test]
fn a_turn_has_a_bound_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    let largest = sized(&mut store, MAX_TURN_BYTES);
    let larger = sized(&mut store, MAX_TURN_BYTES + 1);
    let nearly = sized(&mut store, FRAME_BYTES - 1);
    let small = sized(&mut store, FRAME_BYTES);
    let refused = |store: &mut Store, draft: &Draft| {
        store.stage(vec![draft.clone()]).err().map(|p| p.code.name)
    };
    // Just above it, when nothing is staged and when others have staged.
    assert_eq!(refused(&mut store, &larger), Some("input.too_large"));
    assert_eq!(refused(&mut store, &nearly), None);
    assert_eq!(refused(&mut store, &larger), Some("input.too_large"));
    assert!(!store.is_full());
    // Just at it, however much others have staged before the frame is full.
    assert_eq!(refused(&mut store, &largest), None);
    assert!(store.is_full());
    assert_eq!(refused(&mut store, &draft(LOCAL, 1)), Some("internal"));
    store.commit(Some(now()), now()).unwrap();
    assert_eq!(refused(&mut store, &small), None);
    assert!(store.is_full());
    store.commit(Some(now()), now()).unwrap();
    drop(store);
    let lengths = |entries: Vec<Opened>| -> Vec<usize> {
        entries.iter().map(|e| e.entry.get("note").unwrap().len()).collect()
    };
    let staged = [&nearly, &largest, &small].map(|d| d.entry.get("note").unwrap().len());
    assert_eq!(lengths(reopen(dir.path()).unwrap().1), staged);
}

#[test]
fn what_is_durable_is_under_no_tick_until_that_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    append(&mut store, vec![draft(EVENTS, 0)]).unwrap();
    store.stage(vec![draft(EVENTS, 1)]).unwrap();
    let tick = store.commit_frame(Some(now()), now()).unwrap().unwrap();
    let proven = |store: &Store| store.forest().prove(EVENTS, 1, tick.number).is_some();
    assert_eq!(store.entry(EVENTS, 1).unwrap().entry.who.twin_seq, 1);
    assert!(!proven(&store) && store.forest().tick_of(EVENTS, 1).is_none());
    assert_eq!((store.forest().covered(EVENTS), store.forest().size(EVENTS)), (1, 2));
    assert_eq!(store.stage(vec![draft(EVENTS, 2)]).unwrap_err().code.name, "internal");
    assert_eq!(store.commit_frame(Some(now()), now()).unwrap_err().code.name, "internal");
    // After a stop in between the frame says it.
    let (copy, root) = (tempfile::tempdir().unwrap(), |store: &Store| {
        store.forest().checkpoint("x", tick.number).map(|checkpoint| checkpoint.root)
    });
    copied(dir.path(), copy.path());
    let slots = store.forest().next_slots();
    assert_eq!(store.finish_tick(tick, slots.clone()).unwrap(), tick.number);
    assert!(proven(&store) && root(&store).is_some());
    assert_eq!(root(&reopen(copy.path()).unwrap().0), root(&store));
    append(&mut store, vec![draft(EVENTS, 2)]).unwrap();
    // A tick that no frame says is never made.
    assert_eq!(store.finish_tick(tick, slots).unwrap_err().code.name, "internal");
    assert_eq!(store.check().unwrap_err().code.name, "store.stopped");
}

fn copied(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => {
                std::fs::create_dir(&place).unwrap();
                copied(&file.path(), &place);
            }
            false => drop(std::fs::copy(file.path(), place).unwrap()),
        }
    }
}

#[test]
fn a_tree_opens_with_its_entries_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    let opens = store.new_tree().unwrap();
    let large = vec![draft(opens.tree, 1); MAX_TURN_BYTES / ENTRY_BYTES + 1];
    let refused = store.stage_opening(Some(opens), large).map_err(|p| p.code.name);
    assert_eq!(refused, Err("input.too_large"));
    assert_eq!(store.new_tree().unwrap().tree, opens.tree);
    assert!(!store.has_staged());
}

#[test]
fn trees_have_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    while store.forest().next_tree() <= MAX_TREES {
        let opens = store.new_tree().unwrap();
        store.stage_opening(Some(opens), Vec::new()).unwrap();
    }
    assert_eq!(store.new_tree().map_err(|p| p.code.name), Err("input.too_large"));
    append(&mut store, vec![draft(MAX_TREES, 1)]).unwrap();
    drop(store);
    assert_eq!(reopen(dir.path()).unwrap().1.len(), 1);
}

/// Every way to harm the last segment ends in a cut that loses only what was never whole, or in
/// a code that names the damage.
#[test]
fn a_torn_tail_is_cut_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    for n in 0..3 {
        append(&mut store, vec![draft(EVENTS, n)]).unwrap();
    }
    drop(store);
    let path = dir.path().join("log/0000000001.seg");
    let good = without_room(&path);
    let starts: Vec<usize> =
        (4096..good.len()).filter(|at| good[*at..].starts_with(b"TwFr")).collect();
    let [.., second, third] = starts[..] else { panic!("{starts:?}") };
    for length in third..good.len() {
        std::fs::write(&path, &good[..length]).unwrap();
        let (_, entries, cut) = reopen(dir.path()).unwrap();
        assert_eq!((entries.len(), cut), (2, length > third), "cut at {length}");
    }
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        match reopen(dir.path()) {
            Ok((_, entries, cut)) => {
                assert!(at >= third && cut && entries.len() == 2, "flip at {at}");
            }
            Err(problem) => {
                assert!(at < third, "flip at {at}: {problem}");
                assert_eq!(problem.code.name, "store.damaged", "flip at {at}");
                assert_eq!(std::fs::read(&path).unwrap(), bad, "damage changed the disk");
            }
        }
    }
    std::fs::write(&path, &good[..second]).unwrap();
    assert_eq!(reopen(dir.path()).unwrap().1.len(), 1);
}

#[test]
fn another_nodes_log_or_keys_are_refused() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&a, &b] {
        append(&mut create(dir.path()), vec![draft(EVENTS, 1)]).unwrap();
    }
    for file in ["keys/keystore", "keys/kek"] {
        std::fs::copy(b.path().join(file), a.path().join(file)).unwrap();
    }
    assert_eq!(reopen(a.path()).err().map(|p| p.code.name), Some("store.foreign"));
}

/// Everything that can still be read in a directory, as one text.
fn readable(path: &Path) -> String {
    reopen(path).unwrap().1.iter().map(|entry| format!("{:?}\n", entry.entry)).collect()
}

fn of(twin: &str, note: &str) -> Draft {
    let mut one = draft(EVENTS, 1);
    one.subject = Subject::Twin(twin.into());
    one.entry.what = vec![Attribute::new("note", "string", note)];
    one
}

/// What destroys the key of that twin.
fn destroying(store: &Store, twin: &str) -> Draft {
    let key = store.subject_key(&Subject::Twin(twin.into())).unwrap();
    let mut one = draft(EVENTS, 1);
    (one.subject, one.class) = (Subject::Node, "control".into());
    one.entry.what = vec![crate::destroy::attribute(&[key])];
    one
}

#[test]
fn what_a_key_sealed_goes_with_it_and_everything_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    store.close_segments_at(6_000);
    for n in 0..40 {
        let notes = [format!("mine {n}"), format!("theirs {n}")];
        append(&mut store, vec![of("urn:a", &notes[0]), of("urn:b", &notes[1])]).unwrap();
    }
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let (old_kek, lengths) = (bytes("keys/kek"), segments(dir.path()));
    let order = destroying(&store, "urn:a");
    let last = append(&mut store, vec![order]).unwrap();
    let (state, number) = (store.forest().state(), store.keys.all(|_| true));
    assert_ne!(bytes("keys/kek"), old_kek);
    let without = segments(dir.path());
    assert!(lengths.iter().all(|(name, length)| without[name] >= *length) && lengths.len() > 2);
    assert_eq!(store.entry(EVENTS, 0).map_err(|p| p.code.name), Err("twin.erased"));
    assert_eq!(store.entry(EVENTS, 1).unwrap().entry.get("note"), Some("theirs 0"));
    assert_eq!(store.entry(EVENTS, 80).unwrap(), last[0]);
    drop(store);
    let text = readable(dir.path());
    assert!(!text.contains("mine") && text.matches("theirs").count() == 40);
    let (mut store, ..) = reopen(dir.path()).unwrap();
    assert_eq!((store.forest().state(), store.keys.all(|_| true)), (state, number.clone()));
    // A key to come has a number of its own: the old payloads would else be tried under it.
    append(&mut store, vec![of("urn:a", "again")]).unwrap();
    let new = store.subject_key(&Subject::Twin("urn:a".into())).unwrap();
    assert!(new > *number.last().unwrap());
    drop(store);
    assert_eq!(readable(dir.path()).matches("again").count(), 1);
}

/// The length of every segment.
fn segments(path: &Path) -> std::collections::BTreeMap<String, u64> {
    let files = std::fs::read_dir(path.join("log")).unwrap().map(Result::unwrap);
    files
        .map(|f| (f.file_name().to_string_lossy().into_owned(), f.metadata().unwrap().len()))
        .collect()
}

#[test]
fn a_key_that_is_missing_and_was_not_destroyed_is_no_erasure() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    append(&mut store, vec![of("urn:a", "x"), of("urn:b", "y")]).unwrap();
    let [a, b] =
        ["urn:a", "urn:b"].map(|twin| store.subject_key(&Subject::Twin(twin.into())).unwrap());
    let order = destroying(&store, "urn:a");
    append(&mut store, vec![order]).unwrap();
    assert!(store.keys.get(a).is_none());
    let keys = dir.path().join("keys");
    store.keys.destroy(&RealDisk, &keys, &[b].into()).unwrap();
    drop(store);
    assert_eq!(reopen(dir.path()).err().map(|p| p.code.name), Some("store.foreign"));
}

#[test]
fn what_the_log_is_read_with_is_never_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path());
    append(&mut store, vec![of("urn:a", "x")]).unwrap();
    let mut one = destroying(&store, "urn:a");
    for key in store.keys.all(|meaning| !meaning.is_mortal()).into_iter().chain([99]) {
        one.entry.what = vec![crate::destroy::attribute(&[key])];
        assert_eq!(append(&mut store, vec![one.clone()]).map_err(|p| p.code.name), Err("internal"));
    }
    // Nor does an entry destroy itself.
    let mut own = destroying(&store, "urn:a");
    own.subject = Subject::Twin("urn:a".into());
    assert_eq!(append(&mut store, vec![own]).map_err(|p| p.code.name), Err("internal"));
    assert!(!store.has_staged());
}

/// A redo file may come back when power goes, after more was taken out of its frames.
#[test]
fn a_stale_redo_file_brings_nothing_back() {
    for copies in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = create(dir.path());
        append(&mut store, vec![of("urn:a", "mine"), of("urn:b", "yours")]).unwrap();
        append(&mut store, vec![of("urn:c", "theirs")]).unwrap();
        let segment = dir.path().join("log/0000000001.seg");
        let whole = without_room(&segment);
        let order = destroying(&store, "urn:a");
        append(&mut store, vec![order]).unwrap();
        // As it was written for the first key, with the payload of the second.
        let before = std::fs::read(&segment).unwrap();
        let at = (4_096..whole.len()).find(|at| whole[*at] != before[*at]).unwrap();
        let at = whole[..at].windows(4).rposition(|four| four == b"TwFr").unwrap();
        let frame = before[at..].to_vec();
        let length = crate::frame::frame_length(&frame).unwrap();
        let frames = std::collections::BTreeMap::from([(at as u64, frame[..length].to_vec())]);
        let stale = crate::redo::Redo { segment: 1, frames }.encode();
        store.redo_up_to(if copies { 0 } else { 1 << 20 });
        let order = destroying(&store, "urn:b");
        append(&mut store, vec![order]).unwrap();
        let state = store.forest().state();
        drop(store);
        let good = without_room(&segment);
        std::fs::write(dir.path().join("log/redo"), &stale).unwrap();
        let (store, entries, cut) = reopen(dir.path()).unwrap();
        assert_eq!((store.forest().state(), entries.len(), cut), (state, 3, false));
        assert!(std::fs::read(&segment).unwrap() == good, "a payload has come back");
        assert!(!dir.path().join("log/redo").exists());
    }
}
