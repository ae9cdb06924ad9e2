//! The command line's grammar: `twinpact <noun> <verb>`, everyday verbs on top.

mod copies;
mod erasure;
mod follow;
mod graph;
mod incident;
mod log;
mod negotiation;
mod oversight;
mod transfer;
mod watch;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use copies::Copies;
pub(crate) use erasure::{Erase, Erasure};
pub(crate) use follow::{Follow, Subscription};
pub(crate) use graph::{Graph, Ways};
pub(crate) use incident::{Answer as IncidentAnswer, Incident};
pub(crate) use log::Log;
pub(crate) use negotiation::Negotiation;
pub(crate) use oversight::{Agreement, Clock, Decision, Receipt};
pub(crate) use transfer::Transfer;
pub(crate) use watch::Watch;

/// One binary that lets an organisation take part in a federation of digital twins.
#[derive(Debug, Parser)]
#[command(name = "twinpact", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Print one JSON document to stdout instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the directory of a new node.
    Init(Init),
    /// Run the node of a directory until it is told to stop (SIGTERM, Ctrl-C).
    Serve(Serve),
    /// Say whether the running node does its work; for supervisors, by the exit code.
    Ready {
        #[command(flatten)]
        dir: Dir,
    },
    /// Type models: what your twins look like.
    #[command(subcommand)]
    Model(Model),
    /// Record the rows of a CSV file, plain or gzip, or a batch of CloudEvents.
    Ingest(Ingest),
    /// Your twins.
    #[command(subcommand)]
    Twin(Twin),
    /// What partners have delivered to you.
    #[command(subcommand)]
    Copy(Copies),
    /// Erase a twin, here and at every partner that has copies of it.
    Erase(Erase),
    /// Erasures of your twins, and the partners that had copies.
    #[command(subcommand)]
    Erasure(Erasure),
    /// Links of your twins: part-of, depends-on, derived-from, located-in.
    #[command(subcommand)]
    Link(Link),
    /// Links across organisations.
    #[command(subcommand)]
    Graph(Graph),
    /// Contracts: what you share, with whom, for what.
    #[command(subcommand)]
    Contract(Contract),
    /// Partners: organisations whose signed record you pinned.
    #[command(subcommand)]
    Partner(Partner),
    /// Make an invitation: one line with which another organisation becomes a partner.
    Invite {
        #[command(flatten)]
        dir: Dir,
        /// For whom it is, as `invitation list` shows.
        #[arg(long)]
        name: Option<String>,
        /// How long it is good: 1h, at most 7d.
        #[arg(long)]
        valid: Option<String>,
    },
    /// Become a partner of whoever has invited you.
    Join {
        #[command(flatten)]
        dir: Dir,
        /// The invitation; `-` reads it from stdin, so that no list of processes shows it.
        invitation: String,
    },
    /// Invitations that you have made.
    #[command(subcommand)]
    Invitation(Invitation),
    /// Show what a partner offers.
    Catalog {
        #[command(flatten)]
        dir: Dir,
        /// The partner's DID.
        partner: String,
    },
    /// Negotiate with a partner for a dataset of its catalogue.
    Negotiate {
        #[command(flatten)]
        dir: Dir,
        /// The partner's DID.
        partner: String,
        /// The dataset; may be left out when there is one only.
        #[arg(long)]
        dataset: Option<String>,
        /// Conclude one more where an agreement on it stands already; else that one is shown.
        #[arg(long)]
        another: bool,
    },
    /// Negotiations: what waits for you, and what you decide.
    #[command(subcommand)]
    Negotiation(Negotiation),
    /// Transfers: where they stand, and what you decide.
    #[command(subcommand)]
    Transfer(Transfer),
    /// Tell the whole story of a negotiation or transfer, and what is missing.
    Why {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// Fetch a view under an agreement, verify its receipt and keep the copy.
    Pull(Pull),
    /// Fetch data of somebody else's connector under an agreement; they are not kept.
    Fetch {
        #[command(flatten)]
        dir: Dir,
        /// The agreement, or the first characters of its identity.
        agreement: String,
        /// Where the data go; standard output when it is not given.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Have the connector send them.
        #[arg(long)]
        push: bool,
    },
    /// Follow the stream of a view under an agreement: verify, countersign and keep what comes.
    Follow(Follow),
    /// Streams that you follow.
    #[command(subcommand)]
    Subscription(Subscription),
    /// Agreements.
    #[command(subcommand)]
    Agreement(Agreement),
    /// Receipts of what was delivered.
    #[command(subcommand)]
    Receipt(Receipt),
    /// Decisions: who was let in or refused, and why.
    #[command(subcommand)]
    Decision(Decision),
    /// Incidents: what was found, who was asked to contain what, and the answers.
    #[command(subcommand)]
    Incident(Incident),
    /// Look for losses in a stream by a rule, and ask the owners to contain what each may touch.
    Watch(Watch),
    /// How well the exchange does: times to detect and to contain, freshness, what never left.
    Kpi(Dir),
    /// Your log and its witnesses, and the logs of partners.
    #[command(subcommand)]
    Log(Log),
    /// The policy clock of a node that was started with a driven one.
    #[command(subcommand)]
    Clock(Clock),
    /// Proofs that a stranger can check without you.
    #[command(subcommand)]
    Proof(Proof),
    /// Whom a verifier trusts.
    #[command(subcommand)]
    Trust(Trust),
    /// The key that signs your documents.
    #[command(subcommand)]
    Key(Key),
    /// The organisation's certificate authority.
    #[command(subcommand)]
    Ca(Ca),
    /// Go on with a directory that is an older copy of itself; the node must not be running.
    Restore(Restore),
    /// Look at everything in a node's directory, offline, and change nothing.
    Check(Dir),
    /// Find what keeps a node from working, or soon will, and what to do about it.
    Doctor(Dir),
    /// Check a proof, offline.
    Verify(Verify),
    /// Print the page of an error code.
    Explain(Explain),
    /// The configuration.
    #[command(subcommand)]
    Config(Config),
    /// Print the script that completes commands in a shell.
    Completions(Completions),
    /// Show the main job on real recordings, from empty directories to a verified proof.
    Demo(Demo),
}

/// The directory of a node.
#[derive(Debug, Clone, Args)]
pub(crate) struct Dir {
    /// The node's directory.
    #[arg(long, short, env = "TWINPACT_DIR", default_value = ".twinpact")]
    pub(crate) dir: PathBuf,
}

impl Dir {
    /// How the next command names the same directory: nothing for the one that is looked for
    /// anyway.
    pub(crate) fn flag(&self) -> String {
        match self.dir == std::path::Path::new(".twinpact") {
            true => String::new(),
            false => format!(" --dir {}", crate::output::shell(&self.dir)),
        }
    }
}

/// A moment of the past.
#[derive(Debug, Clone, Args)]
pub(crate) struct AsOf {
    /// As it was known at this time (what had been recorded by then), RFC 3339 with offset.
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LinkEnds {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The twin that the link is about: the part, the dependent, the derived, the contained.
    pub(crate) from: String,
    /// What it is to the other: part-of, depends-on, derived-from or located-in.
    pub(crate) predicate: String,
    /// The other twin.
    pub(crate) to: String,
    /// Whose one of the two is, when that is a partner: did:web:supplier.example.
    #[arg(long, value_name = "DID")]
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Link {
    /// Say that a twin is part of another, depends on it, is derived from it or located in it.
    Set(LinkEnds),
    /// Say that a link does not stand any more.
    Retract(LinkEnds),
    /// List the links of a twin in both directions, or all.
    List {
        #[command(flatten)]
        dir: Dir,
        /// The twin's IRI.
        twin: Option<String>,
        #[command(flatten)]
        as_of: AsOf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List every key that your record has, past ones included.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Make a new key and sign with it from now on; a running node goes on.
    Rotate {
        #[command(flatten)]
        dir: Dir,
        /// How long the old key still signs records, for partners that are out of reach now: 14d.
        #[arg(long)]
        overlap: Option<String>,
    },
    /// Show the key that you sign claims to connectors of others with, as a JSON Web Key; it is
    /// made when there is none yet.
    Claims {
        #[command(flatten)]
        dir: Dir,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Make a new issuing CA, good for a year; a running node goes on, and uses it at once.
    Renew {
        #[command(flatten)]
        dir: Dir,
        /// The key file of the root; identity/root.key when it is still there.
        #[arg(long)]
        root: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// Open a successor log: the twins stay, and nothing is signed twice.
    #[arg(long, required = true)]
    pub(crate) successor: bool,
    /// A checkpoint or proof of this node that is newer than the copy; needed when no partner has
    /// shown one to the node.
    #[arg(long)]
    pub(crate) checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").args(["org", "local"]).required(true))]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) new: NewNode,
}

/// What a new node is told about itself.
#[derive(Debug, Args)]
pub(crate) struct NewNode {
    /// The organisation, as did:web:HOST.
    #[arg(long)]
    pub(crate) org: Option<String>,
    /// A name, for trying things out: stands for did:web:NAME.localhost.
    #[arg(long)]
    pub(crate) local: Option<String>,
    /// The organisation's name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where it listens for partners; goes into twinpact.toml.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// A partner on this machine or in a private network, which it may reach there; goes into
    /// twinpact.toml.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) partner_at: Vec<String>,
}

/// With --org or --local, a directory that is not there yet is made first, as init does.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").args(["org", "local"]))]
#[command(group = ArgGroup::new("of a new node")
    .args(["name", "listen", "partner_at"]).multiple(true).requires("whose"))]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) new: NewNode,
    /// Answer the Dataspace Protocol by this script, without TLS on loopback, for tests of other
    /// connectors; the directory is a temporary one.
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["whose", "of a new node"])]
    pub(crate) conformance: Option<PathBuf>,
    /// Where the policy clock comes from; decisions by a driven one are no evidence.
    #[arg(long, value_parser = ["system", "driven"], default_value = "system")]
    pub(crate) policy_clock: String,
    /// The form of the log on stderr: a JSON object a line, or text.
    #[arg(long, value_enum, default_value_t = LogForm::Text, env = "TWINPACT_LOG")]
    pub(crate) log: LogForm,
    /// How much is logged: `info` has every request, `debug` every step of it.
    #[arg(long, value_enum, default_value_t = LogLevel::Warn, env = "TWINPACT_LOG_LEVEL")]
    pub(crate) log_level: LogLevel,
}

/// The form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    Text,
    Json,
}

/// How much a log has: each has what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Propose a type model and a map from a CSV file; nothing is recorded.
    Guess(GuessModel),
    /// Put a version of a type model from a TOML file.
    Apply {
        #[command(flatten)]
        dir: Dir,
        /// The file.
        file: PathBuf,
    },
    /// List all versions.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GuessModel {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The CSV file, plain or gzip.
    pub(crate) file: PathBuf,
    /// The name of the model; the name of the file when left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The zone of its clock, like Europe/Paris, when its times have no offset.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Where NAME.toml and NAME.map.toml are written.
    #[arg(long, default_value = ".", hide_default_value = true)]
    pub(crate) out_dir: PathBuf,
    /// Replace both files.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The CSV file, plain or gzip; JSON with --cloudevents.
    pub(crate) file: PathBuf,
    /// How its columns become attributes, as a TOML file.
    #[arg(long, required_unless_present = "cloudevents", conflicts_with = "cloudevents")]
    pub(crate) map: Option<PathBuf>,
    /// The file is JSON: a CloudEvent or a batch of CloudEvents.
    #[arg(long, conflicts_with = "refused")]
    pub(crate) cloudevents: bool,
    /// The type model of the map, put first if the node does not have it.
    #[arg(long, value_name = "FILE", requires = "map")]
    pub(crate) model: Option<PathBuf>,
    /// Where refused rows go, to be mended and fed again; beside FILE when left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) refused: Option<PathBuf>,
    /// Replace the file of refused rows that was named.
    #[arg(long, requires = "refused")]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Twin {
    /// List all twins.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show both heads of every attribute: what is true now, and what was learned last.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// The twin's IRI.
        twin: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show a twin as it was known at a time: corrections count from when they were recorded.
    AsOf {
        #[command(flatten)]
        dir: Dir,
        /// The twin's IRI.
        twin: String,
        /// RFC 3339 with offset.
        time: String,
    },
    /// Show what was recorded about a twin, by the time at which it was true.
    History {
        #[command(flatten)]
        dir: Dir,
        /// The twin's IRI.
        twin: String,
        /// From this time on, RFC 3339 with offset.
        #[arg(long)]
        since: Option<String>,
        /// Before this time.
        #[arg(long)]
        until: Option<String>,
        /// At most so many facts.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        as_of: AsOf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Proof {
    /// Write the proof of an event; event numbers stand in `twin history`.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// The number of the event.
        event: u64,
        /// Disclose only these attributes, separated by commas.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Where to write it.
        #[arg(long, short)]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Print our own signed organisation record.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// Print our statement that we are a witness instead.
        #[arg(long, conflicts_with = "as_of")]
        witness: bool,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Pin the organisation of a record, or of the record inside a proof, or witnesses.
    Add {
        /// The record, the proof, the statement of a witness, or a policy file of witnesses.
        file: PathBuf,
        /// The trust file.
        #[arg(long, default_value = "trust.toml")]
        trust: PathBuf,
    },
    /// Show whom a trust file pins.
    Show {
        /// The trust file.
        #[arg(long, default_value = "trust.toml")]
        trust: PathBuf,
        /// Print its witnesses and quorum as a policy file (C2SP tlog-policy).
        #[arg(long)]
        policy: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The proof; several, or folders of them, are told as one story.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Whom you trust; made with `trust add`.
    #[arg(long)]
    pub(crate) trust: Option<PathBuf>,
    /// Trust whom the node of this directory has pinned, and itself, in place of a trust file.
    #[arg(long, value_name = "DIR", conflicts_with = "trust")]
    pub(crate) node: Option<PathBuf>,
    /// The lowest level that is enough.
    #[arg(long, value_parser = ["unanchored", "signed", "countersigned", "witnessed"])]
    pub(crate) require: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code, for example store.damaged.
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    pub(crate) code: Option<String>,
    /// List all codes: whose fault each is, and the exit code of a command that ends with it.
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every setting as it holds.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// Show where each value comes from: the file and line, the environment, a flag or nowhere.
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    pub(crate) shell: String,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Show it on these recordings, a CSV file, in place of the wind farm.
    #[arg(long, requires = "map", value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// The map of these recordings.
    #[arg(long, requires = "data")]
    pub(crate) map: Option<PathBuf>,
    /// Their type model; the file beside the map that has the model's name when left out.
    #[arg(long, requires = "data")]
    pub(crate) model: Option<PathBuf>,
    /// The contract of the provider; one with terms of every kind is made when left out.
    #[arg(long, requires = "data")]
    pub(crate) contract: Option<PathBuf>,
    /// Leave everything in this directory.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// Let a program confirm what the owners of twins are asked; the answers say so.
    #[arg(long, conflicts_with = "data")]
    pub(crate) auto_confirm: bool,
    /// Leave out the question in the end, which runs the recording a second time.
    #[arg(long, conflicts_with = "data")]
    pub(crate) once: bool,
    /// The program that serves the nodes in place of this one: tests put one here that dies.
    #[arg(long, hide = true, conflicts_with = "data")]
    pub(crate) serve_with: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Contract {
    /// Write a new contract that can be published as it is.
    New(NewContract),
    /// Check a contract document (ODCS v3.2.0, YAML) without publishing it.
    Lint {
        /// The document.
        file: PathBuf,
        /// Check it against this type model too.
        #[arg(long)]
        model: Option<PathBuf>,
    },
    /// Publish a contract: from now on it stands in the catalogue.
    Publish {
        #[command(flatten)]
        dir: Dir,
        /// The document.
        file: PathBuf,
    },
    /// Show what is published.
    Show {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewContract {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The type model: a file, or the name of one that the node has, like wind-turbine@1.
    #[arg(long)]
    pub(crate) model: String,
    /// The contract's name; MODEL-view when left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The owner, as did:web:HOST; the node's organisation when left out.
    #[arg(long)]
    pub(crate) org: Option<String>,
    /// For what it may be used: an IRI, or a short name like predictive-maintenance.
    #[arg(long, value_delimiter = ',')]
    pub(crate) purpose: Vec<String>,
    /// Where it may be used: EU, EEA or a country code like FR.
    #[arg(long, value_delimiter = ',')]
    pub(crate) place: Vec<String>,
    /// When it may be used, like 'Mon-Fri 07:00-19:00 Europe/Paris'.
    #[arg(long)]
    pub(crate) schedule: Option<String>,
    /// Within which time copies are to be deleted, like P14D.
    #[arg(long, value_name = "DURATION")]
    pub(crate) delete_after: Option<String>,
    /// The attributes that are shown, separated by commas; all when left out.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Where to write it; to stdout when left out.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Partner {
    /// Pin a partner's signed organisation record.
    Add {
        #[command(flatten)]
        dir: Dir,
        /// The record.
        file: PathBuf,
    },
    /// List all partners.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Remove a partner: its connections are closed and its agreements end.
    Remove {
        #[command(flatten)]
        dir: Dir,
        /// The partner's DID.
        partner: String,
        /// Why; it stays on record.
        #[arg(long, default_value = "the partner was removed")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invitation {
    /// List them, with what became of each.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Withdraw one that nobody has used.
    Withdraw {
        #[command(flatten)]
        dir: Dir,
        /// Its id, as the list shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The agreement; may be left out when one only gives us something.
    pub(crate) agreement: Option<String>,
    /// The purpose that is asserted: an IRI, or a short name like predictive-maintenance.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// The place that is asserted: a country code or an IRI.
    #[arg(long)]
    pub(crate) place: Option<String>,
    /// Only rows from this time on.
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Only rows before this time.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// Only rows of this twin.
    #[arg(long, value_name = "IRI")]
    pub(crate) twin: Option<String>,
    /// Ask the partner to send the view to this node, instead of fetching it.
    #[arg(long, conflicts_with = "after")]
    pub(crate) push: bool,
    /// Only rows behind this place: where a pull that was refused on the way said to go on.
    #[arg(long)]
    pub(crate) after: Option<String>,
    /// Write the proof of the delivery too; of a further page to NAME.2.EXTENSION and so on.
    #[arg(long, value_name = "FILE")]
    pub(crate) proof: Option<PathBuf>,
}
