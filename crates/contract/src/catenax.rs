//! The Catena-X policy profile 2025/9 (CX-0152), and the four operands of the one before it: which
//! left operands there are, where each may stand, and with which operators and right operands.
//!
//! Its terms are known here and nobody here can decide them: some are proven by credentials of that
//! network, most are clauses of a contract in words. So they are carried as they are, in normal
//! form, and what depends on one is refused when a request comes. None is taken for one of ours:
//! `UsagePurpose` names clauses and not our purposes, `BusinessPartnerNumber` no identity that we
//! check, and the end of use is that of a right to use and of the agreement at once, counted from
//! when it was concluded, while our `dateTime` limits when rows are shown and our duty to delete
//! counts from when they were received.

use twinpact_model::suggest::nearest;
use twinpact_model::{Problem, Timestamp, codes};

/// The namespace of the profile 2025/9, which is also its name.
pub const CATENAX: &str = "https://w3id.org/catenax/2025/9/policy/";
/// The namespace of the profile before it.
pub const CATENAX_2405: &str = "https://w3id.org/catenax/policy/";
/// The prefix that both contexts declare; without a context it is that of 2025/9.
pub(crate) const PREFIX: &str = "cx-policy:";
/// What `profile` may be.
pub(crate) const PROFILES: [&str; 2] = [CATENAX, "https://w3id.org/catenax/policy/profile2405"];
/// The contexts of the profile. They give its names the meaning that they have here anyway.
pub(crate) const CONTEXTS: [&str; 2] = [
    "https://w3id.org/catenax/2025/9/policy/context.jsonld",
    "https://w3id.org/catenax/2025/9/policy/odrl.jsonld",
];
/// The longest value that is free text, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;

/// How the values of a condition are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetTest {
    /// That one.
    Eq,
    /// One of them.
    AnyOf,
    /// All of them.
    AllOf,
    /// None of them.
    NoneOf,
}

impl SetTest {
    /// The ODRL operator.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SetTest::Eq => "eq",
            SetTest::AnyOf => "isAnyOf",
            SetTest::AllOf => "isAllOf",
            SetTest::NoneOf => "isNoneOf",
        }
    }
}

/// The kinds of rule that a condition may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Access,
    Use,
    Prohibition,
    Obligation,
}

impl Position {
    fn name(self) -> &'static str {
        match self {
            Position::Access => "a permission to access",
            Position::Use => "a permission to use",
            Position::Prohibition => "a prohibition",
            Position::Obligation => "an obligation",
        }
    }
}

/// What a right operand is.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// One of these.
    Codes(&'static [&'static str]),
    /// One of these, or a text of the parties that does not begin like them.
    CodesOrText(&'static [&'static str]),
    /// A text of the parties.
    Text,
    /// The number of a legal entity: `BPNL` and twelve digits or capital letters.
    PartnerNumber,
    /// A time to the second; kept in UTC.
    Date,
    /// A whole number; kept as digits.
    Count,
}

/// A left operand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    namespace: &'static str,
    name: &'static str,
    tests: &'static [SetTest],
    shape: Shape,
    positions: &'static [Position],
    /// Whether it only limits. The others are clauses that may give as well as take: companies that
    /// may use the data too, warranty, a contract beside this one.
    limits: bool,
}

use Position::{Access, Obligation, Prohibition, Use};
use SetTest::{AllOf, AnyOf, Eq as Equal, NoneOf};
use Shape::{Codes, CodesOrText, Count, Date, PartnerNumber, Text};

const REGIONS: &[&str] = &[
    "cx.region.all:1",
    "cx.region.europe:1",
    "cx.region.northAmerica:1",
    "cx.region.southAmerica:1",
    "cx.region.africa:1",
    "cx.region.asia:1",
    "cx.region.oceania:1",
    "cx.region.antarctica:1",
];
const PURPOSES: &[&str] = &[
    "cx.core.legalRequirementForThirdparty:1",
    "cx.core.industrycore:1",
    "cx.core.qualityNotifications:1",
    "cx.core.digitalTwinRegistry:1",
    "cx.pcf.base:1",
    "cx.quality.base:1",
    "cx.dcm.base:1",
    "cx.puris.base:1",
    "cx.circular.dpp:1",
    "cx.circular.smc:1",
    "cx.circular.marketplace:1",
    "cx.circular.materialaccounting:1",
    "cx.bpdm.gate.upload:1",
    "cx.bpdm.gate.download:1",
    "cx.bpdm.pool:1",
    "cx.bpdm.poolAll:1",
    "cx.bpdm.vas.countryrisk:1",
    "cx.bpdm.vas.dataquality.upload:1",
    "cx.bpdm.vas.dataquality.download:1",
    "cx.bpdm.vas.bdv.upload:1",
    "cx.bpdm.vas.bdv.download:1",
    "cx.bpdm.vas.fpd.upload:1",
    "cx.bpdm.vas.fpd.download:1",
    "cx.bpdm.vas.swd.upload:1",
    "cx.bpdm.vas.swd.download:1",
    "cx.bpdm.vas.nps.upload:1",
    "cx.bpdm.vas.nps.download:1",
    "cx.ccm.base:1",
    "cx.logistics.base:1",
];
/// The last two are not in its schema; its own sample of all constraints has them.
const RESTRICTIONS: &[&str] = &[
    "cx.thirdParty.forbidden:1",
    "cx.manipulation.forbidden:1",
    "cx.derivations.forbidden:1",
    "cx.extraordinaryAnalytics.forbidden:1",
    "cx.dataProviderRemoval.forbidden:1",
    "ExtraordinaryAnalyticsForbiddenRightOperand",
    "DataProviderRemovalForbiddenRightOperand",
];
const FRAMEWORKS_2405: &[&str] = &[
    "Traceability:1.0",
    "Pcf:1.0",
    "Quality:1.0",
    "CircularEconomy:1.0",
    "DemandCapacity:1.0",
    "Puris:1.0",
    "BusinessPartner:1.0",
    "BehavioralTwin:1.0",
    "DataExchangeGovernance:1.0",
];
const BOTH: &[Position] = &[Access, Use];
const PERMITTED: &[Position] = &[Use];
const FORBIDDEN: &[Position] = &[Prohibition];
const EITHER: &[Position] = &[Use, Prohibition];
const OBLIGED: &[Position] = &[Obligation];
const ONE: &[SetTest] = &[Equal];
const ANY: &[SetTest] = &[AnyOf];
const ALL: &[SetTest] = &[AllOf];
const IN_OR_OUT: &[SetTest] = &[AnyOf, NoneOf];

/// The operands. A value that its samples write without a version stands beside the one with it
/// and is not taken for it.
const OPERANDS: &[Operand] = &[
    clause("AffiliatesBpnl", ANY, PartnerNumber, EITHER),
    clause("AffiliatesRegion", ANY, Codes(REGIONS), EITHER),
    limit("BusinessPartnerGroup", IN_OR_OUT, Text, &[Access]),
    limit("BusinessPartnerNumber", IN_OR_OUT, PartnerNumber, &[Access]),
    limit(
        "ConfidentialInformationMeasures",
        ONE,
        Codes(&["cx.confidentiality.measures:1"]),
        PERMITTED,
    ),
    clause(
        "ConfidentialInformationSharing",
        ANY,
        Codes(&["cx.sharing.affiliates:1", "cx.sharing.managedLegalEntity:1"]),
        PERMITTED,
    ),
    clause("ContractReference", ALL, Text, PERMITTED),
    clause(
        "ContractTermination",
        ONE,
        Codes(&["cx.data.deletion:1", "cx.data.keeping:1", "cx.data.keeping"]),
        PERMITTED,
    ),
    clause(
        "DataFrequency",
        ONE,
        Codes(&["cx.dataFrequency.once:1", "cx.dataFrequency.unlimited:1"]),
        PERMITTED,
    ),
    clause("DataProvisioningEndDate", ONE, Date, OBLIGED),
    clause("DataProvisioningEndDurationDays", ONE, Count, OBLIGED),
    limit("DataUsageEndDate", ONE, Date, PERMITTED),
    clause(
        "DataUsageEndDefinition",
        ONE,
        Codes(&["cx.dataUsageEnd.unlimited:1", "cx.dataUsageEnd.unlimited"]),
        PERMITTED,
    ),
    limit("DataUsageEndDurationDays", ONE, Count, PERMITTED),
    clause("ExclusiveUsage", ONE, Codes(&["cx.exclusiveUsage.dataConsumer:1"]), PERMITTED),
    limit("FrameworkAgreement", ONE, Codes(&["DataExchangeGovernance:1.0"]), BOTH),
    clause("JurisdictionLocation", ONE, Text, PERMITTED),
    clause(
        "JurisdictionLocationReference",
        ONE,
        Codes(&["cx.location.dataConsumer:1", "cx.location.contractReference:1"]),
        PERMITTED,
    ),
    clause("Liability", ONE, Codes(&["cx.grossNegligence:1", "cx.slightNegligence:1"]), PERMITTED),
    clause("ManagedLegalEntityBpnl", ANY, PartnerNumber, PERMITTED),
    clause("ManagedLegalEntityRegion", ANY, Codes(REGIONS), PERMITTED),
    limit("Membership", ONE, Codes(&["active"]), BOTH),
    clause(
        "Precedence",
        ONE,
        Codes(&["cx.precedence.contractReference:1", "cx.precedence.rcAgreement:1"]),
        PERMITTED,
    ),
    limit("UsagePurpose", ANY, CodesOrText(PURPOSES), PERMITTED),
    clause("UsageRestriction", ALL, Codes(RESTRICTIONS), FORBIDDEN),
    clause(
        "VersionChanges",
        ONE,
        Codes(&["cx.versionChanges.minor:1", "cx.versionChanges.major:1"]),
        PERMITTED,
    ),
    clause(
        "Warranty",
        ONE,
        Codes(&[
            "cx.warranty.none:1",
            "cx.warranty.contractReference:1",
            "cx.warranty.dataQualityIssues:1",
        ]),
        PERMITTED,
    ),
    clause("WarrantyDefinition", ONE, Codes(&["cx.warranty.contractEndDate:1"]), PERMITTED),
    clause("WarrantyDurationMonths", ONE, Count, PERMITTED),
    Operand { shape: Text, ..old("ContractReference", false) },
    Operand { shape: Codes(FRAMEWORKS_2405), ..old("FrameworkAgreement", true) },
    Operand { shape: Codes(&["active"]), ..old("Membership", true) },
    Operand { shape: CodesOrText(PURPOSES), ..old("UsagePurpose", true) },
];

const fn limit(
    name: &'static str,
    tests: &'static [SetTest],
    shape: Shape,
    positions: &'static [Position],
) -> Operand {
    Operand { namespace: CATENAX, name, tests, shape, positions, limits: true }
}

const fn clause(
    name: &'static str,
    tests: &'static [SetTest],
    shape: Shape,
    positions: &'static [Position],
) -> Operand {
    Operand { namespace: CATENAX, name, tests, shape, positions, limits: false }
}

/// An operand of the profile before, which knows `eq` alone.
const fn old(name: &'static str, limits: bool) -> Operand {
    Operand { namespace: CATENAX_2405, name, tests: ONE, shape: Text, positions: BOTH, limits }
}

/// The operand of that name: bare, prefixed or in full.
pub(crate) fn operand(name: &str) -> Option<&'static Operand> {
    let (namespace, local) = match name.strip_prefix(CATENAX_2405) {
        Some(local) => (CATENAX_2405, local),
        None => (CATENAX, local_name(name)?),
    };
    OPERANDS.iter().find(|o| o.namespace == namespace && o.name == local)
}

/// The local name of one of 2025/9; of a bare name itself.
pub(crate) fn local_name(name: &str) -> Option<&str> {
    let prefixed = name.strip_prefix(CATENAX).or(name.strip_prefix(PREFIX));
    prefixed.or((!name.contains(':')).then_some(name))
}

impl Operand {
    /// Whether it may stand there.
    ///
    /// # Errors
    /// `contract.term_shape` with the places where it may.
    pub(crate) fn may_stand(&self, position: Position) -> Result<(), Problem> {
        if self.positions.contains(&position) {
            return Ok(());
        }
        let possible: Vec<&str> = self.positions.iter().map(|p| p.name()).collect();
        let why = format!("{} cannot stand in {}", self.name, position.name());
        Err(Problem::new(codes::CONTRACT_TERM_SHAPE, why)
            .hint(format!("it belongs into {}", possible.join(" or "))))
    }

    /// The operators that it may have.
    pub(crate) fn operators(&self) -> Vec<&'static str> {
        self.tests.iter().map(|test| test.name()).collect()
    }

    /// The one spelling of a value.
    fn value(&self, text: &str) -> Result<String, Problem> {
        let whole = text.to_owned();
        let refuse = |what: String| {
            let shown: String = text.chars().take(120).collect();
            let why = format!("{shown:?} is no value of {}", self.name);
            Err(Problem::new(codes::CONTRACT_TERM_SHAPE, why).hint(what))
        };
        match &self.shape {
            Codes(known) | CodesOrText(known) if known.contains(&text) => Ok(whole),
            Codes(known) => refuse(near(text, known)),
            CodesOrText(known) if text.starts_with("cx.") => refuse(near(text, known)),
            CodesOrText(_) | Text => match is_words(text) {
                true => Ok(whole),
                false => refuse(format!("a text of 1 to {MAX_VALUE_BYTES} bytes in one line")),
            },
            PartnerNumber => match is_partner_number(text) {
                true => Ok(whole),
                false => refuse("BPNL and twelve digits or capital letters".to_owned()),
            },
            Date => match Timestamp::parse(text) {
                Ok(at) if at.micros() % 1_000_000 == 0 && !text.contains('.') => Ok(at.to_string()),
                _ => refuse("a time to the second, like 2027-12-15T12:00:00Z".to_owned()),
            },
            Count => match text.parse::<u32>() {
                Ok(number) if number.to_string() == text => Ok(whole),
                _ => refuse("a whole number, like 30".to_owned()),
            },
        }
    }
}

fn near(text: &str, known: &[&str]) -> String {
    match nearest(text, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.len() > 10 => "see the profile for the values that it has".to_owned(),
        None => format!("possible: {}", known.join(", ")),
    }
}

fn is_words(text: &str) -> bool {
    let size = !text.trim().is_empty() && text.len() <= MAX_VALUE_BYTES;
    size && !text.chars().any(char::is_control)
}

fn is_partner_number(text: &str) -> bool {
    text.strip_prefix("BPNL").is_some_and(|rest| {
        rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    })
}

/// A condition of the profile. It is only made of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    operand: &'static Operand,
    test: SetTest,
    values: Vec<String>,
}

impl Undecided {
    /// A condition in normal form: its values sorted, each once.
    ///
    /// # Errors
    /// `contract.term_unknown` for a name that the profile does not have, or an operator that the
    /// operand does not; `contract.term_shape` for a value that it does not, none, or several
    /// with `eq`.
    pub fn new(name: &str, test: SetTest, values: &[String]) -> Result<Self, Problem> {
        let Some(operand) = operand(name) else {
            let why = format!("{name:?} is no operand of the Catena-X profile");
            return Err(Problem::new(codes::CONTRACT_TERM_UNKNOWN, why));
        };
        Undecided::of(operand, test.name(), values).map_err(|wrong| match wrong {
            Wrong::Operator => {
                let why = format!("{:?} is not possible with {}", test.name(), operand.name);
                Problem::new(codes::CONTRACT_TERM_UNKNOWN, why)
            }
            Wrong::Value(problem) => problem,
        })
    }

    pub(crate) fn of(
        operand: &'static Operand,
        operator: &str,
        values: &[String],
    ) -> Result<Self, Wrong> {
        let test = operand.tests.iter().copied().find(|test| test.name() == operator);
        let test = test.ok_or(Wrong::Operator)?;
        let values: Result<Vec<String>, Problem> =
            values.iter().map(|text| operand.value(text)).collect();
        let values = crate::terms::normal_set(values.map_err(Wrong::Value)?, test == Equal)
            .map_err(Wrong::Value)?;
        Ok(Undecided { operand, test, values })
    }

    /// Its name as people say it: `FrameworkAgreement`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.operand.name
    }

    /// The full IRI of its left operand.
    #[must_use]
    pub fn iri(&self) -> String {
        format!("{}{}", self.operand.namespace, self.operand.name)
    }

    /// The name of the profile that it belongs to.
    pub(crate) fn profile(&self) -> &'static str {
        PROFILES.iter().find(|name| name.starts_with(self.operand.namespace)).unwrap_or(&CATENAX)
    }

    /// How its values are meant.
    #[must_use]
    pub fn test(&self) -> SetTest {
        self.test
    }

    /// Its values; sorted, each once, at least one.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether it only limits what may be done; a clause may give as well.
    #[must_use]
    pub fn limits(&self) -> bool {
        self.operand.limits
    }

    /// Whether it holds only where the other holds, whatever they mean: the same values, and of
    /// sets fewer that are allowed or more that are not. Clauses that all apply are compared as a
    /// whole, since more of them may ask more or forbid more.
    pub(crate) fn implies(&self, other: &Undecided) -> bool {
        let all_in = |a: &[String], b: &[String]| a.iter().all(|value| b.contains(value));
        self.operand == other.operand
            && self.test == other.test
            && match self.test {
                SetTest::AnyOf => all_in(&self.values, &other.values),
                SetTest::NoneOf => all_in(&other.values, &self.values),
                SetTest::Eq | SetTest::AllOf => self.values == other.values,
            }
    }

    /// Whether the two never hold at once, whatever they mean: there is one end, so it is not on
    /// two dates nor after two numbers of days. Two framework agreements may both be in force.
    pub(crate) fn excludes(&self, other: &Undecided) -> bool {
        self.operand == other.operand
            && matches!(self.operand.shape, Date | Count)
            && self.values != other.values
    }
}

/// What is wrong with a condition.
pub(crate) enum Wrong {
    Operator,
    Value(Problem),
}
