//! Guessed models and maps: dialects of the field, the wind farm, and every table of a generator.

use proptest::prelude::*;
use std::path::Path;
use twinpact_edge::guess::{Asked, Guess, Sample, guess};
use twinpact_edge::{Map, Reading, Rows, model_file};
use twinpact_model::Problem;

fn guessed(bytes: &[u8], zone: Option<&str>) -> Result<Guess, Problem> {
    guess(&Sample::read(bytes).unwrap(), &Asked { name: "Plant 1", zone })
}

/// Reads the file with what was guessed: rows taken and rows refused, and the first of them.
fn ingest(bytes: &[u8], guess: &Guess) -> (usize, usize, String) {
    let map = Map::parse(&guess.map).unwrap_or_else(|p| panic!("{p}\n{}", guess.map));
    let model = model_file::parse(&guess.model).unwrap_or_else(|p| panic!("{p}\n{}", guess.model));
    map.check_model(&model).unwrap();
    let (mut taken, mut refused, mut first) = (0, 0, String::new());
    for reading in Rows::new(bytes, &map, |_| ()).unwrap() {
        match reading.unwrap() {
            Reading::Observation(row) => {
                for (attribute, lexical) in &row.values {
                    model.check_value(attribute, lexical).unwrap();
                }
                taken += 1;
                if first.is_empty() {
                    let values: Vec<String> =
                        row.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    first = format!("{} {} {}", row.twin, row.phen_start, values.join(" "));
                }
            }
            Reading::Refused(_) => refused += 1,
        }
    }
    (taken, refused, first)
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// Holds the lines of both files, and the first row that they make of the file.
fn check(bytes: &[u8], zone: Option<&str>, lines: &[&str], first: &str) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let guess = guessed(bytes, zone).unwrap_or_else(|p| panic!("{p}: {text}"));
    let both = format!("{}\n{}", guess.model, guess.map);
    for line in lines {
        assert!(both.lines().any(|l| l == *line), "{line}\n{both}");
    }
    let (taken, refused, row) = ingest(bytes, &guess);
    assert!(taken > 0 && refused == 0, "{refused} refused of {text}\n{both}");
    assert_eq!(row, first, "{both}");
    assert_eq!((guess.rows, guess.refused.len()), (taken as u64, 0));
}

#[test]
fn separators_encodings_and_words() {
    // ISO 8601 with offset, several twins, units in the header.
    check(
        "pump_id,timestamp,power_kw,temp [°C],running\n\
         p1,2024-01-01T00:00:00+01:00,1.5,20,true\n\
         p2,2024-01-01T00:00:00+01:00,1.55,21,false\n\
         p1,2024-01-01T00:10:00+01:00,10.5,22,true\n"
            .as_bytes(),
        None,
        &[
            "model = \"plant-1\"",
            "twin = \"urn:plant-1:{pump_id}\"",
            "time = { column = \"timestamp\" }",
            "key = [\"pump_id\", \"timestamp\"]",
            "unit = \"kW\"",
            "unit = \"Cel\"",
            "datatype = \"double\"",
            "datatype = \"integer\"",
            "datatype = \"boolean\"",
        ],
        "urn:plant-1:p1 2023-12-31T23:00:00Z power=1.5 temp=20 running=true",
    );
    // A German export: semicolons, decimal commas, Latin-1, a local clock.
    check(
        &latin(
            "Zeit;Au\u{df}entemperatur [\u{b0}C];Druck (bar)\n\
             01.01.2024 00:00;1,5;2\n01.01.2024 00:10;-0,5;3\n13.01.2024 00:20;10,25;4\n",
        ),
        Some("Europe/Berlin"),
        &[
            "encoding = \"windows-1252\"",
            "decimal = \",\"",
            "delimiter = \";\"",
            "time = { column = \"Zeit\", format = \"%d.%m.%Y %H:%M\", zone = \"Europe/Berlin\" }",
            "name = \"aussentemperatur\"",
        ],
        "urn:plant-1:1 2023-12-31T23:00:00Z aussentemperatur=1.5 druck=2",
    );
    // A spreadsheet: UTF-16 with its mark, tabs, words for no value.
    let sheet = "\u{feff}Station\tDatetime\tPM10\n\
                 A 1\t2024-01-01 00:00:00\t12.1\nB/2\t2024-01-01 00:00:00\tNaN\n\
                 A 1\t2024-01-01 01:00:00\t-\n";
    let expect = "urn:plant-1:A%201 2024-01-01T00:00:00Z pm10=12.1";
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let guess = guessed(&utf16(sheet, order), None).unwrap();
        assert!(guess.map.contains("missing = [\"-\", \"NaN\"]"), "{}", guess.map);
        assert!(guess.map.contains("twin = \"urn:plant-1:{%Station}\""), "{}", guess.map);
        let (taken, refused, first) = ingest(&utf16(sheet, order), &guess);
        // Two rows say nothing at all; that is no fault of the map.
        assert_eq!((taken, refused, first.as_str()), (1, 2, expect));
    }
}

#[test]
fn clocks() {
    // A day and an hour in two columns.
    check(
        b"Date|Time|Flow\n26/07/2015|04:00|1\n27/07/2015|04:00|2\n",
        Some("Europe/Paris"),
        &[
            "time = { columns = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H:%M\", \
             zone = \"Europe/Paris\" }",
            "key = [\"Date\", \"Time\"]",
            "delimiter = \"|\"",
        ],
        "urn:plant-1:1 2015-07-26T02:00:00Z flow=1",
    );
    // Seconds and milliseconds since 1970.
    check(
        b"ts,device,v\n1437876000,a,1e3\n1437876000,b,2\n1437876600,a,.5\n",
        None,
        &["time = { column = \"ts\", epoch = \"s\" }", "twin = \"urn:plant-1:{device}\""],
        "urn:plant-1:a 2015-07-26T02:00:00Z v=1e3",
    );
    check(
        b"v,epoch\n1.25,1437876000123\n2.50,1437876600456\n",
        None,
        &["time = { column = \"epoch\", epoch = \"ms\" }", "datatype = \"decimal\""],
        "urn:plant-1:1 2015-07-26T02:00:00.123Z v=1.25",
    );
    // Month first, shown by the 26th; twelve hours.
    check(
        b"when,v\n07/26/2015 4:05 PM,1\n07/26/2015 4:15 PM,2\n",
        Some("America/New_York"),
        &["time = { column = \"when\", format = \"%m/%d/%Y %I:%M %p\", \
           zone = \"America/New_York\" }"],
        "urn:plant-1:1 2015-07-26T20:05:00Z v=1",
    );
}

#[test]
fn quotes_and_names() {
    // Quoted cells with separators, ends of lines and quotes in them; a byte order mark.
    check(
        "\u{feff}id,time,\"note, \"\"long\"\"\"\n7,2024-01-01T00:00:00Z,\"a\nb, \"\"c\"\"\"\n\
         8,2024-01-01T00:00:00Z,x\n"
            .as_bytes(),
        None,
        &["encoding = \"utf-8\"", "\"note, \\\"long\\\"\" = \"note_long\""],
        "urn:plant-1:7 2024-01-01T00:00:00Z note_long=a\nb, \"c\"",
    );
    // Names that are IRIs already.
    check(
        b"asset,time,v\nurn:x:1,2024-01-01T00:00:00Z,1\nurn:x:2,2024-01-01T00:00:00Z,2\n",
        None,
        &["twin = \"{asset}\""],
        "urn:x:1 2024-01-01T00:00:00Z v=1",
    );
}

#[test]
fn what_cannot_be_known_is_marked() {
    let unsure = |file: &[u8], zone: Option<&str>| -> Vec<String> {
        let guess = guessed(file, zone).unwrap();
        let marked =
            guess.model.matches("# CHECK:").count() + guess.map.matches("# CHECK:").count();
        let unsure: Vec<String> =
            guess.proposals.iter().filter(|p| !p.certain).map(|p| p.about.clone()).collect();
        assert_eq!(marked, unsure.len());
        unsure
    };
    let zone = Some("Europe/Paris");
    // No zone; days that may be months.
    assert_eq!(unsure(b"id,time,v\na,2024-01-13 00:00,1\nb,2024-01-13 00:00,1\n", None), ["time"]);
    assert_eq!(unsure(b"id,time,v\na,05/06/2024 00:00,1\nb,05/06/2024 00:00,1\n", zone), ["time"]);
    // Two rows of one instant: they are counted where the key stands.
    let file = b"id,time,v\na,2024-01-01T00:00:00Z,1\na,2024-01-01T00:00:00Z,2\n\
                 b,2024-01-01T00:00:00Z,2\n";
    assert_eq!(unsure(file, None), ["key"]);
    let guess = guessed(file, None).unwrap();
    assert_eq!(guess.colliding, 1);
    assert!(guess.map.contains("CHECK: 1 instant of a twin stands in more than one row"));
    // A unit that nobody knows; a column that is mostly numbers.
    assert_eq!(
        unsure(b"id,time,v [smoot]\na,2024-01-01T00:00:00Z,1\nb,2024-01-01T00:00:00Z,2\n", None),
        ["column \"v [smoot]\""]
    );
    let rows: String = (0..400)
        .map(|n| format!("a,2024-01-{:02}T{:02}:00:00Z,{n}\n", n / 24 + 1, n % 24))
        .collect();
    let file = format!("id,time,v\n{rows}a,2024-02-01T00:00:00Z,much\n");
    assert_eq!(unsure(file.as_bytes(), None), ["column \"v\""]);
    let guess = guessed(file.as_bytes(), None).unwrap();
    assert_eq!((guess.refused[0].code.as_str(), guess.refused[0].line), ("twin.value", 402));
    // A day that there is not is told, and hides no clock.
    let file = b"time;v\n01.03.2024 00:00;1\n31.02.2024 00:00;1\n31.03.2024 02:30;1\n\
                 13.03.2024 00:00;1\n";
    let guess = guessed(file, Some("Europe/Berlin")).unwrap();
    let refused = &guess.refused[0];
    assert_eq!((refused.code.as_str(), refused.rows, refused.line), ("input.time", 2, 3));
}

#[test]
fn files_that_are_no_table() {
    let check = |file: &[u8], zone: Option<&str>, code: &str, why: &str| {
        let problem = guessed(file, zone).unwrap_err();
        assert_eq!(problem.code.name, code, "{problem}");
        assert!(problem.message.contains(why), "{problem}");
    };
    let guess = "ingest.guess";
    check(b"", None, guess, "no comma");
    check(b"one\ntwo\n", None, guess, "no comma");
    check(b"a report\nid,time,v\na,2024-01-01T00:00:00Z,1\n", None, guess, "no comma");
    check(b"a,2024-01-01T00:00:00Z,1\nb,2024-01-01T00:00:00Z,2\n", None, guess, "no header");
    check(b"id,,v\na,2024-01-01T00:00:00Z,1\n", None, guess, "column 2 has no name");
    check(b"id,time,v\n", None, guess, "no rows");
    check(b"id,count,v\na,1,2\nb,2,3\n", None, guess, "no column holds times");
    check(b"time,id\n2024-01-01T00:00:00Z,a\n2024-01-01T00:00:00Z,b\n", None, guess, "no column");
    check(b"id,time,time\na,2024-01-01T00:00:00Z,1\n", None, "ingest.file", "twice");
    check(b"time,v\n2024-01-13 00:00,1\n", Some("Europe/Pari"), "input.time", "Europe/Pari");
}

#[test]
fn the_wind_farm_is_guessed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wind/");
    let file = Path::new(path).join("la-haute-borne-2015-05-to-07.csv.gz");
    let bytes = std::fs::read(file).unwrap();
    let guess = guessed(&bytes, None).unwrap();
    for line in [
        "twin = \"urn:plant-1:{Wind_turbine_name}\"",
        "time = { column = \"Date_time\" }",
        "key = [\"Wind_turbine_name\", \"Date_time\"]",
        "\"P_avg\" = \"p_avg\"",
    ] {
        assert!(guess.map.lines().any(|l| l == line), "{line}\n{}", guess.map);
    }
    assert!(!guess.model.contains("unit ="), "{}", guess.model);
    let unsure: Vec<_> = guess.proposals.iter().filter(|p| !p.certain).collect();
    assert!(unsure.is_empty(), "{unsure:?}");
    let (taken, refused, _) = ingest(&bytes, &guess);
    // 868 rows have no value at all, with any map.
    assert_eq!((taken, refused, guess.rows), (52_992 - 868, 868, 52_992));
    assert_eq!((guess.refused[0].code.as_str(), guess.refused[0].rows), ("ingest.row", 868));
}

/// A table of the generator: its bytes, and how many rows have a value.
#[derive(Debug, Clone)]
struct Table {
    bytes: Vec<u8>,
    rows: usize,
}

fn table() -> impl Strategy<Value = Table> {
    let cell = (-5_000i64..5_000, 0u32..1_000, prop::bool::weighted(0.1));
    let rows = prop::collection::vec((0usize..3, prop::collection::vec(cell, 3)), 4..40);
    let dialect = (prop::sample::select(vec![';', ',', '\t', '|']), any::<bool>(), 0usize..4);
    (rows, dialect, 0usize..5, prop::sample::select(vec!["", "NaN", "-", "null"])).prop_map(
        |(rows, (delimiter, comma, encoding), time, missing)| {
            let comma = comma && delimiter != ',';
            let mark = if comma { "," } else { "." };
            let head = ["Ger\u{e4}t", "Zeit", "P [kW]", "n_rpm", "Note \"x\""];
            let quoted = head.map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
            let mut text = quoted.join(&delimiter.to_string());
            text.push('\n');
            for (n, (twin, cells)) in rows.iter().enumerate() {
                let (day, hour, minute) = (13 + n / 24 % 10, n % 24, n % 60);
                let time = match time {
                    0 => format!("2024-05-{day}T{hour:02}:{minute:02}:00+02:00"),
                    1 => format!("{day}.05.2024 {hour:02}:{minute:02}"),
                    2 => format!("05/{day}/2024 {hour:02}:{minute:02}:30"),
                    3 => format!("{}", 1_715_000_000 + n * 600),
                    _ => format!("2024-05-{day} {hour:02}:{minute:02}:00.5"),
                };
                let (whole, fraction, none) = cells[0];
                let power = match none {
                    true => missing.to_owned(),
                    false => format!("{whole}{mark}{fraction:03}"),
                };
                let (count, _, none) = cells[1];
                let count = if none { String::new() } else { count.to_string() };
                let note = format!("\"a{delimiter}\u{e9} {}\"", cells[2].0);
                let row = [format!("G {twin}"), time, power, count, note];
                text.push_str(&row.join(&delimiter.to_string()));
                text.push('\n');
            }
            let bytes = match encoding {
                0 => text.clone().into_bytes(),
                1 => format!("\u{feff}{text}").into_bytes(),
                2 => latin(&text),
                _ => utf16(&format!("\u{feff}{text}"), u16::to_le_bytes),
            };
            Table { bytes, rows: rows.len() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is guessed from a table takes every row of it.
    #[test]
    fn every_table_is_taken_by_its_guess(table in table()) {
        let guess = guessed(&table.bytes, None).unwrap();
        let (taken, refused, _) = ingest(&table.bytes, &guess);
        prop_assert_eq!((taken, refused), (table.rows, 0), "{}\n{}", guess.model, guess.map);
        prop_assert!(guess.model.contains("unit = \"kW\"") && guess.model.contains("unit = \"/min\""));
    }

    /// Whatever the bytes, there is an answer.
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let sample = Sample::read(bytes.as_slice());
        if let Ok(sample) = sample {
            let _ = guess(&sample, &Asked { name: "", zone: None });
        }
    }

    /// Texts of cells and headers do not break the files.
    #[test]
    fn any_text_is_quoted(
        names in proptest::collection::hash_set("\\PC{1,12}", 3..6),
        value in "\\PC{1,12}",
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut head: Vec<&str> = names.iter().map(String::as_str).collect();
        head.insert(1, "time");
        writer.write_record(&head).unwrap();
        for minute in 10..14 {
            let time = format!("2024-01-01T00:{minute}:00Z");
            let mut row = vec![value.as_str(); head.len()];
            row[1] = &time;
            writer.write_record(&row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        match guessed(&bytes, None) {
            Ok(guess) => {
                ingest(&bytes, &guess);
            }
            Err(problem) => prop_assert!(problem.code.name != "internal", "{}", problem),
        }
    }
}
