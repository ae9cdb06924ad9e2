//! Making and opening a node: the boot sequence, in the order in which things can go wrong.

use crate::asked_once::AskedOnce;
use crate::behind::{self, Claimed};
use crate::clock::{Clocks, PolicyClock};
use crate::config::{self, Config, Reach};
use crate::conformance::{Conformance, Script};
use crate::connectors::{self, Connectors};
use crate::continuity::Chains;
use crate::cosignatures::Witnesses;
use crate::fold::Fold;
use crate::found::Catalogue;
use crate::heard::Heard;
use crate::identity_disk::Beside;
use crate::keys;
use crate::lanes::Lanes;
use crate::lately::Lately;
use crate::metrics::Metrics;
use crate::organisation;
use crate::outbound::Outbound;
use crate::partition::{NewEntry, Partition};
use crate::pushed::Awaited;
use crate::rates::Rates;
use crate::receipts;
use crate::repin::Looks;
use crate::retention;
use crate::secrets::Secrets;
use crate::shelf::Shelves;
use crate::sinks::Sinks;
use crate::strangers::Strangers;
use crate::streams::Streams;
use crate::web_door::WebDoor;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use twinpact_contract::Vocabulary;
use twinpact_identity::Held;
use twinpact_identity::disk::{Disk, ThisMachine};
use twinpact_identity::files::{Identity, IdentityFiles};
use twinpact_identity::outgoing::Endpoint;
use twinpact_identity::partners::Partners;
use twinpact_identity::signer::Signer;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_identity::tls::{Clock, Presented, system_clock};
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, WallTime, codes};
use twinpact_store::directory::Directory;
use twinpact_store::forest::LOCAL;
use twinpact_store::keystore::refused;
use twinpact_store::vfs::{RealDisk, Vfs};
use twinpact_store::{Cut, Replayed, Store};

/// How much of its hour a certificate has at least when nobody has set the clock: it is renewed
/// every 20 minutes.
const LEFT_SECONDS: i64 = 60;

/// The handles of a running node. Clones share everything; no logic lives here.
#[derive(Clone)]
pub struct Node {
    /// The configuration.
    pub config: Arc<Config>,
    /// The two clocks.
    pub clocks: Clocks,
    /// The log and the state folded from it.
    pub partition: Partition,
    /// Our certificates, and the key that signs our documents.
    pub identity: Held,
    /// Where they lie on the disk.
    pub files: IdentityFiles,
    /// The roots that TLS accepts: those of the pinned partners.
    pub tls_partners: Partners,
    /// The certificate that we present.
    pub presented: Presented,
    /// The way out, once the gateway has given it.
    pub outbound: Arc<OnceLock<Arc<dyn Outbound>>>,
    /// What is kept in memory only.
    pub secrets: Arc<Secrets>,
    /// How often partners may ask.
    pub rates: Arc<Rates>,
    /// Who was turned away at the federation door before it was asked anything.
    pub strangers: Strangers,
    /// What was counted since the start.
    pub metrics: Arc<Metrics>,
    /// What was said of our log by a key that we do not know.
    pub claimed: Arc<Claimed>,
    /// When partners were asked for their records.
    pub looks: Arc<Looks>,
    /// Which partners are waited for.
    pub heard: Arc<Heard>,
    /// One for each partner: who is in it may fetch a page from it.
    pub fetching: Arc<Lanes>,
    /// The catalogues of partners that are asked for now.
    pub(crate) catalogues: Arc<AskedOnce<Catalogue>>,
    /// Which checkpoints of partners are known to be of one history.
    pub chains: Arc<Chains>,
    /// The streams that partners have open.
    pub streams: Arc<Streams>,
    /// The receipts that we signed lately: one that comes back need not be made again.
    pub(crate) given: Arc<Lately<receipts::Delivered, receipts::Signed>>,
    /// What partners are to send us.
    pub awaited: Arc<Awaited>,
    /// Where connectors are to send what we asked for.
    pub sinks: Arc<Sinks>,
    /// Our catalogue, ready to be sent.
    pub shelves: Arc<Shelves>,
    /// How it stands with our witnesses.
    pub witnesses: Arc<Witnesses>,
    /// The words that policies are decided with.
    pub vocabulary: Arc<Vocabulary>,
    /// Connectors of others that we deal with.
    pub connectors: Arc<Connectors>,
    /// The script that decides for us, in conformance mode.
    pub conformance: Option<Arc<Conformance>>,
}

impl Node {
    /// Signs our documents. Whoever does so is in a turn, or asks [`behind`] first while the state
    /// stands still.
    #[must_use]
    pub fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.identity.current().signer)
    }
}

/// A node that was opened, with what its owner needs besides.
pub struct NodeParts {
    /// The handles.
    pub node: Node,
    /// What was cut at the end of the log.
    pub cut: Option<Cut>,
    writer: JoinHandle<()>,
}

impl NodeParts {
    /// From now on this script decides; nobody has been answered yet.
    #[must_use]
    pub fn with_script(mut self, script: Script) -> NodeParts {
        let conformance = Conformance::new(script);
        self.node.connectors = Arc::new(conformance.connectors());
        self.node.conformance = Some(Arc::new(conformance));
        self
    }

    /// Lets the writer finish what waits and waits for it: a clean stop.
    pub fn stop(self) {
        self.node.partition.stop();
        // A writer that panicked has left nothing half done: the log decides at the next start.
        let _ = self.writer.join();
    }
}

/// Where a node's directory lies.
struct Disks {
    /// Log, keys and configuration.
    store: Arc<dyn Vfs>,
    /// Certificates and document keys.
    identity: Arc<dyn Disk>,
}

impl Disks {
    fn of_this_machine() -> Disks {
        Disks { store: Arc::new(RealDisk), identity: Arc::new(ThisMachine) }
    }

    fn one(disk: Arc<dyn Vfs>) -> Disks {
        Disks { identity: Arc::new(Beside(disk.clone())), store: disk }
    }

    fn identity_files(&self, path: &Path) -> IdentityFiles {
        IdentityFiles::on(self.identity.clone(), path.join("identity"))
    }
}

/// Makes a node's directory: configuration, keys, certificates, log.
///
/// # Errors
/// `store.exists`, `store.locked`, `store.io`; `config.invalid` for an organisation that cannot
/// have a node.
pub fn init(path: &Path, organisation: &Did, name: &str) -> Result<(), Problem> {
    write_new(&Disks::of_this_machine(), path, (organisation, name), &Reach::default())
}

/// The same on that disk.
///
/// # Errors
/// As [`init`].
pub fn init_on(
    disk: Arc<dyn Vfs>,
    path: &Path,
    organisation: &Did,
    name: &str,
) -> Result<(), Problem> {
    write_new(&Disks::one(disk), path, (organisation, name), &Reach::default())
}

/// As [`init`], with where it is reached and which private addresses it may reach.
///
/// # Errors
/// As [`init`]; `outgoing.url` when a partner's place is none.
pub fn init_reached(
    path: &Path,
    organisation: &Did,
    name: &str,
    reach: &Reach,
) -> Result<(), Problem> {
    write_new(&Disks::of_this_machine(), path, (organisation, name), reach)
}

fn write_new(
    disks: &Disks,
    path: &Path,
    (organisation, name): (&Did, &str),
    reach: &Reach,
) -> Result<(), Problem> {
    let trust_domain = TrustDomain::of_did(organisation)?;
    reach.endpoints().iter().try_for_each(|url| Endpoint::parse(url).map(|_| ()))?;
    let text = Config::text_of_new(organisation, name, reach);
    Config::parse(&text)?;
    let clocks = Clocks::new(PolicyClock::System);
    let directory = Directory::create(disks.store.clone(), path)?;
    disks.identity_files(path).create(&trust_domain, clocks.wall())?;
    Store::create(directory, organisation, clocks.wall().0)?;
    // Last: a directory with a configuration is a whole node.
    let config = config::path(path);
    disks.store.replace(&config, text.as_bytes()).map_err(|e| refused(&config, &e))
}

/// Opens a node's directory, folds its log and starts the writer.
///
/// # Errors
/// `store.*` with what is wrong and what to do; `config.invalid`, also when the configuration does
/// not allow that policy clock.
pub async fn open(path: &Path, policy: PolicyClock) -> Result<NodeParts, Problem> {
    open_with(&Disks::of_this_machine(), path, policy, system_clock()).await
}

/// The same on that disk.
///
/// # Errors
/// As [`open`].
pub async fn open_on(
    disk: Arc<dyn Vfs>,
    path: &Path,
    policy: PolicyClock,
) -> Result<NodeParts, Problem> {
    open_by(disk, path, policy, system_clock()).await
}

/// The same, by that wall clock.
///
/// # Errors
/// As [`open`].
pub async fn open_by(
    disk: Arc<dyn Vfs>,
    path: &Path,
    policy: PolicyClock,
    wall: Clock,
) -> Result<NodeParts, Problem> {
    open_with(&Disks::one(disk), path, policy, wall).await
}

async fn open_with(
    disks: &Disks,
    path: &Path,
    policy: PolicyClock,
    wall: Clock,
) -> Result<NodeParts, Problem> {
    let (directory, config, identity) = take(disks, path)?;
    config.allows(policy)?;
    let clocks = Clocks::kept(wall, policy, (disks.store.clone(), path))?;
    let mut fold = None;
    let (mut store, cut) = Store::inspect(directory, &config.organisation, |key, entry| {
        apply(&mut fold, key, &entry)
    })?;
    let fold = folded(fold, &store)?;
    own_identity(&fold, &identity)?;
    connectors::apart(&config.connectors, &fold)?;
    let partners = Partners::new(fold.partners.tls()?);
    // Up to here nothing has changed.
    let files = disks.identity_files(path);
    files.settle()?;
    let web = WebDoor::load(&config.connectors, (&disks.identity, path), &files)?;
    store.mend()?;
    let (partition, writer) = Partition::start(store, fold, clocks.clone());
    let connectors = Connectors::of(&config.connectors).with(web);
    let node = assemble(config, clocks, partition, (identity, files), (partners, connectors));
    started(&node, cut).await.inspect_err(|_| node.partition.stop())?;
    Ok(NodeParts { node, cut, writer })
}

/// A node that is only looked at: nothing on the disk changes, and it takes no turn. `seen` is told
/// each entry, before it is folded, with the state so far.
///
/// # Errors
/// As [`open`].
pub(crate) fn inspect(
    path: &Path,
    mut seen: impl FnMut(Option<&Fold>, &Replayed),
) -> Result<(Node, Option<Cut>), Problem> {
    let disks = Disks::of_this_machine();
    let (directory, config, identity) = take(&disks, path)?;
    let mut fold = None;
    let (store, cut) = Store::inspect(directory, &config.organisation, |key, entry| {
        seen(fold.as_ref(), &entry);
        apply(&mut fold, key, &entry)
    })?;
    let fold = folded(fold, &store)?;
    own_identity(&fold, &identity)?;
    let partners = Partners::new(fold.partners.tls()?);
    let (clocks, files) = (Clocks::new(PolicyClock::System), disks.identity_files(path));
    let partition = Partition::still(store, fold);
    let connectors = Connectors::of(&config.connectors);
    let node = assemble(config, clocks, partition, (identity, files), (partners, connectors));
    // A node that was never started has no record yet.
    if node.partition.read(|fold, _| fold.organisation.current().is_ok())? {
        keys::use_newest(&node)?;
    }
    Ok((node, cut))
}

/// Locks the directory and reads what is small in it.
fn take(disks: &Disks, path: &Path) -> Result<(Directory, Config, Identity), Problem> {
    let directory = Directory::open(disks.store.clone(), path)?;
    let config = read_config(disks.store.as_ref(), path)?;
    let trust_domain = TrustDomain::of_did(&config.organisation)?;
    let identity = disks.identity_files(path).load(&trust_domain)?;
    Ok((directory, config, identity))
}

/// Whether our record names a key and the root that are in the directory: partners have pinned
/// them, and would refuse a record with others alone.
fn own_identity(fold: &Fold, identity: &Identity) -> Result<(), Problem> {
    let Ok((record, _)) = fold.organisation.current() else { return Ok(()) };
    let keys = record.all_keys();
    let file = if !identity.signers().any(|signer| keys.contains(&signer.public())) {
        "identity/document.key"
    } else if record.root_certificate != identity.root.der() {
        "identity/root.crt"
    } else {
        return Ok(());
    };
    let why = format!("{file} is not the one that the organisation record in the log names");
    Err(Problem::new(codes::IDENTITY_MISMATCH, why)
        .hint("put the file back from a copy of this node's directory"))
}

fn assemble(
    config: Config,
    clocks: Clocks,
    partition: Partition,
    (identity, files): (Identity, IdentityFiles),
    (tls_partners, connectors): (Partners, Connectors),
) -> Node {
    let metrics = Arc::new(Metrics::new(clocks.wall()));
    let rates = Arc::new(Rates::of(&config.quotas));
    Node {
        config: Arc::new(config),
        clocks,
        partition,
        identity: Held::new(identity),
        files,
        tls_partners,
        presented: Presented::default(),
        outbound: Arc::default(),
        secrets: Arc::default(),
        rates,
        strangers: Strangers::default(),
        metrics,
        claimed: Arc::default(),
        looks: Arc::default(),
        heard: Arc::default(),
        fetching: Arc::default(),
        catalogues: Arc::default(),
        chains: Arc::default(),
        streams: Arc::default(),
        given: Arc::new(Lately::keeping(receipts::KEPT)),
        awaited: Arc::default(),
        sinks: Arc::default(),
        shelves: Arc::default(),
        witnesses: Arc::default(),
        vocabulary: Arc::new(Vocabulary::standard()),
        connectors: Arc::new(connectors),
        conformance: None,
    }
}

/// What a node does first.
async fn started(node: &Node, cut: Option<Cut>) -> Result<(), Problem> {
    renew(node)?;
    // A node that is behind its own anchor takes no turn; the cut is then said and not on record.
    if behind::check(node).is_ok() {
        report_cut(node, cut).await?;
        organisation::issue_at_start(node).await?;
        // What is overdue is gone before anything is served.
        retention::advance(node).await?;
    }
    keys::use_newest(node)?;
    keys::forget_ended(node).await
}

/// Issues a fresh node certificate, good for an hour. An issuing CA that has run out leaves the
/// node without one: it works, and refuses federation traffic only.
///
/// # Errors
/// `internal` when the certificate cannot be made.
pub fn renew(node: &Node) -> Result<(), Problem> {
    let (now, identity) = (node.clocks.wall(), node.identity.current());
    if !identity.issuing.validity(now).federates() {
        node.presented.clear();
        return Ok(());
    }
    let id = SpiffeId::of_node(identity.issuing.trust_domain(), "node")?;
    node.presented.replace(&identity.issuing.issue_node(&id, now)?)
}

/// Issues a fresh certificate when the one that is presented is not good now, or not for long: that
/// is so after the clock was set forward or back. Says whether it was.
///
/// # Errors
/// As [`renew`].
pub async fn renew_after_jump(node: &Node) -> Result<bool, Problem> {
    let _alone = node.identity.changing().await;
    let now = node.clocks.wall();
    let due = match node.presented.is_empty() {
        // It had run out by the clock of then.
        true => node.identity.current().issuing.validity(now).federates(),
        false => !node.presented.is_good(now, LEFT_SECONDS),
    };
    if due {
        renew(node)?;
    }
    Ok(due)
}

/// Reads the issuing CA again, which somebody may have renewed, and issues a fresh certificate.
/// Tells until when that CA is good. Connections and requests that are open are not touched.
///
/// # Errors
/// `identity.*` when it cannot be used: then everything stays as it was.
pub async fn reload_issuing(node: &Node) -> Result<WallTime, Problem> {
    let _alone = node.identity.changing().await;
    let held = node.identity.current();
    let read = node.files.load(held.root.trust_domain())?;
    if read.root != held.root {
        return Err(Problem::new(codes::IDENTITY_MISMATCH, "identity/root.crt was changed")
            .hint("put back the root.crt that partners have pinned"));
    }
    node.identity.replace(Identity { issuing: read.issuing, ..(*held).clone() });
    renew(node)?;
    Ok(node.identity.current().issuing.not_after())
}

/// Makes a new issuing CA with the root's key, which may lie anywhere, and tells until when it is
/// good. Partners need to do nothing: they have pinned the root.
///
/// # Errors
/// `store.locked` while a node runs there; `identity.*` with what is wrong with the key, `store.io`
/// when the disk refuses.
pub fn renew_issuing(path: &Path, root_key: Option<&Path>) -> Result<WallTime, Problem> {
    let disk: Arc<dyn Vfs> = Arc::new(RealDisk);
    // The lock is held until the new CA is written.
    let _directory = Directory::open(disk, path)?;
    renew_issuing_beside(path, root_key)
}

/// The same beside a node that runs there and has the lock. It goes on, since it only reads the
/// file, and uses the new CA from [`reload_issuing`] on.
///
/// # Errors
/// As [`renew_issuing`], but for the lock.
pub fn renew_issuing_beside(path: &Path, root_key: Option<&Path>) -> Result<WallTime, Problem> {
    let files = IdentityFiles::new(path.join("identity"));
    let own = files.root_key_path();
    let now = Clocks::new(PolicyClock::System).wall();
    Ok(files.renew_issuing(root_key.unwrap_or(&own), now)?.not_after())
}

pub(crate) fn read_config(disk: &dyn Vfs, path: &Path) -> Result<Config, Problem> {
    Config::parse(&config::text(disk, path)?)
}

/// Folds the log, and changes nothing on the disk: what is torn is cut by [`Store::mend`]. The
/// idempotency key is needed before the first entry, so it is read first.
pub(crate) fn replay(
    directory: Directory,
    org: &Did,
) -> Result<(Store, Fold, Option<Cut>), Problem> {
    let mut fold = None;
    let (store, cut) = Store::inspect(directory, org, |key, entry| apply(&mut fold, key, &entry))?;
    let fold = folded(fold, &store)?;
    Ok((store, fold, cut))
}

/// Takes an entry into the state, which begins with the first: the idempotency key comes with it.
fn apply(fold: &mut Option<Fold>, key: &[u8; 32], entry: &Replayed) -> Result<(), Problem> {
    let fold = fold.get_or_insert_with(|| Fold::new(*key));
    match entry {
        Replayed::Open(entry) => fold.apply(entry),
        Replayed::Gone(gone) => {
            fold.gone(gone.tree);
            Ok(())
        }
    }
}

fn folded(fold: Option<Fold>, store: &Store) -> Result<Fold, Problem> {
    match fold {
        Some(fold) => Ok(fold),
        None => Ok(Fold::new(store.idempotency_key()?)),
    }
}

/// The cut of a torn tail is itself on record.
async fn report_cut(node: &Node, cut: Option<Cut>) -> Result<(), Problem> {
    let Some(cut) = cut else { return Ok(()) };
    let entries = vec![cut_entry(&node.config.organisation, cut)];
    node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await
}

/// The record that a torn tail was cut.
pub(crate) fn cut_entry(organisation: &Did, cut: Cut) -> NewEntry {
    let entry = Entry {
        who: Who::no_twin(Kind::TailCut, organisation.to_string()),
        when: When::default(),
        why: Why::default(),
        what: vec![
            Attribute::new("segment", "integer", cut.segment.to_string()),
            Attribute::new("offset", "integer", cut.offset.to_string()),
            Attribute::new("bytes", "integer", cut.bytes.to_string()),
        ],
    };
    NewEntry::of(LOCAL, entry)
}
