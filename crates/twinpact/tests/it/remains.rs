//! What is left of a partner's rows in a node's directory when the copies of them are gone: nothing
//! that whoever has the directory and its keys can read. The canaries are values of the recording
//! and links of the invented genealogy, and each is found where it may be.

use crate::trio::did;
use crate::world::World;
use std::collections::BTreeSet;
use std::path::Path;
use twinpact_detect::Milli;
use twinpact_edge::{Map, Reading, Rows};
use twinpact_model::Timestamp;
use twinpact_testkit::readable;

/// From here on copies are held by who has not yet come to the day on which they are to be deleted.
const FROM: &str = "2015-07-20T00:00:00Z";

/// Of which lot the boards of these units are, only the supplier has recorded (genealogy.toml).
const LOT: &str = "urn:board-lot:2013-07";
const UNITS: [&str; 2] = ["urn:pitch-unit:1044", "urn:pitch-unit:1107"];

/// Values of that column from then on that are written with so many characters, and so are unlike
/// most other numbers.
fn values(column: &str, long: usize) -> BTreeSet<String> {
    let wind = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wind");
    let map = std::fs::read_to_string(wind.join("wind-turbine.map.toml")).unwrap();
    let rows = wind.join("la-haute-borne-2015-05-to-07.csv.gz");
    let from = Timestamp::parse(FROM).unwrap();
    let mut values = BTreeSet::new();
    for reading in Rows::open(&rows, &Map::parse(&map).unwrap(), |_| ()).unwrap() {
        let Reading::Observation(row) = reading.unwrap() else { continue };
        let value = &row.values.iter().find(|(known, _)| known == column).unwrap().1;
        if row.phen_start >= from && value.len() == long && !value.starts_with('-') {
            values.insert(value.to_string());
        }
    }
    assert!(values.len() > 100, "{column}: {}", values.len());
    values
}

/// How many of these numbers stand in the text, not counting parts of longer ones and of words: a
/// digest in hex has runs of digits, and one of them is such a number now and then.
fn found(text: &str, wanted: &BTreeSet<String>) -> usize {
    let numbers = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    numbers.filter(|number| wanted.contains(*number)).collect::<BTreeSet<_>>().len()
}

/// The same numbers as the job that looks for losses counts: in thousandths.
fn counted(values: &BTreeSet<String>) -> BTreeSet<String> {
    let thousandths = |value: &String| Milli::parse(value).unwrap().0.to_string();
    values.iter().map(thousandths).collect()
}

/// How many entries say of that unit and of its lot.
fn links(text: &str, unit: &str) -> usize {
    text.lines().filter(|entry| entry.contains(unit) && entry.contains(LOT)).count()
}

/// The maker of the demo has nothing left, after all of its copies were to be deleted.
pub(crate) fn nothing_is_left(world: &World) {
    let (power, wind) = (values("power", 7), values("wind_speed", 5));
    let of = |place: &str| {
        let name = place.rsplit('/').next().unwrap();
        readable(&world.path(place), &did(name)).unwrap()
    };
    // All of it is the operator's, and most was the maker's in the second run, whose clock stands
    // where the recording ends.
    let all = of("kept/operator");
    assert_eq!((found(&all, &power), found(&all, &wind)), (power.len(), wind.len()));
    let held = of("kept/wider/maker");
    assert!(found(&held, &power) > power.len() / 2 && found(&held, &wind) > wind.len() / 2);
    let left = of("kept/maker");
    assert_eq!((found(&left, &power), found(&left, &wind)), (0, 0));
    assert_eq!(found(&left, &counted(&power)), 0);
    let told = of("kept/supplier");
    for unit in UNITS {
        assert!(links(&told, unit) > 0 && links(&held, unit) > 0, "{unit}");
        assert_eq!(links(&left, unit), 0, "{unit}");
    }
    // What its job remembers, and the picture that it draws then, have none of it either. The one
    // that it drew before says at its head by when it is to be deleted.
    let before = std::fs::read_to_string(world.path("kept/maker.html")).unwrap();
    assert!(before.contains(UNITS[0]) && before.contains("Delete it by"));
    let beside = ["kept/maker-watch.json", "kept/maker-later.html"].map(|file| world.path(file));
    for file in world.files("kept/maker").into_iter().chain(beside) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let there = (found(&text, &power), found(&text, &counted(&power)));
        assert_eq!(there, (0, 0), "{}", file.display());
        assert!(UNITS.iter().all(|unit| !text.contains(unit)), "{}", file.display());
    }
}
