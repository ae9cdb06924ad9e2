//! Files of all kinds through maps, row by row.

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::cell::Cell;
use std::io::Write;
use twinpact_edge::csv::{MAX_COLUMNS, MAX_ID_BYTES, MAX_LINE_BYTES};
use twinpact_edge::{Map, Observation, Reading, Rows};
use twinpact_model::{Problem, SmolStr};

const MAP: &str = r#"
source = "urn:source:farm"
model = "wind-turbine@1"
twin = "urn:turbine:{Name}"
time = { column = "Date" }
key = ["Name", "Date"]
[columns]
P = "power"
V = "wind"
"#;

const HEADER: &str = "Name,Date,P,V\n";
const T: &str = "2015-07-26T04:00:00+02:00";

/// The map with one thing changed, `from` to `to`.
fn map(from: &str, to: &str) -> Map {
    assert!(MAP.contains(from), "{from}");
    Map::parse(&MAP.replacen(from, to, 1)).unwrap()
}

fn plain() -> Map {
    map("", "")
}

fn read(map: &Map, bytes: &[u8]) -> Result<Vec<Result<Reading, Problem>>, Problem> {
    Ok(Rows::new(bytes, map, |_| ())?.collect())
}

/// A row in one line: what became of it, for tables.
fn shown(reading: Result<Reading, Problem>) -> String {
    match reading {
        Ok(Reading::Observation(row)) => {
            let values: Vec<String> = row.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("{} {} {} {}", row.line, row.twin, row.phen_start, values.join(" "))
        }
        Ok(Reading::Refused(row)) => format!("{} {}: {}", row.line, row.code.name, row.reason),
        Err(problem) => format!("{}: {}", problem.code.name, problem.message),
    }
}

fn check(map: &Map, file: &[u8], expect: &[&str]) {
    let got: Vec<String> = match read(map, file) {
        Ok(rows) => rows.into_iter().map(shown).collect(),
        Err(problem) => vec![format!("{}: {}", problem.code.name, problem.message)],
    };
    assert_eq!(got, expect, "{}", String::from_utf8_lossy(file));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn observations(map: &Map, file: &str) -> Vec<Observation> {
    let keep = |reading| match reading {
        Ok(Reading::Observation(row)) => Some(row),
        _ => None,
    };
    read(map, file.as_bytes()).unwrap().into_iter().filter_map(keep).collect()
}

#[test]
fn rows_become_observations() {
    let rows = observations(&plain(), &format!("P,Name,V,Date\n514.240,R1,6.9,{T}\n"));
    let row = &rows[0];
    assert_eq!(row.line, 2);
    assert_eq!(row.source.as_str(), "urn:source:farm");
    assert_eq!(row.id, format!(r#"["R1","{T}"]"#));
    assert_eq!(row.twin.as_str(), "urn:turbine:R1");
    assert_eq!(row.phen_start.to_string(), "2015-07-26T02:00:00Z");
    let pair = |k: &str, v: &str| -> (SmolStr, SmolStr) { (k.into(), v.into()) };
    assert_eq!(row.values, [pair("power", "514.240"), pair("wind", "6.9")]);
}

#[test]
fn rows_that_are_refused() {
    let row = |row: &str, expect: &str| {
        let next = format!("R2,{T},1,2");
        let expect = [expect, "3 urn:turbine:R2 2015-07-26T02:00:00Z power=1 wind=2"];
        check(&plain(), format!("{HEADER}{row}\n{next}\n").as_bytes(), &expect);
    };
    row(&format!("R1,{T},1"), "2 ingest.row: the row has 3 cells, the header has 4");
    row(&format!("R1,{T},1,2,3"), "2 ingest.row: the row has 5 cells, the header has 4");
    row(&format!("R1,{T},,"), "2 ingest.row: no column of the map has a value");
    row(&format!("R1,{T},,2"), "2 urn:turbine:R1 2015-07-26T02:00:00Z wind=2");
    row(&format!("R1,{T},\"\",2"), "2 urn:turbine:R1 2015-07-26T02:00:00Z wind=2");
    row(&format!(",{T},1,2"), "2 ingest.row: column \"Name\" names the twin and is empty");
    row(
        &format!("R 1,{T},1,2"),
        "2 input.iri: the identifier has a character that an IRI may not have: \
             urn:turbine:R 1",
    );
    row(
        "R1,2015-02-30T00:00:00Z,1,2",
        "2 input.time: column \"Date\": \"2015-02-30T00:00:00Z\" is not a time with offset",
    );
    row(
        "R1,2015-07-26T04:00:00,1,2",
        "2 input.time: column \"Date\": \"2015-07-26T04:00:00\" is not a time with offset",
    );
    row(
        &format!("R1,{T},1\"0\",2"),
        "2 ingest.row: a quote stands inside a cell, or text after a closing quote",
    );
}

#[test]
fn a_row_that_is_not_utf8_is_refused_alone() {
    let file = [HEADER.as_bytes(), b"R\xe9,x,1,2\n", format!("R2,{T},1,2\n").as_bytes()].concat();
    check(
        &plain(),
        &file,
        &[
            "2 ingest.row: the row is not UTF-8",
            "3 urn:turbine:R2 2015-07-26T02:00:00Z power=1 wind=2",
        ],
    );
    let rows = read(&plain(), &file).unwrap();
    let Ok(Reading::Refused(refused)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!(refused.cells, ["R\u{fffd}", "x", "1", "2"]);
}

#[test]
fn keys_are_to_the_letter() {
    let key = map("key = [\"Name\", \"Date\"]", "key = [\"K\", \"L\"]");
    let ids = |cells: &str| {
        let file = format!("Name,Date,P,V,K,L\nR1,{T},1,2,{cells}\n");
        observations(&key, &file).into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("\"a\"\"b\",é\\"), [r#"["a\"b","é\\"]"#]);
    assert_eq!(ids("a,"), [r#"["a",""]"#]);
    assert_eq!(ids(",").len(), 0);
    // An array of two texts has seven bytes beside them.
    assert_eq!(ids(&format!("{},", "x".repeat(MAX_ID_BYTES - 7))).len(), 1);
    assert_eq!(ids(&format!("{},", "x".repeat(MAX_ID_BYTES - 6))).len(), 0);
}

#[test]
fn separators_and_decimal_commas() {
    let row = "2 urn:turbine:R1 2015-07-26T02:00:00Z power=-1.5 wind=2";
    for (delimiter, file) in [
        (";", format!("Name;Date;P;V\nR1;{T};-1,5;2\n")),
        ("\\t", format!("Name\tDate\tP\tV\nR1\t{T}\t-1,5\t2\n")),
        ("|", format!("Name|Date|P|V\nR1|{T}|\"-1,5\"|2\n")),
        (",", format!("{HEADER}R1,{T},\"-1,5\",2\n")),
    ] {
        let head = format!("delimiter = \"{delimiter}\"\ndecimal = \",\"\nkey");
        check(&map("key", &head), file.as_bytes(), &[row]);
    }
    let comma = map("key", "decimal = \",\"\nkey");
    check(
        &comma,
        format!("{HEADER}R1,{T},1.500,2\n").as_bytes(),
        &["2 ingest.row: column \"P\": \"1.500\" has a decimal point, \
             and the map says decimal = \",\""],
    );
    check(
        &plain(),
        format!("{HEADER}R1,{T},\"1,5\",2\n").as_bytes(),
        &["2 urn:turbine:R1 2015-07-26T02:00:00Z power=1,5 wind=2"],
    );
}

#[test]
fn local_times() {
    let paris = r#"{ column = "Date", format = "%d/%m/%Y %H:%M", zone = "Europe/Paris" }"#;
    let paris = map("{ column = \"Date\" }", paris);
    let time = |cell: &str, expect: &str| {
        check(&paris, format!("{HEADER}R1,{cell},1,\n").as_bytes(), &[&format!("2 {expect}")]);
    };
    time("26/07/2015 04:00", "urn:turbine:R1 2015-07-26T02:00:00Z power=1");
    time(
        "29/03/2015 02:30",
        "input.time: column \"Date\": 2015-03-29T02:30:00 does not exist in Europe/Paris: \
         the clock skipped it",
    );
    time(
        "25/10/2015 02:30",
        "input.time: column \"Date\": 2015-10-25T02:30:00 happened twice in Europe/Paris: \
         the clock was set back",
    );
    time("31/06/2015 02:30", "input.time: column \"Date\": \"31/06/2015 02:30\" does not exist");
}

#[test]
fn bytes_around_the_text() {
    let row = "2 urn:turbine:R1 2015-07-26T02:00:00Z power=1 wind=2";
    let text = format!("{HEADER}R1,{T},1,2\n");
    let quoted = format!("\u{feff}\"Name\",Date,P,V\nR1,{T},1,2");
    let crlf = text.replace('\n', "\r\n");
    let blank = format!("\n{HEADER}\n\r\nR1,{T},1,2\n\n");
    for file in [text.clone(), format!("\u{feff}{text}"), quoted, crlf] {
        check(&plain(), file.as_bytes(), &[row]);
        check(&plain(), &gzip(file.as_bytes()), &[row]);
    }
    let row = "5 urn:turbine:R1 2015-07-26T02:00:00Z power=1 wind=2";
    check(&plain(), blank.as_bytes(), &[row]);
    let (first, second) = text.split_at(20);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    check(&plain(), &members, &["2 urn:turbine:R1 2015-07-26T02:00:00Z power=1 wind=2"]);
    let newline = format!("Name,Date,P,V\n\"R\n1\",{T},1,2\nR2,{T},1,2\n");
    check(
        &plain(),
        newline.as_bytes(),
        &[
            "2 input.iri: the identifier has a character that an IRI may not have: \
             urn:turbine:R\\n1",
            "4 urn:turbine:R2 2015-07-26T02:00:00Z power=1 wind=2",
        ],
    );
    let text = map("wind\"", "note\"");
    check(
        &text,
        format!("{HEADER}R1,{T},,\"a\nb, \"\"c\"\"\"\n").as_bytes(),
        &["2 urn:turbine:R1 2015-07-26T02:00:00Z note=a\nb, \"c\""],
    );
}

#[test]
fn encodings_missing_words_and_times_in_parts() {
    let row = "2 urn:turbine:R%C3%A9%201 2015-07-26T02:00:00Z power=1.5";
    let text = "Date;Hour;Name;P;V\n26.07.2015;04:00;R\u{e9} 1;1,5;n/a\n";
    let utf16 = |order: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        let text = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
        text.encode_utf16().flat_map(order).collect()
    };
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for (encoding, bytes) in [
        ("utf-8", text.as_bytes().to_vec()),
        ("utf-16le", utf16(u16::to_le_bytes, false)),
        ("utf-16le", utf16(u16::to_le_bytes, true)),
        ("utf-16be", utf16(u16::to_be_bytes, true)),
        ("windows-1252", latin),
    ] {
        let map = format!(
            "source = \"urn:source:farm\"\nmodel = \"m@1\"\ntwin = \"urn:turbine:{{%Name}}\"\n\
             time = {{ columns = [\"Date\", \"Hour\"], format = \"%d.%m.%Y %H:%M\", \
             zone = \"Europe/Paris\" }}\nkey = [\"Name\", \"Date\", \"Hour\"]\ndelimiter = \";\"\n\
             decimal = \",\"\nencoding = {encoding:?}\nmissing = [\"n/a\"]\n\
             [columns]\nP = \"power\"\nV = \"wind\"\n"
        );
        let map = Map::parse(&map).unwrap();
        check(&map, &bytes, &[row]);
        check(&map, &gzip(&bytes), &[row]);
    }
}

#[test]
fn files_without_rows() {
    check(&plain(), b"", &["ingest.file: the file is empty; a header is needed"]);
    check(&plain(), b"\xef\xbb\xbf\n", &["ingest.file: the file is empty; a header is needed"]);
    check(&plain(), &gzip(b""), &["ingest.file: the file is empty; a header is needed"]);
    check(&plain(), HEADER.as_bytes(), &[]);
    check(&plain(), HEADER.trim_end().as_bytes(), &[]);
    check(
        &plain(),
        b"Name,Date,P,V,P\n",
        &["ingest.file: the column \"P\" stands twice in the header"],
    );
    check(&plain(), b"Name,Date,P,V\xe9\n", &["ingest.file: the header is not UTF-8"]);
    check(
        &plain(),
        b"\xff\xfeN\0a\0",
        &["ingest.file: the file cannot be read, before its header was read: \
             it is UTF-16LE, not UTF-8"],
    );
    check(
        &plain(),
        b"Name,\"Date\n",
        &["ingest.file: the header: a quote that opens on or after line 1 is never closed"],
    );
    let nowhere = Rows::open(std::path::Path::new("/nowhere/x.csv"), &plain(), |_| ()).err();
    assert_eq!(nowhere.unwrap().code.name, "ingest.file");
}

#[test]
fn columns_that_are_missing() {
    let missing = |header: &str, message: &str, hint: &str| {
        let problem = read(&plain(), header.as_bytes()).unwrap_err();
        assert_eq!(problem.code.name, "ingest.map");
        assert_eq!(problem.message, message);
        assert_eq!(problem.hint.as_deref(), Some(hint));
    };
    missing("Name,date,P,V\n", "the file has no column \"Date\"", "did you mean \"date\"?");
    missing(
        "name,date,P,V\n",
        "the file has no column \"Name\", \"Date\"",
        "\"Name\": did you mean \"name\"?; \"Date\": did you mean \"date\"?",
    );
    missing(
        "Name;Date;P;V\n",
        "the file has no column \"Name\", \"Date\", \"P\", \"V\"",
        "the file has \"Name;Date;P;V\"; say in the map: delimiter = \";\"",
    );
}

#[test]
fn a_cut_gzip_file_says_where() {
    let rows: String = (10..60).map(|m| format!("R{m},2015-07-26T04:{m}:00Z,{m}.5,1\n")).collect();
    let whole = format!("{HEADER}{rows}");
    let packed = gzip(whole.as_bytes());
    let all: Vec<String> = read(&plain(), &packed).unwrap().into_iter().map(shown).collect();
    assert_eq!(all.len(), 50);
    for cut in 2..packed.len() {
        let Ok(got) = read(&plain(), &packed[..cut]) else { continue };
        let mut got: Vec<String> = got.into_iter().map(shown).collect();
        let end = got.pop().unwrap();
        let place = match got.len() {
            0 => "after its header, before the first row".to_owned(),
            n => format!("after row {n} (line {})", n + 1),
        };
        assert_eq!(end, format!("ingest.file: the gzip file ends too early, {place}"));
        assert_eq!(got, all[..got.len()], "{cut}");
    }
    // Without its trailer everything is there, and it still cannot be known to be whole.
    assert_eq!(read(&plain(), &packed[..packed.len() - 1]).unwrap().len(), 51);
    // The end of a member is no end of the file when another one has begun.
    let two = [packed.clone(), gzip(b"R9,2015-07-26T04:00:00Z,1,2\n")].concat();
    assert_eq!(read(&plain(), &two).unwrap().len(), 51);
    for cut in packed.len() + 1..two.len() {
        let end = read(&plain(), &two[..cut]).unwrap().pop().unwrap();
        assert_eq!(end.unwrap_err().code.name, "ingest.file", "{cut}");
    }
    let mut bent = packed.clone();
    let last = bent.len() - 5;
    bent[last] ^= 1;
    let end = read(&plain(), &bent).unwrap().pop().unwrap();
    assert_eq!(end.unwrap_err().code.name, "ingest.file");
    let problem = read(&plain(), &packed[..2]).unwrap_err();
    assert_eq!(problem.message, "the gzip file ends too early, before its header was read");
}

#[test]
fn lines_and_columns_have_bounds() {
    let pad = |line: &str, bytes: usize| {
        let (head, tail) = line.split_at(line.len() - 1);
        format!("{head}{}{tail}", "x".repeat(bytes - line.len()))
    };
    let text = map("wind\"", "note\"");
    let row = format!("R1,{T},1,\n");
    let of = |bytes: usize| {
        let file = format!("{HEADER}{}{row}", pad(&row, bytes));
        let rows = read(&text, file.as_bytes()).unwrap();
        rows.into_iter().map(|r| shown(r).chars().take(37).collect::<String>()).collect::<Vec<_>>()
    };
    let good = |line: u32| format!("{line} urn:turbine:R1 2015-07-26T02:00:00Z");
    assert_eq!(of(MAX_LINE_BYTES)[0], good(2));
    assert_eq!(of(MAX_LINE_BYTES + 1)[0], "2 input.too_large: the row that begin");
    assert_eq!(of(MAX_LINE_BYTES + 1)[1], good(3));
    let columns = |n: usize| {
        let more: String = (4..n).map(|i| format!(",C{i}")).collect();
        read(&plain(), format!("Name,Date,P,V{more}\n").as_bytes()).err().map(|p| p.message)
    };
    assert_eq!(columns(MAX_COLUMNS), None);
    let why = "the header: the row has more than 512 cells".to_owned();
    assert_eq!(columns(MAX_COLUMNS + 1), Some(why));
}

#[test]
fn progress_is_in_bytes_of_the_file() {
    let text = format!("{HEADER}{}", format!("R1,{T},1,2\n").repeat(20_000));
    for file in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        let (last, calls) = (Cell::new(0), Cell::new(0));
        let rows = Rows::new(file.as_slice(), &plain(), |read| {
            assert!(read >= last.replace(read));
            calls.set(calls.get() + 1);
        });
        assert_eq!(rows.unwrap().count(), 20_000);
        assert_eq!(last.get(), file.len() as u64);
        assert!(calls.get() > 1);
    }
}

proptest! {
    #[test]
    fn values_are_lossless(
        values in proptest::collection::vec(("\\PC{0,20}", "\\PC{1,20}"), 1..9),
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["Name", "Date", "P", "V"]).unwrap();
        for (power, wind) in &values {
            writer.write_record(["R1", T, power, wind]).unwrap();
        }
        let file = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let got: Vec<(String, String)> = observations(&plain(), &file)
            .into_iter()
            .map(|row| {
                let value = |name: &str| {
                    row.values.iter().find(|(k, _)| k == name).map(|(_, v)| v.to_string())
                };
                (value("power").unwrap_or_default(), value("wind").unwrap())
            })
            .collect();
        prop_assert_eq!(got, values);
    }
}
