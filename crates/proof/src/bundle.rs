//! A bundle (`.twinproof`): everything that one fact or one delivery needs to be checked anywhere.
//!
//! The first line is a digest over all following bytes, so that any flipped byte is caught, also in
//! parts that C2SP lets a verifier ignore. The rest is one canonical JSON document. Every section
//! states its own inputs and its own output, so that each link can be checked by itself and the
//! error names the link that broke. Reading checks the form; [`crate::verify`] checks the links.

use crate::anchor::TreeId;
use crate::broken::{Broken, Link};
use crate::commit::{Disclosure, MAX_ATTRIBUTES};
use crate::digest::{Digest, sha256, to_hex};
use crate::dsse::Envelope;
use crate::fields::{MAX_TEXT_BYTES, Malformed, Members, hex_json, hex_list_json, uint_json};
use crate::json::Json;
use crate::note::MAX_NOTE_BYTES;
use crate::text64;
use crate::tree::MAX_PATH;
use std::collections::BTreeMap;

/// The most bytes of a bundle, first line included.
pub const MAX_BUNDLE_BYTES: usize = 16 << 20;
/// The most bytes of one disclosed attribute or point.
pub const MAX_OPENING_BYTES: usize = 2 << 20;
/// The most single items that one bundle shows.
pub const MAX_SHOWN_ITEMS: usize = 4096;
/// The most organisation records: the issuer's, then the audience's.
pub const MAX_RECORDS: usize = 2;

const FIRST_LINE: &str = "twinpact-proof/1 sha256:";
const FIRST_LINE_BYTES: usize = FIRST_LINE.len() + 64 + 1;
const MEMBERS: [&str; 14] = [
    "agreement",
    "anchor",
    "checkpoint",
    "claim",
    "commitment",
    "decision",
    "entry",
    "exactness",
    "head",
    "items",
    "receipt",
    "records",
    "tree",
    "type",
];

/// Whether the values are those of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exactness {
    /// The values open the commitment of the source.
    Exact,
    /// The values were rounded, coarsened or pseudonymised by what has this digest.
    Transformed(Digest),
}

/// What kind of thing is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// An entry in a tree that the organisation record names.
    Fact,
    /// A delivery in the ledger of an agreement.
    Delivery,
}

impl ClaimKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ClaimKind::Fact => "fact",
            ClaimKind::Delivery => "delivery",
        }
    }
}

/// What is claimed, in plain words; it must equal what is disclosed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What kind of thing it is.
    pub kind: ClaimKind,
    /// The twin of a fact, empty when that is withheld; the agreement of a delivery in hex.
    pub subject: String,
    /// The lexical form of every disclosed attribute by its path.
    pub values: BTreeMap<String, String>,
}

/// The payload commitment and what is shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The disclosed attributes and the other digests.
    pub disclosure: Disclosure,
    /// The commitment that they make.
    pub pc: Digest,
}

/// Where the commitment stands, and the leaf that makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryAt {
    /// The tree.
    pub tree: TreeId,
    /// The position in it.
    pub index: u64,
    /// The leaf.
    pub leaf: Digest,
}

/// The leaf under the root of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeProof {
    /// How many leaves the tree has.
    pub size: u64,
    /// From the leaf to the root.
    pub path: Vec<Digest>,
    /// The root.
    pub root: Digest,
}

/// The head of the tree under the root over all heads of one tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadProof {
    /// The tick.
    pub tick: u64,
    /// The slot of the tree.
    pub slot: u64,
    /// How many slots there are.
    pub slots: u64,
    /// The size of the tree, as in the tree's own proof.
    pub size: u64,
    /// What blinds this head.
    pub blind: [u8; 16],
    /// The hash in the slot.
    pub leaf: Digest,
    /// From the slot to the root over all slots.
    pub path: Vec<Digest>,
    /// That root.
    pub heads: Digest,
}

/// The heads of one tick under the root of the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorProof {
    /// The tick, which is the position of its leaf in the anchor.
    pub tick: u64,
    /// When the tick was, in microseconds since 1970.
    pub time: u64,
    /// The anchor leaf.
    pub leaf: Digest,
    /// From the anchor leaf to the root.
    pub path: Vec<Digest>,
    /// How many leaves the anchor has.
    pub size: u64,
    /// The root of the anchor.
    pub root: Digest,
}

/// Single delivered items, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    /// How many items were delivered in all.
    pub count: u64,
    /// Those that are shown, in rising order.
    pub shown: Vec<ShownItem>,
}

/// One delivered item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownItem {
    /// Its position among the delivered items.
    pub index: u64,
    /// The bytes of its point.
    pub bytes: Vec<u8>,
    /// From its leaf to the root in the attribute `items`.
    pub path: Vec<Digest>,
}

/// A bundle, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Whether the values are those of the source.
    pub exactness: Exactness,
    /// What is claimed.
    pub claim: Claim,
    /// What is disclosed.
    pub commitment: Opened,
    /// Where it stands.
    pub entry: EntryAt,
    /// The entry in its tree.
    pub tree: TreeProof,
    /// The tree in its slot.
    pub head: HeadProof,
    /// The slots in the anchor.
    pub anchor: AnchorProof,
    /// The signed note over the anchor.
    pub checkpoint: String,
    /// The agreement of a delivery.
    pub agreement: Option<Envelope>,
    /// The decision behind a delivery.
    pub decision: Option<Envelope>,
    /// The receipt of a delivery.
    pub receipt: Option<Envelope>,
    /// Single delivered items.
    pub items: Option<Items>,
    /// The issuer's organisation record, then the audience's where there is one.
    pub records: Vec<Envelope>,
}

impl Bundle {
    /// The bytes of the container.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        contain(&self.to_json().canonical())
    }

    /// The bundle in these bytes.
    ///
    /// # Errors
    /// With the link `container` when they are more than [`MAX_BUNDLE_BYTES`] or the first line
    /// does not fit, `document` when the rest is not the canonical JSON document, and the link of
    /// the first section that is not of its form.
    pub fn parse(bytes: &[u8]) -> Result<Bundle, Broken> {
        let document = document(bytes)?;
        let json = Json::parse_canonical(document)
            .map_err(|e| Link::Document.broken(format!("the document cannot be read: {e}")))?;
        Bundle::from_json(&json)
    }

    fn to_json(&self) -> Json {
        let envelope = |e: &Option<Envelope>| e.as_ref().map_or(Json::Null, Envelope::to_json);
        Json::object([
            ("agreement", envelope(&self.agreement)),
            ("anchor", self.anchor.to_json()),
            ("checkpoint", Json::text(&self.checkpoint)),
            ("claim", self.claim.to_json()),
            ("commitment", self.commitment.to_json()),
            ("decision", envelope(&self.decision)),
            ("entry", self.entry.to_json()),
            ("exactness", self.exactness.to_json()),
            ("head", self.head.to_json()),
            ("items", self.items.as_ref().map_or(Json::Null, Items::to_json)),
            ("receipt", envelope(&self.receipt)),
            ("records", Json::Array(self.records.iter().map(Envelope::to_json).collect())),
            ("tree", self.tree.to_json()),
            ("type", Json::text("twinpact-bundle/1")),
        ])
    }

    fn from_json(json: &Json) -> Result<Bundle, Broken> {
        let form = |why: Malformed| Link::Document.malformed(why);
        let members = Members::of("the bundle", json, &MEMBERS).map_err(form)?;
        members.constant("type", "twinpact-bundle/1").map_err(form)?;
        let section = |name: &str| members.json(name).map_err(form);
        let signed = |name: &str, link: Link| optional_envelope(section(name)?, link);
        Ok(Bundle {
            records: records(section("records")?)?,
            commitment: read(Link::Commitment, section("commitment")?, Opened::from_json)?,
            exactness: read(Link::Claim, section("exactness")?, Exactness::from_json)?,
            claim: read(Link::Claim, section("claim")?, Claim::from_json)?,
            entry: read(Link::Entry, section("entry")?, EntryAt::from_json)?,
            tree: read(Link::Tree, section("tree")?, TreeProof::from_json)?,
            head: read(Link::Head, section("head")?, HeadProof::from_json)?,
            anchor: read(Link::Anchor, section("anchor")?, AnchorProof::from_json)?,
            checkpoint: members
                .text("checkpoint", MAX_NOTE_BYTES)
                .map_err(|why| Link::Checkpoint.malformed(why))?
                .to_owned(),
            agreement: signed("agreement", Link::Agreement)?,
            decision: signed("decision", Link::Decision)?,
            receipt: signed("receipt", Link::Receipt)?,
            items: match section("items")? {
                Json::Null => None,
                items => Some(read(Link::Items, items, Items::from_json)?),
            },
        })
    }
}

/// The container around a document.
#[must_use]
pub fn contain(document: &str) -> Vec<u8> {
    let first_line = format!("{FIRST_LINE}{}\n", to_hex(&sha256(document.as_bytes())));
    [first_line.as_bytes(), document.as_bytes()].concat()
}

/// The document in a container whose first line fits.
fn document(bytes: &[u8]) -> Result<&[u8], Broken> {
    if bytes.len() > MAX_BUNDLE_BYTES {
        return Err(Link::Container.broken("the bundle is larger than 16 MiB"));
    }
    let (line, document) = bytes
        .split_at_checked(FIRST_LINE_BYTES)
        .filter(|(line, _)| line.starts_with(FIRST_LINE.as_bytes()))
        .ok_or_else(|| Link::Container.broken("this is not a Twinpact bundle of version 1"))?;
    let expect = format!("{FIRST_LINE}{}\n", to_hex(&sha256(document)));
    if line == expect.as_bytes() {
        Ok(document)
    } else {
        Err(Link::Container.broken(
            "the digest in the first line is not that of the rest: the bundle was changed or cut",
        ))
    }
}

fn read<T>(link: Link, json: &Json, form: fn(&Json) -> Result<T, Malformed>) -> Result<T, Broken> {
    form(json).map_err(|why| link.malformed(why))
}

fn envelope(json: &Json, link: Link) -> Result<Envelope, Broken> {
    Envelope::read(json)
        .ok_or_else(|| link.broken(format!("the {link} is not a DSSE envelope of canonical JSON")))
}

fn optional_envelope(json: &Json, link: Link) -> Result<Option<Envelope>, Broken> {
    match json {
        Json::Null => Ok(None),
        other => envelope(other, link).map(Some),
    }
}

fn records(json: &Json) -> Result<Vec<Envelope>, Broken> {
    let items = json.as_array().filter(|items| (1..=MAX_RECORDS).contains(&items.len()));
    items
        .ok_or_else(|| Link::Record.broken("a bundle has one or two organisation records"))?
        .iter()
        .map(|item| envelope(item, Link::Record))
        .collect()
}

impl Exactness {
    fn to_json(&self) -> Json {
        match self {
            Exactness::Exact => Json::text("exact"),
            Exactness::Transformed(by) => Json::object([("transformed", hex_json(by))]),
        }
    }

    fn from_json(json: &Json) -> Result<Exactness, Malformed> {
        if json.as_text() == Some("exact") {
            return Ok(Exactness::Exact);
        }
        Members::of("exactness", json, &["transformed"])?
            .hex("transformed")
            .map(Exactness::Transformed)
    }
}

impl Claim {
    fn to_json(&self) -> Json {
        let values = self.values.iter().map(|(path, lexical)| (path.as_str(), Json::text(lexical)));
        Json::object([
            ("kind", Json::text(self.kind.name())),
            ("subject", Json::text(&self.subject)),
            ("values", Json::object(values)),
        ])
    }

    fn from_json(json: &Json) -> Result<Claim, Malformed> {
        let members = Members::of("the claim", json, &["kind", "subject", "values"])?;
        let kind = match members.json("kind")?.as_text() {
            Some("fact") => ClaimKind::Fact,
            Some("delivery") => ClaimKind::Delivery,
            _ => return Err(members.wrong("kind", "\"fact\" or \"delivery\"")),
        };
        let subject = members.json("subject")?.as_text().filter(|t| t.len() <= MAX_TEXT_BYTES);
        let subject = subject.ok_or_else(|| members.wrong("subject", "a text"))?.to_owned();
        let Json::Object(values) = members.json("values")? else {
            return Err(members.wrong("values", "an object of texts"));
        };
        let values: Option<BTreeMap<String, String>> =
            values.iter().map(|(k, v)| Some((k.to_string(), v.as_text()?.to_owned()))).collect();
        let values = values.ok_or_else(|| members.wrong("values", "an object of texts"))?;
        Ok(Claim { kind, subject, values })
    }
}

impl Opened {
    fn to_json(&self) -> Json {
        let disclosed = self.disclosure.disclosed.iter().map(|bytes| text64::encode(bytes));
        Json::object([
            ("disclosed", Json::texts(disclosed)),
            ("pc", hex_json(&self.pc)),
            ("withheld", hex_list_json(&self.disclosure.withheld)),
        ])
    }

    fn from_json(json: &Json) -> Result<Opened, Malformed> {
        let members = Members::of("the commitment", json, &["disclosed", "pc", "withheld"])?;
        let bytes = |item: &Json| {
            text64::decode(item.as_text()?).filter(|bytes| bytes.len() <= MAX_OPENING_BYTES)
        };
        let disclosed = members.list("disclosed", MAX_ATTRIBUTES)?.iter().map(bytes);
        let disclosed: Option<Vec<Vec<u8>>> = disclosed.collect();
        let disclosure = Disclosure {
            disclosed: disclosed.ok_or_else(|| members.wrong("disclosed", "a list of base64"))?,
            withheld: members.hex_list("withheld", MAX_ATTRIBUTES)?,
        };
        Ok(Opened { disclosure, pc: members.hex("pc")? })
    }
}

impl EntryAt {
    fn to_json(&self) -> Json {
        Json::object([
            ("index", uint_json(self.index)),
            ("leaf", hex_json(&self.leaf)),
            ("tree", hex_json(&self.tree)),
        ])
    }

    fn from_json(json: &Json) -> Result<EntryAt, Malformed> {
        let members = Members::of("the entry", json, &["index", "leaf", "tree"])?;
        Ok(EntryAt {
            tree: members.hex("tree")?,
            index: members.uint("index")?,
            leaf: members.hex("leaf")?,
        })
    }
}

impl TreeProof {
    fn to_json(&self) -> Json {
        Json::object([
            ("path", hex_list_json(&self.path)),
            ("root", hex_json(&self.root)),
            ("size", uint_json(self.size)),
        ])
    }

    fn from_json(json: &Json) -> Result<TreeProof, Malformed> {
        let members = Members::of("the tree", json, &["path", "root", "size"])?;
        Ok(TreeProof {
            size: members.uint("size")?,
            path: members.hex_list("path", MAX_PATH)?,
            root: members.hex("root")?,
        })
    }
}

impl HeadProof {
    fn to_json(&self) -> Json {
        Json::object([
            ("blind", hex_json(&self.blind)),
            ("heads", hex_json(&self.heads)),
            ("leaf", hex_json(&self.leaf)),
            ("path", hex_list_json(&self.path)),
            ("size", uint_json(self.size)),
            ("slot", uint_json(self.slot)),
            ("slots", uint_json(self.slots)),
            ("tick", uint_json(self.tick)),
        ])
    }

    fn from_json(json: &Json) -> Result<HeadProof, Malformed> {
        let names = ["blind", "heads", "leaf", "path", "size", "slot", "slots", "tick"];
        let members = Members::of("the head", json, &names)?;
        Ok(HeadProof {
            tick: members.uint("tick")?,
            slot: members.uint("slot")?,
            slots: members.uint("slots")?,
            size: members.uint("size")?,
            blind: members.hex("blind")?,
            leaf: members.hex("leaf")?,
            path: members.hex_list("path", MAX_PATH)?,
            heads: members.hex("heads")?,
        })
    }
}

impl AnchorProof {
    fn to_json(&self) -> Json {
        Json::object([
            ("leaf", hex_json(&self.leaf)),
            ("path", hex_list_json(&self.path)),
            ("root", hex_json(&self.root)),
            ("size", uint_json(self.size)),
            ("tick", uint_json(self.tick)),
            ("time", uint_json(self.time)),
        ])
    }

    fn from_json(json: &Json) -> Result<AnchorProof, Malformed> {
        let names = ["leaf", "path", "root", "size", "tick", "time"];
        let members = Members::of("the anchor", json, &names)?;
        Ok(AnchorProof {
            tick: members.uint("tick")?,
            time: members.uint("time")?,
            leaf: members.hex("leaf")?,
            path: members.hex_list("path", MAX_PATH)?,
            size: members.uint("size")?,
            root: members.hex("root")?,
        })
    }
}

impl Items {
    fn to_json(&self) -> Json {
        let shown = self.shown.iter().map(|item| {
            Json::object([
                ("bytes", Json::text(text64::encode(&item.bytes))),
                ("index", uint_json(item.index)),
                ("path", hex_list_json(&item.path)),
            ])
        });
        Json::object([("count", uint_json(self.count)), ("shown", Json::Array(shown.collect()))])
    }

    fn from_json(json: &Json) -> Result<Items, Malformed> {
        let members = Members::of("items", json, &["count", "shown"])?;
        let shown = members.list("shown", MAX_SHOWN_ITEMS)?.iter().map(|item| {
            let members = Members::of("an item", item, &["bytes", "index", "path"])?;
            Ok(ShownItem {
                index: members.uint("index")?,
                bytes: members.base64("bytes", MAX_OPENING_BYTES)?,
                path: members.hex_list("path", MAX_PATH)?,
            })
        });
        let count = members.uint("count")?;
        Ok(Items { count, shown: shown.collect::<Result<_, Malformed>>()? })
    }
}
