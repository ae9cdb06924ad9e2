//! Purposes and regions: what lies within what.
//!
//! A [`Vocabulary`] is a value that is passed in, pinned in decisions by its digest. The standard
//! one has our purposes, the countries of ISO 3166-1 alpha-2 and the EU and EEA as they are in
//! 2026. Both orders are acyclic and closed when the value is made, so that a question is one
//! look-up.

use crate::situation::Truth;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_model::{Problem, codes};
use twinpact_proof::digest::{Digest, sha256};
use twinpact_proof::json::Json;

/// Our purposes: this and a name of the table.
pub const PURPOSE: &str = "https://w3id.org/twinpact/purpose/";
/// Our regions: this and a code of the table.
pub const REGION: &str = "https://w3id.org/twinpact/region/";
/// The most purposes, and the most regions, of one vocabulary.
pub const MAX_NAMES: usize = 4096;

/// Each purpose and the broader ones that it is a kind of.
const PURPOSES: &[(&str, &[&str])] = &[
    ("Maintenance", &[]),
    ("PredictiveMaintenance", &["Maintenance"]),
    ("CorrectiveMaintenance", &["Maintenance"]),
    ("QualityAssurance", &[]),
    ("DefectContainment", &["QualityAssurance"]),
    ("WarrantyAnalysis", &["QualityAssurance"]),
    ("Operation", &[]),
    ("EnergyBalancing", &["Operation"]),
    ("CongestionManagement", &["Operation"]),
    ("Reporting", &[]),
    ("RegulatoryReporting", &["Reporting"]),
    ("CarbonFootprint", &["Reporting"]),
    ("Benchmarking", &[]),
    ("Research", &[]),
    ("Billing", &[]),
    ("Marketing", &[]),
];

/// The member states of the European Union.
const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

/// The countries of ISO 3166-1 alpha-2.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ \
    BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM \
    DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS \
    GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ \
    MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI \
    VN VU WF WS YE YT ZA ZM ZW";

/// The names of our purposes, without the namespace.
pub fn purpose_names() -> impl Iterator<Item = &'static str> {
    PURPOSES.iter().map(|(name, _)| *name)
}

/// The codes of our regions, without the namespace.
pub fn region_codes() -> impl Iterator<Item = &'static str> {
    ["EU", "EEA"].into_iter().chain(COUNTRIES.split_whitespace())
}

/// The full IRI of a place that was given as an IRI, with the prefix `twinpact:`, or as a bare code
/// of the table; any other text as it is, which no vocabulary knows.
#[must_use]
pub fn place_iri(text: &str) -> String {
    let code = text.strip_prefix("twinpact:region/").unwrap_or(text);
    match region_codes().find(|known| *known == code) {
        Some(known) => format!("{REGION}{known}"),
        None => text.to_owned(),
    }
}

/// For each name all that it lies within, itself included.
type Closure = BTreeMap<String, BTreeSet<String>>;

/// Which purposes and regions there are, and how they contain each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    purposes: Closure,
    regions: Closure,
    digest: Digest,
}

impl Vocabulary {
    /// A vocabulary from pairs of full IRIs: each purpose with the broader purposes that it is a
    /// kind of, and each region with the regions or countries that it consists of. A name that
    /// occurs only on the right is known too.
    ///
    /// # Errors
    /// `contract.vocabulary` when a name lies within itself by way of others, or there are more
    /// than [`MAX_NAMES`] of one kind.
    pub fn new(
        purposes: &[(String, Vec<String>)],
        regions: &[(String, Vec<String>)],
    ) -> Result<Self, Problem> {
        let upward = purposes.iter().flat_map(|(narrow, broad)| {
            std::iter::once((narrow.clone(), narrow.clone()))
                .chain(broad.iter().map(|b| (narrow.clone(), b.clone())))
        });
        let downward = regions.iter().flat_map(|(region, members)| {
            std::iter::once((region.clone(), region.clone()))
                .chain(members.iter().map(|m| (m.clone(), region.clone())))
        });
        let (purposes, regions) = (close(upward)?, close(downward)?);
        let json = Json::object([("purposes", json(&purposes)), ("regions", json(&regions))]);
        let digest = sha256(json.canonical().as_bytes());
        Ok(Vocabulary { purposes, regions, digest })
    }

    /// Our purposes, the countries, the EU and the EEA.
    #[must_use]
    pub fn standard() -> Self {
        let purposes: Vec<(String, Vec<String>)> = PURPOSES
            .iter()
            .map(|(name, broad)| {
                (
                    format!("{PURPOSE}{name}"),
                    broad.iter().map(|b| format!("{PURPOSE}{b}")).collect(),
                )
            })
            .collect();
        let iri = |code: &str| format!("{REGION}{code}");
        let mut regions: Vec<(String, Vec<String>)> =
            COUNTRIES.split_whitespace().map(|code| (iri(code), Vec::new())).collect();
        regions.push((iri("EU"), EU.split_whitespace().map(iri).collect()));
        regions.push((iri("EEA"), ["EU", "IS", "LI", "NO"].map(iri).to_vec()));
        // The tables are constants and a test holds that they are acyclic; were they not, the empty
        // vocabulary would leave every question unknown, and unknown means no.
        Vocabulary::new(&purposes, &regions).unwrap_or_else(|_| Vocabulary::empty())
    }

    /// The vocabulary that knows nothing.
    fn empty() -> Self {
        let (purposes, regions) = (Closure::new(), Closure::new());
        Vocabulary { purposes, regions, digest: sha256(b"{\"purposes\":{},\"regions\":{}}") }
    }

    /// SHA-256 of the canonical JSON of both closed orders.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the purpose is that one or a kind of it. Unknown when it is broader, since then it
    /// may be meant or not, and when the vocabulary lacks either of them.
    #[must_use]
    pub fn purpose_within(&self, purpose: &str, of: &str) -> Truth {
        within(&self.purposes, purpose, of)
    }

    /// Whether the place lies within the region. Unknown when it is the larger of the two, or when
    /// the vocabulary lacks either of them.
    #[must_use]
    pub fn place_within(&self, place: &str, region: &str) -> Truth {
        within(&self.regions, place, region)
    }

    /// All purposes that it knows.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        self.purposes.keys().map(String::as_str)
    }

    /// All regions that it knows.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }
}

fn within(closure: &Closure, inner: &str, outer: &str) -> Truth {
    if inner == outer {
        return Truth::True;
    }
    match (closure.get(inner), closure.get(outer)) {
        (Some(above), _) if above.contains(outer) => Truth::True,
        (_, Some(above)) if above.contains(inner) => Truth::Unknown,
        (Some(_), Some(_)) => Truth::False,
        _ => Truth::Unknown,
    }
}

/// The reflexive and transitive closure of "lies within".
fn close(pairs: impl Iterator<Item = (String, String)>) -> Result<Closure, Problem> {
    let refuse = |why: String| Err(Problem::new(codes::CONTRACT_VOCABULARY, why));
    let mut direct = Closure::new();
    for (inner, outer) in pairs {
        direct.entry(outer.clone()).or_default();
        let above = direct.entry(inner.clone()).or_default();
        if inner != outer {
            above.insert(outer);
        }
    }
    if direct.len() > MAX_NAMES {
        return refuse(format!("the vocabulary has more than {MAX_NAMES} names of one kind"));
    }
    let mut closed = Closure::new();
    for name in direct.keys() {
        let mut above = BTreeSet::from([name.clone()]);
        let mut open: Vec<&String> = direct.get(name).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if next == name {
                return refuse(format!("{name} lies within itself"));
            }
            if above.insert(next.clone()) {
                open.extend(direct.get(next).into_iter().flatten());
            }
        }
        closed.insert(name.clone(), above);
    }
    Ok(closed)
}

fn json(closure: &Closure) -> Json {
    Json::Object(closure.iter().map(|(name, above)| (name, Json::texts(above))).collect())
}

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, EU, MAX_NAMES, PURPOSE, REGION, Vocabulary, place_iri};
    use crate::situation::Truth;

    #[test]
    fn the_tables_are_whole() {
        let countries: Vec<&str> = COUNTRIES.split_whitespace().collect();
        assert_eq!(countries.len(), 249);
        assert!(countries.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(EU.split_whitespace().count(), 27);
        assert!(EU.split_whitespace().all(|code| countries.contains(&code)));
        assert_eq!(Vocabulary::standard().regions().count(), 251);
    }

    #[test]
    fn what_lies_within_what() {
        let v = Vocabulary::standard();
        for (inner, outer, expect) in [
            ("FR", "EU", Truth::True),
            ("FR", "EEA", Truth::True),
            ("NO", "EEA", Truth::True),
            ("NO", "EU", Truth::False),
            ("EU", "EU", Truth::True),
            ("EU", "FR", Truth::Unknown),
            ("US", "EU", Truth::False),
            ("Mars", "EU", Truth::Unknown),
        ] {
            let got = v.place_within(&format!("{REGION}{inner}"), &format!("{REGION}{outer}"));
            assert_eq!(got, expect, "{inner} in {outer}");
        }
        for (inner, outer, expect) in [
            ("PredictiveMaintenance", "Maintenance", Truth::True),
            ("Maintenance", "PredictiveMaintenance", Truth::Unknown),
            ("Benchmarking", "Maintenance", Truth::False),
        ] {
            let got = v.purpose_within(&format!("{PURPOSE}{inner}"), &format!("{PURPOSE}{outer}"));
            assert_eq!(got, expect, "{inner} for {outer}");
        }
        // Nobody knows what another vocabulary's purpose is a kind of.
        let foreign = v.purpose_within("https://x.example/p", &format!("{PURPOSE}Research"));
        assert_eq!(foreign, Truth::Unknown);
    }

    #[test]
    fn a_vocabulary_is_acyclic_and_bounded() {
        let pair = |a: &str, b: &str| (a.to_owned(), vec![b.to_owned()]);
        assert!(Vocabulary::new(&[pair("a", "b"), pair("b", "c")], &[]).is_ok());
        for bad in [
            vec![pair("a", "b"), pair("b", "a")],
            vec![pair("a", "b"), pair("b", "c"), pair("c", "a")],
        ] {
            assert_eq!(Vocabulary::new(&bad, &[]).unwrap_err().code.name, "contract.vocabulary");
            assert!(Vocabulary::new(&[], &bad).is_err());
        }
        let many = |n: usize| (0..n).map(|i| (format!("p{i}"), vec![])).collect::<Vec<_>>();
        assert!(Vocabulary::new(&many(MAX_NAMES), &[]).is_ok());
        assert!(Vocabulary::new(&many(MAX_NAMES + 1), &[]).is_err());
    }

    #[test]
    fn places_are_codes_or_iris() {
        for (text, expect) in [
            ("FR", "https://w3id.org/twinpact/region/FR"),
            ("twinpact:region/EU", "https://w3id.org/twinpact/region/EU"),
            ("https://w3id.org/twinpact/region/DE", "https://w3id.org/twinpact/region/DE"),
            ("fr", "fr"),
            ("France", "France"),
        ] {
            assert_eq!(place_iri(text), expect);
        }
    }
}
