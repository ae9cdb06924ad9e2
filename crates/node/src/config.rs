//! The one configuration file, `twinpact.toml`. Unknown keys are errors with "did you mean".

use crate::clock::PolicyClock;
use crate::connectors;
use crate::organisation;
use crate::quotas::{KEYS, QuotaSettings};
use crate::rules::{self, Rules};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use twinpact_edge::toml_file::TomlFile;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_proof::vkey::{Signs, VerifierKey};
use twinpact_store::keystore::refused;
use twinpact_store::vfs::Vfs;

/// The configuration of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The organisation's DID.
    pub organisation: Did,
    /// Its name for people.
    pub name: String,
    /// The listener for the organisation's own people and programs.
    #[serde(default)]
    pub admin: Admin,
    /// The listener for partners.
    #[serde(default)]
    pub federation: Federation,
    /// What our own requests say when the command does not.
    #[serde(default)]
    pub assertions: Assertions,
    /// What we expect of partners that have copies.
    #[serde(default)]
    pub retention: Retention,
    /// Who cosigns our checkpoints.
    #[serde(default)]
    pub witnesses: Witnesses,
    /// Connectors of others.
    #[serde(default)]
    pub connectors: ConnectorSettings,
    /// Who may negotiate for what, and what is not decided without a person.
    #[serde(default)]
    pub negotiation: Rules,
    /// How much a partner may ask.
    #[serde(default)]
    pub quotas: QuotaSettings,
}

/// Connectors of others, and the doors for them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorSettings {
    /// The address of the door for those on this machine, on loopback: it has no TLS.
    pub listen: Option<SocketAddr>,
    /// The address of the door with TLS, for those that sign claims ([`crate::web_door`]).
    pub listen_tls: Option<SocketAddr>,
    /// The base URL at which these reach it: what the certificate is for.
    pub endpoint: Option<String>,
    /// What that door shows: a certificate and those that lead to its authority (PEM). A path that
    /// is not absolute begins at the directory of the node, as of all files here.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    pub key: Option<PathBuf>,
    /// Who they are.
    #[serde(default)]
    pub peers: Vec<Connector>,
}

/// Somebody else's connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Its participant id.
    pub id: String,
    /// The base of its protocol endpoints, where its callbacks lie too: `http` on loopback, or
    /// `https` of one that signs claims.
    pub endpoint: String,
    /// Where else its data may lie.
    #[serde(default)]
    pub data: Vec<String>,
    /// The purpose that its requests for data are presumed to have: it signs none.
    pub purpose: Option<String>,
    /// The place that they are presumed to come from.
    pub place: Option<String>,
    /// The authorities that its certificate leads to (PEM), over `https`.
    pub authorities: Option<PathBuf>,
    /// The key that it signs claims with (a JSON Web Key), over `https`.
    pub claims_key: Option<PathBuf>,
}

/// The most connectors of a configuration.
pub const MAX_CONNECTORS: usize = 64;

/// The admin listener: loopback only, guarded by a token in `admin.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Its address.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }
}

/// The federation listener: mutual TLS 1.3.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Federation {
    /// Its address; without one partners cannot reach the node.
    pub listen: Option<SocketAddr>,
    /// The base URL that partners use; the listener's address when it is not given.
    pub endpoint: Option<String>,
    /// Addresses in private ranges, as `https://HOST:PORT`, that we may connect to although they
    /// are; those in a pinned record are private no less.
    #[serde(default)]
    pub allow_private: Vec<String>,
}

/// The most hours that a deletion receipt may be late: a year.
pub const MAX_GRACE_HOURS: u64 = 366 * 24;

/// What we expect of partners that have copies of our data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How many hours after its time a deletion receipt may come, by the policy clock, before the
    /// agreement is suspended.
    pub grace_hours: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { grace_hours: 24 }
    }
}

/// Purpose and place that our requests assert.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assertions {
    /// The IRI of the purpose.
    pub purpose: Option<String>,
    /// The IRI of the region, or a country code.
    pub place: Option<String>,
}

/// Who cosigns our checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Witnesses {
    /// Partners, by their DIDs.
    #[serde(default)]
    pub partners: Vec<Did>,
    /// Witnesses of the world, as `VERIFIER-KEY https://HOST/…`.
    #[serde(default)]
    pub foreign: Vec<ForeignWitness>,
}

/// The most witnesses of a node.
pub const MAX_WITNESSES: usize = 16;

/// A witness of the world (C2SP tlog-witness): its verifier key and the URL that it is asked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForeignWitness {
    /// Its name and key.
    pub key: VerifierKey,
    /// Its URL, without a `/` at the end.
    pub url: String,
}

impl TryFrom<String> for ForeignWitness {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a verifier key of a witness and its URL");
        let (key, url) = text.split_once(' ').ok_or_else(wrong)?;
        let key = VerifierKey::parse(key).filter(|key| key.signs == Signs::Cosignatures);
        let url = url.trim_end_matches('/').to_owned();
        let plain = url.starts_with("https://") && !url.contains(char::is_whitespace);
        key.filter(|_| plain).map(|key| ForeignWitness { key, url }).ok_or_else(wrong)
    }
}

impl From<ForeignWitness> for String {
    fn from(witness: ForeignWitness) -> String {
        format!("{} {}", witness.key.text(), witness.url)
    }
}

/// Where a new node is reached, and what it may reach besides public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// The address of the federation listener; without one the operator writes it down later.
    pub listen: Option<SocketAddr>,
    /// Partners on this machine or in a private network, as `HOST:PORT`.
    pub partners_at: Vec<String>,
}

impl Reach {
    /// What goes into `allow_private`.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.partners_at.iter().map(|place| format!("https://{place}")).collect()
    }

    /// The lines of the configuration; a comment with an example for what is not said.
    fn lines(&self) -> String {
        let listen = match self.listen {
            Some(address) => format!("listen = \"{address}\"\n"),
            None => "# listen = \"0.0.0.0:8443\"\n".to_owned(),
        };
        let endpoint = "# endpoint = \"https://twin.example:8443\"\n";
        let private = match self.partners_at.is_empty() {
            true => String::new(),
            false => format!("allow_private = {:?}\n", self.endpoints()),
        };
        format!("{listen}{endpoint}{private}")
    }
}

/// The keys outside of tables, and the names of the tables.
pub(crate) const ROOT: &[&str] = &[
    "organisation",
    "name",
    "admin",
    "federation",
    "assertions",
    "retention",
    "witnesses",
    "connectors",
    "negotiation",
    "quotas",
];
/// The keys of each table.
pub(crate) const TABLES: &[(&str, &[&str])] = &[
    ("admin", &["listen"]),
    ("federation", &["listen", "endpoint", "allow_private"]),
    ("assertions", &["purpose", "place"]),
    ("retention", &["grace_hours"]),
    ("witnesses", &["partners", "foreign"]),
    ("connectors", &["listen", "listen_tls", "endpoint", "certificate", "key", "peers"]),
    ("negotiation", &["by_hand", "accept_less", "contracts"]),
    ("quotas", &QUOTAS),
];
/// Those of the bounds, and who has its own.
const QUOTAS: [&str; 7] = ["partners", KEYS[0], KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]];
/// The keys of a partner's own.
const QUOTED: [&str; 7] = ["id", KEYS[0], KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]];
/// The lists of tables, and the keys of each.
const LISTS: [(&str, &str, &[&str]); 3] = [
    ("connectors", "peers", PEER),
    ("quotas", "partners", &QUOTED),
    ("negotiation", "contracts", &rules::KEYS),
];
/// The keys of a connector.
const PEER: &[&str] = &["id", "endpoint", "data", "purpose", "place", "authorities", "claims_key"];

impl Config {
    /// The configuration of this text.
    ///
    /// # Errors
    /// `config.invalid` with line, column and, for an unknown key, the nearest known one.
    pub fn parse(text: &str) -> Result<Config, Problem> {
        read(text).map_err(|problem| Problem {
            code: codes::CONFIG_INVALID,
            message: format!("twinpact.toml: {}", problem.message),
            hint: problem.hint.or(Some("nothing was changed; mend twinpact.toml".to_owned())),
        })
    }

    /// Whether the node may run by that policy clock. Whoever drives a clock decides what a
    /// contract permits, so such a node listens on loopback only.
    ///
    /// # Errors
    /// `config.invalid` with the address that is not loopback.
    pub fn allows(&self, policy: PolicyClock) -> Result<(), Problem> {
        let listeners = [
            ("admin.listen", Some(self.admin.listen)),
            ("federation.listen", self.federation.listen),
            ("connectors.listen_tls", self.connectors.listen_tls),
        ];
        for (key, address) in listeners {
            if let (PolicyClock::Driven, Some(address)) = (policy, address)
                && !address.ip().is_loopback()
            {
                let why = "a driven policy clock serves on loopback only";
                return Err(Problem::new(
                    codes::CONFIG_INVALID,
                    format!("twinpact.toml: {key} is {address}, and {why}"),
                ));
            }
        }
        Ok(())
    }

    /// The base URL at which partners reach the node: the configured endpoint, else the address
    /// that the listener has, else the organisation's host.
    #[must_use]
    pub fn dsp_url(&self, bound: Option<SocketAddr>) -> String {
        match (&self.federation.endpoint, bound) {
            (Some(endpoint), _) => format!("{}/dsp", endpoint.trim_end_matches('/')),
            (None, Some(address)) => format!("https://{address}/dsp"),
            (None, None) => format!("https://{}/dsp", organisation::host(&self.organisation)),
        }
    }

    /// The configuration that `init` writes.
    #[must_use]
    pub fn text_of_new(organisation: &Did, name: &str, reach: &Reach) -> String {
        format!(
            "# A Twinpact node. Unknown keys are errors.\n\
             organisation = {:?}\n\
             name = {:?}\n\n\
             [admin]\n\
             # For your own people and programs: loopback only; the token is in admin.json.\n\
             listen = \"127.0.0.1:0\"\n\n\
             [federation]\n\
             # For partners: mutual TLS 1.3. `endpoint` is the URL that they use.\n\
             {}\n\
             [assertions]\n\
             # What your own requests say when a command does not.\n\
             # purpose = \"https://w3id.org/twinpact/purpose/PredictiveMaintenance\"\n\
             # place = \"DE\"\n\n\
             [witnesses]\n\
             # Who cosigns your checkpoints: partners, and witnesses of the world (docs/witness.md).\n\
             # partners = [\"did:web:partner.example\"]\n\
             # foreign = [\"VERIFIER-KEY https://witness.example\"]\n",
            organisation.as_str(),
            name,
            reach.lines()
        )
    }
}

fn read(text: &str) -> Result<Config, Problem> {
    let file = TomlFile::parse(text)?;
    file.known_keys(file.root(), ROOT)?;
    for (name, keys) in TABLES {
        let table = file.root().get(*name).and_then(|value| value.get_ref().as_table());
        table.map_or(Ok(()), |table| file.known_keys(table, keys))?;
    }
    for (table, list, keys) in LISTS {
        let table = file.root().get(table).and_then(|value| value.get_ref().as_table());
        let list = table.and_then(|table| table.get(list)?.get_ref().as_array());
        for item in list.into_iter().flat_map(|all| all.iter()) {
            item.get_ref().as_table().map_or(Ok(()), |table| file.known_keys(table, keys))?;
        }
    }
    let config: Config = file.read()?;
    connectors::check(&config)?;
    config.quotas.check()?;
    config.negotiation.check()?;
    if !config.admin.listen.ip().is_loopback() {
        return Err(Problem::new(
            codes::CONFIG_INVALID,
            format!("admin.listen is {}, which is not loopback", config.admin.listen),
        )
        .hint("the admin listener has no TLS; reach it over SSH or a local proxy"));
    }
    if config.retention.grace_hours > MAX_GRACE_HOURS {
        let why = format!("retention.grace_hours is more than {MAX_GRACE_HOURS}, a year");
        return Err(Problem::new(codes::CONFIG_INVALID, why));
    }
    let witnesses = config.witnesses.partners.len() + config.witnesses.foreign.len();
    if witnesses > MAX_WITNESSES {
        let why = format!("there are {witnesses} witnesses, and at most {MAX_WITNESSES} may be");
        return Err(Problem::new(codes::CONFIG_INVALID, why));
    }
    Ok(config)
}

/// The text of the file in a node's directory.
///
/// # Errors
/// `store.missing` when no node lives there, `store.io`, and `config.invalid` when it is not UTF-8.
pub fn text(disk: &dyn Vfs, directory: &Path) -> Result<String, Problem> {
    let path = path(directory);
    if !disk.exists(&path) {
        return Err(twinpact_store::directory::missing(disk, directory));
    }
    let bytes = disk.read(&path).map_err(|e| refused(&path, &e))?;
    String::from_utf8(bytes).map_err(|_| {
        Problem::new(codes::CONFIG_INVALID, "twinpact.toml is not UTF-8")
            .hint("nothing was changed; mend twinpact.toml")
    })
}

/// Where the configuration lies in a directory.
#[must_use]
pub fn path(directory: &Path) -> std::path::PathBuf {
    directory.join(twinpact_store::directory::CONFIG_FILE)
}

#[cfg(test)]
mod tests {
    use super::{Config, Federation, Reach};
    use crate::clock::PolicyClock;
    use twinpact_model::Did;

    #[test]
    fn what_init_writes_is_read() {
        let did = Did::new("did:web:operator.example").unwrap();
        let listen = "127.0.0.1:8701".parse().unwrap();
        let partners_at = vec!["127.0.0.1:8702".to_owned(), "[::1]:8703".to_owned()];
        for (listen, partners_at, private) in [
            (None, Vec::new(), Vec::new()),
            (Some(listen), partners_at, vec!["https://127.0.0.1:8702", "https://[::1]:8703"]),
        ] {
            let text = Config::text_of_new(&did, "Wind \"farm\"", &Reach { listen, partners_at });
            let config = Config::parse(&text).unwrap();
            assert_eq!((&config.organisation, config.name.as_str()), (&did, "Wind \"farm\""));
            assert_eq!(
                config.federation,
                Federation {
                    listen,
                    endpoint: None,
                    allow_private: private.into_iter().map(str::to_owned).collect()
                }
            );
        }
    }

    #[test]
    fn the_page_about_connectors_shows_a_configuration() {
        let page = include_str!("../../../docs/connectors.md");
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (shown, _) = rest.split_once("```").unwrap();
        let good = "organisation = \"did:web:a.example\"\nname = \"a\"\n";
        let config = Config::parse(&format!("{good}{shown}")).unwrap();
        assert_eq!(config.connectors.peers.len(), 1);
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_errors() {
        let good = "organisation = \"did:web:a.example\"\nname = \"a\"\n";
        assert!(Config::parse(good).is_ok());
        for (more, hint) in [
            ("[admin]\nlistn = \"127.0.0.1:0\"", Some("listen")),
            ("[federatoin]\n", Some("federation")),
            ("[admin]\nlisten = \"0.0.0.0:80\"", Some("SSH")),
            ("[admin]\nlisten = \"here\"", None),
            ("name = \"b\"", None),
            ("[retention]\ngrace_hours = 8785", None),
            ("[retention]\ngrace_hours = -1", None),
            ("[connectors]\nlisten = \"0.0.0.0:80\"", None),
            ("[connectors]\npers = []", Some("peers")),
            ("[[connectors.peers]]\nid = \"x\"", None),
            ("[[connectors.peers]]\nid = \"x\"\nendpiont = \"\"", Some("endpoint")),
            ("[[connectors.peers]]\nid = \"\"\nendpoint = \"http://127.0.0.1:1\"", None),
            (
                "[[connectors.peers]]\nid = \"did:web:a.example\"\nendpoint = \"http://127.0.0.1:1\"",
                None,
            ),
            ("[[connectors.peers]]\nid = \"x\"\nendpoint = \"http://10.0.0.1:1\"", None),
            (
                "[connectors]\nlisten = \"127.0.0.1:1\"\n\
                 [[connectors.peers]]\nid = \"x\"\nendpoint = \"http://127.0.0.1:1\"\n\
                 purpose = \"no iri\"\nplace = \"FR\"",
                None,
            ),
            ("[[connectors.peers]]\nid = \"x\"\nendpoint = \"https://127.0.0.1:1\"", None),
            (
                "[[connectors.peers]]\nid = \"x\"\nendpoint = \"http://127.0.0.1:1\"\nplace = \"FR\"",
                None,
            ),
            (
                "[[connectors.peers]]\nid = \"x\"\nendpoint = \"http://127.0.0.1:1\"\n\
                 [[connectors.peers]]\nid = \"x\"\nendpoint = \"http://127.0.0.1:2\"",
                None,
            ),
        ] {
            let problem = Config::parse(&format!("{good}{more}")).unwrap_err();
            assert_eq!(problem.code.name, "config.invalid", "{more}");
            if let Some(hint) = hint {
                assert!(problem.hint.unwrap_or_default().contains(hint), "{more}");
            }
        }
        assert!(Config::parse("name = \"a\"").is_err());
        assert!(Config::parse("organisation = \"a\"\nname = \"a\"").is_err());
    }

    #[test]
    fn a_driven_policy_clock_stays_on_loopback() {
        let did = Did::new("did:web:a.example").unwrap();
        let text = Config::text_of_new(&did, "a", &Reach::default());
        let mut config = Config::parse(&text).unwrap();
        for (admin, federation, key) in [
            ("127.0.0.1:0", None, None),
            ("[::1]:0", Some("127.0.0.9:8443"), None),
            ("127.0.0.1:0", Some("0.0.0.0:8443"), Some("federation.listen")),
            ("127.0.0.1:0", Some("[::]:8443"), Some("federation.listen")),
            ("127.0.0.1:0", Some("192.168.0.7:8443"), Some("federation.listen")),
            // The text of a file cannot say so, whatever the clock; a program might.
            ("0.0.0.0:80", None, Some("admin.listen")),
        ] {
            config.admin.listen = admin.parse().unwrap();
            config.federation.listen = federation.map(|address| address.parse().unwrap());
            assert_eq!(config.allows(PolicyClock::System), Ok(()));
            let refused = config.allows(PolicyClock::Driven).err();
            assert_eq!(refused.is_some(), key.is_some(), "{admin} {federation:?}");
            if let (Some(problem), Some(key)) = (refused, key) {
                assert_eq!(problem.code.name, "config.invalid");
                assert!(problem.message.contains(key), "{problem}");
            }
        }
    }
}
