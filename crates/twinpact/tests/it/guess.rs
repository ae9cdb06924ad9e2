//! From a file that nobody has described to twins, by the commands that are printed.

use crate::world::World;

const FILE: &str = "Station;Zeit;Pegel [cm];Temp [°C]\n\
    Köln Süd;01.03.2024 00:00;251,5;8\n\
    Bonn;01.03.2024 00:00;240,1;9\n\
    Köln Süd;13.03.2024 00:10;252,0;8\n";

#[test]
fn the_commands_that_are_printed_lead_to_twins() {
    let world = World::empty();
    assert_eq!(world.run("init --dir node --local test").code, 0);
    world.write("pegel.csv", FILE.as_bytes());
    let done = world.run("model guess pegel.csv --dir node");
    assert_eq!((done.code, done.stdout.as_str()), (0, "pegel.toml\npegel.map.toml\n"));
    assert!(done.stderr.contains("check time: ") && done.stderr.contains("Europe/Paris"));
    let next = done.stderr.lines().find_map(|line| line.strip_prefix("next: ")).unwrap();
    let done = world.run(next.strip_prefix("twinpact ").unwrap());
    assert_eq!(done.code, 0, "{next}: {}", done.stderr);
    let twins = world.json("twin list --dir node");
    assert_eq!(twins[0]["id"], "urn:pegel:Bonn");
    assert_eq!(twins[1]["id"], "urn:pegel:K%C3%B6ln%20S%C3%BCd");
    let state = world.json("twin show urn:pegel:Bonn --dir node");
    assert_eq!(state["attributes"]["pegel"]["now"]["value"], "240.1");
    assert_eq!(state["attributes"]["temp"]["unit"], "Cel");
}

#[test]
fn a_guess_overwrites_nothing_and_says_all_as_json() {
    let world = World::empty();
    world.write("pegel.csv", FILE.as_bytes());
    let line = "model guess pegel.csv --zone Europe/Berlin --name level";
    let made = world.json(line);
    assert_eq!((&made["reference"], &made["rows"]), (&"level@1".into(), &3.into()));
    assert_eq!(made["refused"].as_array().unwrap().len(), 0);
    let proposals = made["proposals"].as_array().unwrap();
    assert!(proposals.iter().all(|p| p["certain"] == true), "{made}");
    assert!(proposals.iter().any(|p| p["about"] == "decimal" && p["value"] == "\",\""), "{made}");
    let before = std::fs::read(world.path("level.map.toml")).unwrap();
    let done = world.run("model guess pegel.csv --name level");
    assert_eq!((done.code, done.error()), (11, "file.exists"));
    assert_eq!(std::fs::read(world.path("level.map.toml")).unwrap(), before);
    assert_eq!(world.run("model guess pegel.csv --name level --force").code, 0);
    assert_ne!(std::fs::read(world.path("level.map.toml")).unwrap(), before);
    world.write("none.csv", b"a,b\n1,2\n");
    for (line, code) in [
        ("model guess none.csv", "ingest.guess"),
        ("model guess nowhere.csv", "ingest.file"),
        ("model guess pegel.csv --zone Europe/Berln", "input.time"),
        ("model guess pegel.csv --out-dir no/where", "file.unreadable"),
    ] {
        let done = world.run(line);
        assert_eq!((done.code, done.error()), (11, code), "{line}: {}", done.stderr);
        assert!(
            done.stderr.contains("hint: ") || code.ends_with(".file") || code.starts_with("file")
        );
    }
}
