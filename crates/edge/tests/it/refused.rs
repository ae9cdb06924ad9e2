//! Refused rows: written to a file, mended, fed again.

use proptest::prelude::*;
use twinpact_edge::csv::MAX_LINE_BYTES;
use twinpact_edge::refused::{self, Written};
use twinpact_edge::{Map, Reading, Refused, Rows};

const MAP: &str = r#"
source = "urn:source:farm"
model = "m@1"
twin = "urn:turbine:{Name}"
time = { column = "Date" }
key = ["Name", "Date"]
[columns]
P = "power"
"#;
const T: &str = "2015-07-26T04:00:00Z";

fn refusals(map: &Map, file: &[u8]) -> Vec<Refused> {
    let refused = |reading: Reading| match reading {
        Reading::Refused(row) => Some(Refused {
            line: Some(row.line),
            index: None,
            id: row.id,
            code: row.code.name.to_owned(),
            reason: row.reason,
        }),
        Reading::Observation(_) => None,
    };
    Rows::new(file, map, |_| ()).unwrap().filter_map(|r| refused(r.unwrap())).collect()
}

fn write(map: &Map, file: &[u8]) -> (Vec<u8>, Written) {
    let mut out = Vec::new();
    let written = refused::write(file, map, &refusals(map, file), &mut out).unwrap();
    (out, written)
}

#[test]
fn rows_stay_as_they_came() {
    let map = Map::parse(MAP).unwrap();
    let check = |rows: &str, expect: &str| {
        let file = format!("Name,Date,P\n{rows}");
        let (out, _) = write(&map, file.as_bytes());
        let expect = format!("Name,Date,P,refused_code,refused_reason\n{expect}");
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expect);
        // Fed again as it is, it gives the same rows; the reasons are those of the second time.
        let (again, _) = write(&map, &out);
        let cells = |text: &[u8]| -> Vec<String> {
            let text = String::from_utf8(text.to_vec()).unwrap();
            text.lines().map(|l| l.split(",in").next().unwrap().to_owned()).collect()
        };
        assert_eq!(cells(&again), cells(&out));
    };
    check(&format!("R1,{T},1\n"), "");
    check(
        &format!("R1,{T},1\n\nR1,x,\" 1\"\n R1 ,{T},3"),
        &format!(
            "R1,x,\" 1\",input.time,\"column \"\"Date\"\": \"\"x\"\" is not a time with offset\"\n \
             R1 ,{T},3,input.iri,\"the identifier has a character that an IRI may not have: \
             urn:turbine: R1 \"\n"
        ),
    );
    check(
        &format!("R1,{T}\nR1,{T},1\"0\n"),
        &format!(
            "R1,{T},ingest.row,\"the row has 2 cells, the header has 3\"\n\
             R1,{T},1\"0,ingest.row,\"a quote stands inside a cell, or text after a closing quote\"\n"
        ),
    );
}

#[test]
fn rows_of_one_key_stay_together() {
    let map = Map::parse(MAP).unwrap();
    let file = format!("Name,Date,P\nR1,{T},1\nR2,{T},1\nR1,{T},\nR1,{T},2\n");
    let (out, written) = write(&map, file.as_bytes());
    assert_eq!(written, Written { refused: 1, taken: 2 });
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with(&format!("R1,{T},1,ingested,")), "{out}");
    assert!(lines[2].starts_with(&format!("R1,{T},,ingest.row,")), "{out}");
    assert!(lines[3].starts_with(&format!("R1,{T},2,ingested,")), "{out}");
    assert_eq!(lines.len(), 4);
    // Mended, all of them are observations.
    assert_eq!(refusals(&map, out.replace(&format!("{T},,"), &format!("{T},3,")).as_bytes()), []);
    // Written once more, the cells of the first time make room.
    let (again, written) = write(&map, out.as_bytes());
    assert_eq!((String::from_utf8(again).unwrap(), written.taken), (out, 2));
}

#[test]
fn long_rows_and_open_quotes_lose_nothing() {
    let map = Map::parse(MAP).unwrap();
    let long = format!("R1,\"{}", "x,\n".repeat(MAX_LINE_BYTES));
    let file = format!("Name,Date,P\r\nR1,{T},1\r\n{long}");
    let (out, written) = write(&map, file.as_bytes());
    assert_eq!(written.refused, 1);
    let text = String::from_utf8(out).unwrap();
    let body = text.strip_prefix("Name,Date,P,refused_code,refused_reason\r\n").unwrap();
    assert!(body.starts_with(long.trim_end_matches('\n')));
    assert!(body.contains(",input.too_large,\"the row that begins on line 3 is longer"));
}

#[test]
fn encodings_are_kept() {
    for (encoding, order) in [
        ("utf-16le", u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ("utf-16be", u16::to_be_bytes as fn(u16) -> [u8; 2]),
    ] {
        let map = Map::parse(&format!("encoding = {encoding:?}\n{MAP}")).unwrap();
        let mut units: Vec<u16> = format!("\u{feff}Name,Date,P\né,{T},").encode_utf16().collect();
        units.extend([0xd83d, 0x000a]);
        let file: Vec<u8> = units.iter().copied().flat_map(order).collect();
        let (out, written) = write(&map, &file);
        assert_eq!(written.refused, 1);
        let head = format!("\u{feff}Name,Date,P,refused_code,refused_reason\né,{T},");
        let mut expect: Vec<u16> = head.encode_utf16().collect();
        let reason = format!(",ingest.row,\"the row is not {}\"\n", encoding.to_uppercase());
        expect.push(0xd83d);
        expect.extend(reason.encode_utf16());
        let expect: Vec<u8> = expect.into_iter().flat_map(order).collect();
        assert_eq!(out, expect, "half a pair and the mark come back");
    }
}

#[test]
fn a_source_that_changed_is_named() {
    let map = Map::parse(MAP).unwrap();
    let file = format!("Name,Date,P\nR1,x,1\nR1,{T},1\n");
    let refused = refusals(&map, file.as_bytes());
    let shorter = &file.as_bytes()[..12];
    let problem = refused::write(shorter, &map, &refused, Vec::new()).unwrap_err();
    assert_eq!(problem.code.name, "ingest.file");
}

proptest! {
    /// Whatever the rows, each is taken or in the file, and none of the file's is lost again.
    #[test]
    fn every_row_is_somewhere(
        rows in proptest::collection::vec("(R[1-3]|x y|),(2015-07-26T04:00:00Z|late),(1|2|\"a\"b|)(,z)?", 0..30),
    ) {
        let map = Map::parse(MAP).unwrap();
        let file = format!("Name,Date,P\n{}\n", rows.join("\n"));
        let count = Rows::new(file.as_bytes(), &map, |_| ()).unwrap().count() as u64;
        prop_assert_eq!(count, rows.len() as u64);
        let refused = refusals(&map, file.as_bytes());
        let (out, written) = write(&map, file.as_bytes());
        prop_assert_eq!(written.refused, refused.len() as u64);
        let again = refusals(&map, &out);
        prop_assert_eq!(again.len(), refused.len());
        let (twice, same) = write(&map, &out);
        prop_assert_eq!(same, written);
        let (thrice, _) = write(&map, &twice);
        prop_assert_eq!(thrice, twice);
    }
}
