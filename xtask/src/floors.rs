//! Rules about crates: which may use which (ARCHITECTURE.md, the floors table), and what every
//! manifest must say.
//!
//! A crate uses lower floors only, and beside that nothing of its own "never" list. Between our
//! crates dev-dependencies count too, because a test that reaches up is a cycle in waiting. Of
//! others' crates only what is shipped counts: a test may use what it likes.

use crate::finding::{File, Finding};
use crate::text_rules::says_nothing;
use serde_json::Value;

/// One of our crates in the house.
struct Room {
    name: &'static str,
    floor: u8,
    /// Lower crates that it must not use all the same.
    never: &'static [&'static str],
}

const fn room(name: &'static str, floor: u8, never: &'static [&'static str]) -> Room {
    Room { name, floor, never }
}

const HOUSE: &[Room] = &[
    room("model", 0, &[]),
    room("proof", 0, &[]),
    room("twin", 1, &[]),
    room("detect", 1, &["proof"]),
    room("semantics", 1, &[]),
    room("privacy", 1, &[]),
    room("contract", 2, &["twin"]),
    room("faces", 2, &[]),
    room("policy", 3, &[]),
    room("dsp", 3, &[]),
    room("store", 4, &["dsp"]),
    room("edge", 4, &["contract", "policy"]),
    room("fabric", 4, &["contract", "policy"]),
    room("identity", 4, &["contract"]),
    room("node", 5, &[]),
    room("gateway", 6, &["store"]),
    room("twinpact", 7, &[]),
];

/// Crates for developers: they may use all, and no shipped crate may use them.
const DEVELOPMENT: &[&str] = &["testkit", "xtask"];

/// Others' crates that only these rooms may use. A trailing `*` stands for any ending.
struct Reserved {
    what: &'static str,
    crates: &'static [&'static str],
    rooms: Rooms,
}

enum Rooms {
    Only(&'static [&'static str]),
    FromFloor(u8),
}

const RESERVED: &[Reserved] = &[
    Reserved {
        what: "HTTP",
        crates: &[
            "axum*",
            "hyper*",
            "http",
            "http-body*",
            "headers",
            "h2",
            "h3*",
            "tower*",
            "reqwest*",
            "ureq*",
            "isahc",
            "surf",
            "attohttpc",
            "minreq",
            "curl*",
            "warp",
            "actix*",
            "rocket*",
            "poem*",
            "tiny_http",
            "tonic*",
        ],
        rooms: Rooms::Only(&["gateway"]),
    },
    Reserved {
        what: "the command line",
        crates: &["clap*", "indicatif", "console", "dialoguer"],
        rooms: Rooms::Only(&["twinpact"]),
    },
    Reserved {
        what: "saying what happens",
        crates: &["tracing", "log"],
        rooms: Rooms::Only(&["node", "twinpact"]),
    },
    Reserved {
        what: "writing down what is said",
        crates: &["tracing-subscriber", "tracing-appender", "env_logger"],
        rooms: Rooms::Only(&["twinpact"]),
    },
    Reserved {
        what: "SQL",
        crates: &["sqlx*", "rusqlite", "libsqlite3-sys", "postgres", "tokio-postgres", "diesel*"],
        rooms: Rooms::Only(&["store"]),
    },
    Reserved {
        what: "async",
        crates: &["tokio*", "futures*", "async-*", "smol", "mio"],
        rooms: Rooms::FromFloor(4),
    },
    Reserved {
        what: "randomness",
        crates: &["rand", "rand_chacha", "getrandom", "fastrand", "uuid"],
        rooms: Rooms::FromFloor(4),
    },
    Reserved {
        what: "the file system",
        crates: &["tempfile", "fs-err", "memmap*", "walkdir", "dirs*"],
        rooms: Rooms::FromFloor(4),
    },
];

/// All that `proof` may ship with: it has to be published alone, compiled for a browser and
/// audited, and its only cryptography is SHA-256 and Ed25519.
const PROOF_MAY_USE: &[&str] =
    &["base64", "ed25519-dalek", "serde", "serde_json", "sha2", "smol_str"];

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    /// The whole name, `twinpact-model`.
    pub(crate) name: String,
    /// Its manifest; the path from the root of the repository.
    pub(crate) manifest: File,
    /// What it depends on directly.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The name of the package, whatever it is renamed to.
    pub(crate) name: String,
    /// Whether only tests and benches use it.
    pub(crate) dev: bool,
    /// Whether it is a folder of this repository.
    pub(crate) ours: bool,
}

/// The floor of the crate of that short name.
#[must_use]
pub(crate) fn floor(room: &str) -> Option<u8> {
    find(room).map(|room| room.floor)
}

fn find(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

fn short(package: &str) -> &str {
    package.strip_prefix("twinpact-").unwrap_or(package)
}

/// The packages in the output of `cargo metadata --format-version 1 --no-deps`; `read` gives the
/// text of a manifest.
///
/// # Errors
/// When the output is not of that form or a manifest cannot be read.
pub(crate) fn packages(
    metadata: &[u8],
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Package>, String> {
    let metadata: Value = serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
    let text = |value: &Value, key: &str| {
        let found = value.get(key).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| format!("cargo metadata has no {key}"))
    };
    let list = |value: &Value, key: &str| {
        let found = value.get(key).and_then(Value::as_array).cloned();
        found.ok_or_else(|| format!("cargo metadata has no {key}"))
    };
    let root = text(&metadata, "workspace_root")?;
    let mut packages = Vec::new();
    for package in list(&metadata, "packages")? {
        let path = text(&package, "manifest_path")?;
        let mut dependencies = Vec::new();
        for dependency in list(&package, "dependencies")? {
            dependencies.push(Dependency {
                name: text(&dependency, "name")?,
                dev: dependency.get("kind").and_then(Value::as_str) == Some("dev"),
                ours: dependency.get("path").is_some_and(Value::is_string),
            });
        }
        let relative = path.strip_prefix(&root).unwrap_or(&path).trim_start_matches('/');
        let manifest = File::new(relative, read(&path)?);
        packages.push(Package { name: text(&package, "name")?, manifest, dependencies });
    }
    Ok(packages)
}

/// All rules about one package.
#[must_use]
pub(crate) fn check(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = package.manifest.path.as_str();
    let name = short(&package.name);
    let mut find_at = |line: usize, reason: String| findings.push(Finding::new(path, line, reason));
    if !inherits_lints(&package.manifest.text) {
        find_at(1, "no lints.workspace = true; the house rules do not reach this crate".to_owned());
    }
    if says_nothing(&package.name) {
        find_at(1, format!("a crate called {name:?} says nothing; name what it holds"));
    }
    if DEVELOPMENT.contains(&name) {
        return findings;
    }
    let Some(room) = find(name) else {
        find_at(1, format!("{name} has no floor; give it one in xtask/src/floors.rs"));
        return findings;
    };
    if path != format!("crates/{name}/Cargo.toml") {
        find_at(1, format!("{name} lives in crates/{name}, where the rules about its floor look"));
    }
    for dependency in &package.dependencies {
        let reason = if dependency.ours {
            own_edge(room, dependency)
        } else {
            foreign_edge(room, dependency)
        };
        if let Some(reason) = reason {
            find_at(line_of(&package.manifest.text, &dependency.name), reason);
        }
    }
    findings
}

/// Why this crate may not use that one of ours.
fn own_edge(room: &Room, dependency: &Dependency) -> Option<String> {
    let used = short(&dependency.name);
    if DEVELOPMENT.contains(&used) {
        return (!dependency.dev).then(|| format!("{used} is for tests only"));
    }
    let Some(other) = find(used) else {
        return Some(format!("{used} has no floor; give it one in xtask/src/floors.rs"));
    };
    if other.floor >= room.floor {
        return Some(format!(
            "{} (floor {}) may not use {used} (floor {}): lower floors only",
            room.name, room.floor, other.floor
        ));
    }
    room.never.contains(&used).then(|| format!("{} may never use {used}", room.name))
}

/// Why this crate may not use that one of others.
fn foreign_edge(room: &Room, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    if dependency.dev {
        return None;
    }
    if room.name == "proof" && !PROOF_MAY_USE.contains(&used) {
        return Some(format!("proof may use nothing but {}, not {used}", PROOF_MAY_USE.join(", ")));
    }
    let reserved = RESERVED.iter().find(|r| r.crates.iter().any(|p| matches(p, used)))?;
    match reserved.rooms {
        Rooms::Only(rooms) => (!rooms.contains(&room.name)).then(|| {
            format!(
                "{} may not use {used}: {} is for {} alone",
                room.name,
                reserved.what,
                rooms.join(", ")
            )
        }),
        Rooms::FromFloor(floor) => (room.floor < floor).then(|| {
            format!(
                "{} (floor {}) may not use {used}: {} begins on floor {floor}",
                room.name, room.floor, reserved.what
            )
        }),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// `lints.workspace = true`, or `workspace = true` in the table `[lints]`.
fn inherits_lints(manifest: &str) -> bool {
    let mut table = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            table = line;
        }
        let key = line.split('#').next().unwrap_or_default().replace(' ', "");
        (table == "[lints]" && key == "workspace=true")
            || (table.is_empty() && key == "lints.workspace=true")
    })
}

/// The line of a manifest that names the dependency; 1 when it is not found.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
            || line.contains(&format!("\"{dependency}\""))
            || line.trim_end().ends_with(&format!("dependencies.{dependency}]"))
    };
    manifest.lines().position(names).map_or(1, |i| i + 1)
}

/// What the workspace itself must say, so that clippy keeps the rules that tidy leaves to it: the
/// length of functions, no unsafe code, no panics.
#[must_use]
pub(crate) fn check_workspace(manifest: &File, clippy: &File) -> Vec<Finding> {
    let wanted = [
        (manifest, "unsafe_code = \"forbid\""),
        (manifest, "missing_docs = \"warn\""),
        (manifest, "too_many_lines = \"warn\""),
        (manifest, "unwrap_used = \"warn\""),
        (manifest, "expect_used = \"warn\""),
        (manifest, "indexing_slicing = \"warn\""),
        (manifest, "panic = \"warn\""),
        (manifest, "print_stdout = \"warn\""),
        (clippy, "too-many-lines-threshold = 70"),
    ];
    wanted
        .into_iter()
        .filter(|(file, line)| !file.text.lines().any(|l| l.trim() == *line))
        .map(|(file, line)| Finding::new(&file.path, 1, format!("the lint is gone: {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Dependency, HOUSE, Package, check, check_workspace, packages};
    use crate::finding::File;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn package(name: &str, manifest: &str, dependencies: Vec<Dependency>) -> Package {
        let manifest = File::new(format!("crates/{name}/Cargo.toml"), manifest);
        Package { name: format!("twinpact-{name}"), manifest, dependencies }
    }

    /// Whether the crate may use that one, in its shipped code and in its tests.
    fn check_edge(room: &str, name: &str, shipped: bool, tests: bool) {
        for (dev, expect) in [(false, shipped), (true, tests)] {
            let ours = name == "xtask" || name.starts_with("twinpact");
            let dependency = Dependency { name: name.to_owned(), dev, ours };
            let found = check(&package(room, LINTS, vec![dependency]));
            assert_eq!(found.is_empty(), expect, "{room} → {name}, dev {dev}: {found:?}");
        }
    }

    #[test]
    fn a_crate_uses_lower_floors_only() {
        for room in HOUSE {
            for other in HOUSE {
                let may = other.floor < room.floor && !room.never.contains(&other.name);
                check_edge(room.name, &format!("twinpact-{}", other.name), may, may);
            }
        }
        for (room, name, may) in [
            ("proof", "twinpact-model", false),
            ("model", "twinpact-proof", false),
            ("twin", "twinpact-semantics", false),
            ("semantics", "twinpact-twin", false),
            ("contract", "twinpact-twin", false),
            ("contract", "twinpact-semantics", true),
            ("faces", "twinpact-contract", false),
            ("policy", "twinpact-contract", true),
            ("policy", "twinpact-dsp", false),
            ("dsp", "twinpact-policy", false),
            ("store", "twinpact-dsp", false),
            ("store", "twinpact-policy", true),
            ("edge", "twinpact-contract", false),
            ("edge", "twinpact-store", false),
            ("identity", "twinpact-contract", false),
            ("node", "twinpact-store", true),
            ("gateway", "twinpact-store", false),
            ("gateway", "twinpact-node", true),
            ("twinpact", "twinpact-gateway", true),
        ] {
            check_edge(room, name, may, may);
        }
    }

    #[test]
    fn what_is_for_developers_is_not_shipped() {
        check_edge("node", "twinpact-testkit", false, true);
        check_edge("node", "xtask", false, true);
        check_edge("node", "twinpact-novelty", false, false);
    }

    #[test]
    fn others_crates_have_their_rooms() {
        for (room, name, may) in [
            ("gateway", "axum", true),
            ("gateway", "hyper-util", true),
            ("node", "axum", false),
            ("twinpact", "hyper", false),
            ("node", "reqwest", false),
            ("edge", "ureq", false),
            ("dsp", "http", false),
            ("twinpact", "clap", true),
            ("node", "clap", false),
            ("node", "indicatif", false),
            ("node", "tokio", true),
            ("identity", "tokio-rustls", true),
            ("dsp", "tokio", false),
            ("policy", "futures-util", false),
            ("privacy", "rand", false),
            ("privacy", "rand_core", true),
            ("identity", "getrandom", true),
            ("contract", "tempfile", false),
            ("store", "rusqlite", true),
            ("node", "sqlx", false),
            ("proof", "sha2", true),
            ("proof", "aws-lc-rs", false),
            ("proof", "jiff", false),
            ("model", "jiff", true),
        ] {
            check_edge(room, name, may, true);
        }
    }

    #[test]
    fn a_finding_names_the_line() {
        let dependency = |name: &str| Dependency { name: name.into(), dev: false, ours: false };
        let manifest =
            format!("{LINTS}[dependencies]\ntokio-rustls.workspace = true\ntokio = \"1\"\n");
        let found = check(&package("dsp", &manifest, vec![dependency("tokio")]));
        assert_eq!(found[0].line, 5);
        assert!(found[0].to_string().starts_with("crates/dsp/Cargo.toml:5: dsp (floor 3)"));
        let renamed = format!("{LINTS}[dependencies]\nrt = {{ package = \"tokio\" }}\n");
        assert_eq!(check(&package("dsp", &renamed, vec![dependency("tokio")]))[0].line, 4);
        let table = format!("{LINTS}[target.'cfg(unix)'.dependencies.tokio]\n");
        assert_eq!(check(&package("dsp", &table, vec![dependency("tokio")]))[0].line, 3);
    }

    #[test]
    fn every_crate_has_a_floor_a_name_and_the_lints() {
        for (name, manifest, reasons) in [
            ("twin", LINTS, 0),
            ("twin", "lints.workspace = true", 0),
            ("twin", "[package]\nlints.workspace = true", 1),
            ("twin", "[lints]\n[dependencies]\nworkspace = true", 1),
            ("twin", "[lints]\n# workspace = true", 1),
            ("attic", LINTS, 1),
            ("util", LINTS, 2),
            ("xtask", "", 1),
            ("testkit", LINTS, 0),
        ] {
            let found = check(&package(name, manifest, Vec::new()));
            assert_eq!(found.len(), reasons, "{name}: {manifest}: {found:?}");
        }
    }

    #[test]
    fn a_crate_lives_where_its_floor_is_looked_up() {
        let mut moved = package("dsp", LINTS, Vec::new());
        moved.manifest.path = "crates/protocol/Cargo.toml".to_owned();
        assert_eq!(check(&moved).len(), 1);
    }

    #[test]
    fn metadata_is_read() {
        let metadata = br#"{"workspace_root":"/r","packages":[{"name":"twinpact-twin",
            "manifest_path":"/r/crates/twin/Cargo.toml","dependencies":[
            {"name":"twinpact-model","kind":null,"path":"/r/crates/model"},
            {"name":"proptest","kind":"dev"}]}]}"#;
        let read = |path: &str| Ok(format!("# {path}"));
        let found = packages(metadata, read).unwrap();
        assert_eq!(found[0].manifest.path, "crates/twin/Cargo.toml");
        assert_eq!(found[0].manifest.text, "# /r/crates/twin/Cargo.toml");
        let [model, proptest] = &found[0].dependencies[..] else { panic!("{found:?}") };
        assert!(model.ours && !model.dev && !proptest.ours && proptest.dev);
        for bad in [&b""[..], b"{}", br#"{"workspace_root":"/r","packages":[{}]}"#] {
            assert!(packages(bad, |_| Ok(String::new())).is_err());
        }
    }

    #[test]
    fn the_lints_that_tidy_relies_on_stay() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let read =
            |name: &str| File::new(name, std::fs::read_to_string(format!("{here}{name}")).unwrap());
        let (manifest, clippy) = (read("Cargo.toml"), read("clippy.toml"));
        assert!(check_workspace(&manifest, &clippy).is_empty());
        let weak = File::new("clippy.toml", clippy.text.replace("70", "700"));
        assert_eq!(check_workspace(&manifest, &weak).len(), 1);
        let weak = File::new("Cargo.toml", manifest.text.replace("\"forbid\"", "\"allow\""));
        assert_eq!(check_workspace(&weak, &clippy).len(), 1);
    }
}
