//! Files that do not fit: what is refused, where it goes, and how it comes back.

use crate::world::{ROWS, World};
use serde_json::Value;

const HEAD: &str = "name,time,power,note\n";
const GOOD: &str = "a,2015-05-01T00:00:00Z,1.5,x\n";
const BAD: &str = "a,2015-05-01T00:10:00Z,much,y\na,2015-02-30T00:00:00Z,1,z\n";

fn counts(report: &Value) -> [u64; 4] {
    let refused = report["refused"].as_array().unwrap().len() as u64;
    let count = |name: &str| report[name].as_u64().unwrap();
    [count("new"), count("duplicate"), count("corrected"), refused]
}

#[test]
fn refused_rows_are_mended_and_fed_again() {
    let world = World::with_node();
    world.write("rows.csv", format!("{HEAD}{GOOD}{BAD}").as_bytes());
    let ingest = |file: &str| world.json(&format!("ingest {file} --map map.toml --dir node"));
    let report = ingest("rows.csv");
    assert_eq!(counts(&report), [1, 0, 0, 2]);
    assert_eq!(report["refused_file"], "rows.refused.csv");
    let text = std::fs::read_to_string(world.path("rows.refused.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "name,time,power,note,refused_code,refused_reason");
    assert!(lines[1].starts_with("a,2015-05-01T00:10:00Z,much,y,twin.value,\""), "{text}");
    assert!(lines[2].starts_with("a,2015-02-30T00:00:00Z,1,z,input.time,\""), "{text}");
    // Fed again as it is: nothing changes, no second file, the same reasons.
    let report = ingest("rows.refused.csv");
    assert_eq!(counts(&report), [0, 0, 0, 2]);
    assert_eq!(report["refused_file"], "rows.refused.csv");
    assert_eq!(std::fs::read_to_string(world.path("rows.refused.csv")).unwrap(), text);
    assert!(!world.path("rows.refused.2.csv").exists());
    // Mended by half: the rest goes to a file of its own, and what a person wrote stays.
    let half = text.replace("much", "2");
    world.write("rows.refused.csv", half.as_bytes());
    let report = ingest("rows.refused.csv");
    assert_eq!(counts(&report), [1, 0, 0, 1]);
    assert_eq!(report["refused_file"], "rows.refused.2.csv");
    assert_eq!(std::fs::read_to_string(world.path("rows.refused.csv")).unwrap(), half);
    // Mended wholly.
    world.write("rows.refused.csv", half.replace("02-30", "02-28").as_bytes());
    let report = ingest("rows.refused.csv");
    assert_eq!((counts(&report), report.get("refused_file")), ([1, 1, 0, 0], None));
    assert_eq!(world.json("twin history urn:turbine:a --dir node")["total"], 3);
}

#[test]
fn rows_of_one_key_come_back_together() {
    let world = World::with_node();
    let row = |power: &str| format!("a,2015-05-01T00:00:00Z,{power},\n");
    world.write("rows.csv", [HEAD, &row("1"), &row("x"), &row("2")].concat().as_bytes());
    let ingest = |file: &str| world.json(&format!("ingest {file} --map map.toml --dir node"));
    assert_eq!(counts(&ingest("rows.csv")), [2, 0, 0, 1]);
    let text = std::fs::read_to_string(world.path("rows.refused.csv")).unwrap();
    assert_eq!(text.matches(",ingested,").count(), 2, "{text}");
    world.write("rows.refused.csv", text.replace(",x,", ",3,").as_bytes());
    // Alone, the mended row would count as a correction of the others.
    assert_eq!(counts(&ingest("rows.refused.csv")), [1, 2, 0, 0]);
}

#[test]
fn a_file_is_never_overwritten_unless_asked() {
    let world = World::with_node();
    world.write("rows.csv", format!("{HEAD}{BAD}").as_bytes());
    world.write("mine.csv", b"mine");
    let line = "ingest rows.csv --map map.toml --dir node --refused mine.csv";
    let before = world.json("twin list --dir node");
    let done = world.run(line);
    assert_eq!((done.code, done.error()), (11, "file.exists"));
    assert_eq!(std::fs::read(world.path("mine.csv")).unwrap(), b"mine");
    assert_eq!(world.json("twin list --dir node"), before);
    let done = world.run(&format!("{line} --force"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("next: mend mine.csv, then: twinpact ingest mine.csv"));
    assert!(std::fs::read_to_string(world.path("mine.csv")).unwrap().contains("twin.value"));
    let nowhere = world.run("ingest rows.csv --map map.toml --dir node --refused no/where.csv");
    assert_eq!((nowhere.code, nowhere.error()), (11, "file.unreadable"));
    assert!(nowhere.stdout.contains("2 refused"), "the report comes all the same");
}

#[test]
fn files_that_do_not_fit_are_named_and_change_nothing() {
    let world = World::with_node();
    world.write("rows.csv", format!("{HEAD}{GOOD}").as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let before = world.json("twin list --dir node");
    let local = crate::world::MAP.replace(
        "{ column = \"time\" }",
        "{ column = \"time\", format = \"%Y-%m-%d %H:%M\", zone = \"Europe/Paris\" }",
    );
    world.write("local.toml", local.as_bytes());
    let comma = format!("decimal = \",\"\ndelimiter = \";\"\n{}", crate::world::MAP);
    world.write("comma.toml", comma.as_bytes());
    let utf16: Vec<u8> =
        format!("\u{feff}{HEAD}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The whole file is refused.
    for (file, map, code, sentence, hint) in [
        (&b"name;time;power;note\n"[..], "map.toml", "ingest.map", "no column", "the file has"),
        (b"name\ttime\tpower\tnote\n", "map.toml", "ingest.map", "no column", "the file has"),
        (b"Name,time,power,note\n", "map.toml", "ingest.map", "\"name\"", "\"Name\""),
        (b"name,time,note\n", "map.toml", "ingest.map", "no column \"power\"", ""),
        (b"name,time,power,note,note\n", "map.toml", "ingest.file", "twice", ""),
        (b"name,time,power,n\xf6te\n", "map.toml", "ingest.file", "UTF-8", "windows-1252"),
        (&utf16, "map.toml", "ingest.file", "UTF-16LE", "utf-16le"),
        (b"name,\"time\n,power,note", "map.toml", "ingest.file", "never closed", ""),
        (b"", "map.toml", "ingest.file", "empty", ""),
    ] {
        world.write("bad.csv", file);
        let done = world.run(&format!("ingest bad.csv --map {map} --dir node"));
        let said = format!("{}: {}", String::from_utf8_lossy(file), done.stderr);
        assert_eq!((done.code, done.error()), (11, code), "{said}");
        assert!(done.stderr.contains(sentence) && done.stderr.contains(hint), "{said}");
        assert!(done.stderr.contains("fault: caller"), "{said}");
        assert!(!world.path("bad.refused.csv").exists());
    }
    // One row is refused, with its line; the next one is taken or, here, known.
    for (head, row, map, code, sentence) in [
        (HEAD, "a,2015-02-30T00:00:00Z,1,x", "map.toml", "input.time", "2015-02-30"),
        (HEAD, "a,2015-05-01T25:61:00Z,1,x", "map.toml", "input.time", "25:61"),
        (HEAD, "a,2015-05-01 00:00,1,x", "map.toml", "input.time", "not a time with offset"),
        (HEAD, "a,2015-03-29 02:30,1,x", "local.toml", "input.time", "the clock skipped it"),
        (HEAD, "a,2015-10-25 02:30,1,x", "local.toml", "input.time", "happened twice"),
        (HEAD, "a,2015-02-30 02:30,1,x", "local.toml", "input.time", "does not exist"),
        (HEAD, "a,2015-05-01 25:61,1,x", "local.toml", "input.time", "not a time of the form"),
        (HEAD, "a,2015-05-01T00:00:00Z,\"1,5\",x", "map.toml", "twin.value", "1,5"),
        (HEAD, "a,2015-05-01T00:00:00Z,1,5,x", "map.toml", "ingest.row", "5 cells"),
        (HEAD, "\"a\nb\",2015-05-01T00:00:00Z,1,x", "map.toml", "input.iri", "character"),
        (HEAD, "a,2015-05-01T00:00:00Z,,", "map.toml", "ingest.row", "no column"),
        (HEAD, "a,2015-05-01T00:00:00Z,1,\"x", "map.toml", "ingest.row", "never closed"),
        (
            "name;time;power;note\n",
            "a;2015-05-01T00:00:00Z;1.500;x",
            "comma.toml",
            "ingest.row",
            "decimal point",
        ),
    ] {
        world.write("bad.csv", format!("{head}{row}\n").as_bytes());
        let report = world.json(&format!("ingest bad.csv --map {map} --dir node --refused r.csv"));
        assert_eq!(counts(&report), [0, 0, 0, 1], "{row}: {report}");
        let refused = &report["refused"][0];
        assert_eq!((&refused["code"], &refused["line"]), (&code.into(), &2.into()), "{row}");
        assert!(refused["reason"].as_str().unwrap().contains(sentence), "{row}: {refused}");
        let kept = std::fs::read_to_string(world.path("r.csv")).unwrap();
        assert!(kept.contains(row), "{row}: {kept}");
        std::fs::remove_file(world.path("r.csv")).unwrap();
    }
    // Nothing that was acknowledged is lost or changed.
    assert_eq!(world.json("twin list --dir node"), before);
    assert_eq!(counts(&world.json("ingest rows.csv --map map.toml --dir node")), [0, 1, 0, 0]);
}

/// No file may be made beside the source: what was taken is recorded, and that is what is said.
#[test]
fn rows_that_can_be_kept_nowhere_make_no_failure() {
    let world = World::with_node();
    // With the ending of refused rows its name is longer than a name can be, even for root.
    let source = format!("{}.csv", "a".repeat(250));
    world.write(&source, ROWS.as_bytes());
    let done = world.run(&format!("ingest {source} --map map.toml --dir node"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.starts_with("3 rows: 2 new, 0 duplicate, 0 corrected, 1 refused"));
    assert!(done.stderr.contains("note: the refused rows are in no file: "), "{}", done.stderr);
    assert!(done.stderr.contains("--refused FILE"), "{}", done.stderr);
    // A file that was asked for is another matter.
    let asked = format!("{}.csv", "b".repeat(260));
    let done = world.run(&format!("ingest {source} --map map.toml --refused {asked} --dir node"));
    assert_ne!(done.code, 0);
    let done = world.run(&format!("ingest {source} --map map.toml --refused b.csv --dir node"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(world.path("b.csv").exists());
}
