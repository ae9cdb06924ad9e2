//! The reading half of [`crate::odrl`]: from any JSON spelling to the normal form, or a refusal
//! that knows where in the document it is. Nothing is guessed: a name is in the table or it is
//! refused.

use crate::catenax::{self, CATENAX, Position, Undecided, Wrong};
use crate::odrl::{DSPACE_CONTEXT, Kind, ODRL_CONTEXT, Policy, TWINPACT};
use crate::terms::{
    Action, Constraint, Duty, LOCAL_SCHEDULE, MAX_CONSTRAINTS, MAX_RULES, MAX_VALUES, ODRL,
    PlaceTest, PurposeTest, Rule, Terms, TimeTest,
};
use crate::vocabulary::{PURPOSE, REGION, purpose_names, region_codes};
use serde_json::Value;
use twinpact_model::suggest::nearest;
use twinpact_model::time::parse_duration;
use twinpact_model::{Code, Iri, Problem, Schedule, Timestamp, codes};

/// How deep `and` may nest.
pub const MAX_NESTING: usize = 8;

const DSPACE: &str = "https://w3id.org/dspace/2025/1/";
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
const POLICY_KEYS: &[&str] = &[
    "@context",
    "@type",
    "@id",
    "target",
    "assigner",
    "assignee",
    "timestamp",
    "profile",
    "permission",
    "prohibition",
    "obligation",
];
const RULE_KEYS: &[&str] =
    &["@type", "@id", "action", "constraint", "target", "assigner", "assignee"];
const CONSTRAINT_KEYS: &[&str] = &[
    "@type",
    "@id",
    "leftOperand",
    "operator",
    "rightOperand",
    "and",
    "or",
    "xone",
    "andSequence",
];
const OPERATORS: &[&str] = &[
    "eq", "neq", "gt", "gteq", "lt", "lteq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf",
    "isNoneOf",
];
/// The left operands of constraints on use; `delayPeriod` belongs to the duty to delete.
const OPERANDS: &[&str] = &["purpose", "spatial", "dateTime"];

/// One step down into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the member of that name.
    Key(String),
    /// Into the item of that number.
    Index(usize),
}

/// A refusal and the place in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The way down from the policy; empty for the policy itself.
    pub path: Vec<Step>,
    /// What is wrong there.
    pub problem: Problem,
}

impl Refused {
    fn under(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }

    /// The way down as text: `permission[0].constraint[2].leftOperand`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if out.is_empty() => out.push_str(key),
                Step::Key(key) => out.push_str(&format!(".{key}")),
                Step::Index(i) => out.push_str(&format!("[{i}]")),
            }
        }
        out
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused { path: Vec::new(), problem }
    }
}

/// Reads an offer, an agreement or a set.
///
/// # Errors
/// `contract.odrl` when it is not a policy, `contract.term_unknown` for a name that we do not know,
/// `contract.term_shape` for a rule that we could not decide. The sentence names the place.
pub fn read(value: &Value) -> Result<Policy, Problem> {
    read_at(value).map_err(|refused| {
        let place = refused.place();
        let mut problem = refused.problem;
        if !place.is_empty() {
            problem.message = format!("{} (at {place})", problem.message);
        }
        problem
    })
}

/// Like [`read`], with the place of the refusal as a path.
///
/// # Errors
/// As [`read`].
pub fn read_at(value: &Value) -> Result<Policy, Refused> {
    let members = members(value, POLICY_KEYS, "policy")?;
    if let Some(member) = find(&members, "@context") {
        check_context(member.value).map_err(|e| e.under(member.step()))?;
    }
    let head = Head {
        target: text_member(&members, "target")?,
        assigner: text_member(&members, "assigner")?,
        assignee: text_member(&members, "assignee")?,
    };
    each(&members, "profile", catenax::PROFILES.len(), read_profile)?;
    let (duties, undecided) = split(each(&members, "obligation", MAX_RULES, read_duty)?);
    let terms = Terms::new(
        each(&members, "permission", MAX_RULES, |v| read_rule(v, "Permission", &head))?.concat(),
        each(&members, "prohibition", MAX_RULES, |v| read_rule(v, "Prohibition", &head))?.concat(),
        duties,
    )?
    .with_undecided_duties(undecided)?;
    Ok(Policy {
        kind: text_member(&members, "@type")?.map_or(Ok(Kind::Set), |text| read_kind(&text))?,
        at_id: text_member(&members, "@id")?,
        target: head.target,
        assigner: head.assigner,
        assignee: head.assignee,
        timestamp: read_timestamp(&members)?,
        terms,
    })
}

/// What a rule may repeat of its policy, and may not change.
struct Head {
    target: Option<String>,
    assigner: Option<String>,
    assignee: Option<String>,
}

/// The profile may be that whose terms we know. Its names say the rest.
fn read_profile(value: &Value) -> Result<(), Refused> {
    let name = name_of(value, "profile")?;
    match catenax::PROFILES.contains(&name.as_str()) {
        true => Ok(()),
        false => Err(unknown("profile", &name, &catenax::PROFILES).into()),
    }
}

fn read_timestamp(members: &[Member<'_>]) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = text_member(members, "timestamp")? else { return Ok(None) };
    Timestamp::parse(&text).map(Some).map_err(|p| {
        let problem = Problem { code: codes::CONTRACT_ODRL, ..p };
        Refused::from(problem).under(Step::Key("timestamp".to_owned()))
    })
}

fn read_kind(text: &str) -> Result<Kind, Refused> {
    match odrl_name(text) {
        Some("Offer") => Ok(Kind::Offer),
        Some("Agreement") => Ok(Kind::Agreement),
        Some("Set" | "Policy") => Ok(Kind::Set),
        _ => {
            let problem = unknown("policy type", text, &["Offer", "Agreement", "Set"]);
            Err(Refused::from(problem).under(Step::Key("@type".to_owned())))
        }
    }
}

/// An `@type` may repeat what the place says anyway, and may not contradict it.
fn check_type(members: &[Member<'_>], possible: &[&str]) -> Result<(), Refused> {
    match text_member(members, "@type")? {
        Some(text) if !odrl_name(&text).is_some_and(|name| possible.contains(&name)) => {
            let problem = unknown("type here", &text, possible);
            Err(Refused::from(problem).under(Step::Key("@type".to_owned())))
        }
        _ => Ok(()),
    }
}

/// A context may only say what we take the names to mean anyway.
fn check_context(value: &Value) -> Result<(), Refused> {
    match value {
        Value::String(text) if text == DSPACE_CONTEXT || text == ODRL_CONTEXT => Ok(()),
        Value::String(text) if catenax::CONTEXTS.contains(&text.as_str()) => Ok(()),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| match item {
            Value::Array(_) => Err(Refused::from(shape("a context inside a context array"))),
            item => check_context(item).map_err(|e| e.under(Step::Index(i))),
        }),
        Value::Object(prefixes) => prefixes.iter().try_for_each(|(prefix, iri)| {
            let known = [
                ("odrl", ODRL),
                ("twinpact", TWINPACT),
                ("xsd", XSD),
                ("dspace", DSPACE),
                ("cx-policy", CATENAX),
            ];
            match known.iter().any(|(p, i)| p == prefix && iri.as_str() == Some(*i)) {
                true => Ok(()),
                false => Err(Refused::from(unknown("context entry", prefix, &[]))
                    .under(Step::Key(prefix.clone()))),
            }
        }),
        other => Err(Refused::from(unknown("context", &brief(other), &[]).hint(format!(
            "use {DSPACE_CONTEXT:?} and full IRIs; other contexts can change names"
        )))),
    }
}

/// One rule for each of its actions.
fn read_rule(value: &Value, kind: &str, head: &Head) -> Result<Vec<Rule>, Refused> {
    let members = members(value, RULE_KEYS, "rule")?;
    check_type(&members, &[kind, "Rule"])?;
    for (key, whole) in
        [("target", &head.target), ("assigner", &head.assigner), ("assignee", &head.assignee)]
    {
        let own = text_member(&members, key)?;
        if own.is_some() && own != *whole {
            let problem = shape(format!("the {key} of a rule differs from that of the policy"));
            return Err(Refused::from(problem).under(Step::Key(key.to_owned())));
        }
    }
    let actions = each(&members, "action", MAX_RULES, |action| match name_of(action, "action")? {
        name if odrl_name(&name) == Some("use") => Ok(Action::Use),
        name if catenax::local_name(&name) == Some("access") && kind == "Permission" => {
            Ok(Action::Access)
        }
        name => Err(Refused::from(unknown("action", &name, &["use"]))),
    })?;
    if actions.is_empty() {
        return Err(shape("a rule without an action").into());
    }
    let positions: Vec<Position> = actions.iter().map(|action| position(kind, *action)).collect();
    let read = |c: &Value| read_constraint(c, 0, &positions);
    let constraints = each(&members, "constraint", MAX_CONSTRAINTS, read)?.concat();
    Ok(actions
        .into_iter()
        .map(|action| Rule { action, constraints: constraints.clone() })
        .collect())
}

fn position(kind: &str, action: Action) -> Position {
    match action {
        Action::Access => Position::Access,
        Action::Use if kind == "Prohibition" => Position::Prohibition,
        Action::Use => Position::Use,
    }
}

/// A duty that we fulfil, or one of a profile that is carried.
enum Obliged {
    Duty(Duty),
    Undecided(Rule),
}

fn split(all: Vec<Obliged>) -> (Vec<Duty>, Vec<Rule>) {
    let (mut duties, mut undecided) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Obliged::Duty(duty) => duties.push(duty),
            Obliged::Undecided(rule) => undecided.push(rule),
        }
    }
    (duties, undecided)
}

/// A duty to delete within a period, or one to use under conditions of a profile.
fn read_duty(value: &Value) -> Result<Obliged, Refused> {
    let members = members(value, &["@type", "@id", "action", "constraint"], "duty")?;
    check_type(&members, &["Duty", "Rule"])?;
    let actions = each(&members, "action", 1, |action| name_of(action, "action"))?;
    match actions.as_slice() {
        [name] if odrl_name(name) == Some("delete") => {}
        [name] if odrl_name(name) == Some("use") => return read_undecided_duty(&members),
        [name] => {
            let problem = unknown("duty", name, &["delete"]);
            return Err(Refused::from(problem).under(Step::Key("action".to_owned())));
        }
        _ => return Err(shape("a duty without an action").into()),
    }
    let periods = each(&members, "constraint", MAX_CONSTRAINTS, read_period)?;
    match periods.iter().min() {
        Some(within_s) => Ok(Obliged::Duty(Duty::Delete { within_s: *within_s })),
        None => Err(Refused::from(
            shape("a duty to delete that does not say by when")
                .hint("constrain it: delayPeriod lteq P14D"),
        )),
    }
}

fn read_undecided_duty(members: &[Member<'_>]) -> Result<Obliged, Refused> {
    let read = |c: &Value| read_constraint(c, 0, &[Position::Obligation]);
    let constraints = each(members, "constraint", MAX_CONSTRAINTS, read)?.concat();
    match constraints.is_empty() {
        true => Err(shape("a duty to use without a condition").into()),
        false => Ok(Obliged::Undecided(Rule { action: Action::Use, constraints })),
    }
}

fn read_period(value: &Value) -> Result<u64, Refused> {
    let members = members(value, CONSTRAINT_KEYS, "constraint")?;
    check_type(&members, &["Constraint"])?;
    let atom = Atom::of(&members)?;
    if odrl_name(&atom.left) != Some("delayPeriod") {
        let problem = unknown("left operand of a duty", &atom.left, &["delayPeriod"]);
        return Err(Refused::from(problem).under(Step::Key(atom.left_key.to_owned())));
    }
    match (atom.operator, atom.values.as_slice()) {
        ("lteq", [text]) => parse_duration(text).map_err(|p| atom.refuse_value(p)),
        ("lteq", _) => Err(atom.refuse_value(shape("delayPeriod takes one duration"))),
        _ => Err(atom.refuse_operator(&["lteq"])),
    }
}

/// The constraints that this one is: itself, or the parts of an `and`.
fn read_constraint(
    value: &Value,
    depth: usize,
    positions: &[Position],
) -> Result<Vec<Constraint>, Refused> {
    let members = members(value, CONSTRAINT_KEYS, "constraint")?;
    check_type(&members, &["Constraint", "LogicalConstraint"])?;
    if depth > MAX_NESTING {
        return Err(shape(format!("constraints nest deeper than {MAX_NESTING} levels")).into());
    }
    let logical = members.iter().find(|m| matches!(m.name, "and" | "or" | "xone" | "andSequence"));
    match logical {
        None => Ok(vec![read_atom(&members, positions)?]),
        Some(m) if m.name != "and" => {
            let problem = shape(format!("{:?} between constraints cannot be decided here", m.name))
                .hint("write one permission for each alternative: any one of them is enough");
            Err(Refused::from(problem).under(m.step()))
        }
        Some(m) if members.iter().any(|o| !o.name.starts_with('@') && o.name != "and") => {
            Err(Refused::from(shape("\"and\" beside other operands")).under(m.step()))
        }
        Some(m) => {
            let read = |part: &Value| read_constraint(part, depth + 1, positions);
            let parts = each(&members, "and", MAX_CONSTRAINTS, read)?;
            match parts.is_empty() {
                true => Err(Refused::from(shape("an empty \"and\"")).under(m.step())),
                false => Ok(parts.concat()),
            }
        }
    }
}

fn read_atom(members: &[Member<'_>], positions: &[Position]) -> Result<Constraint, Refused> {
    let atom = Atom::of(members)?;
    if let Some(operand) = catenax::operand(&atom.left) {
        for position in positions {
            operand.may_stand(*position).map_err(|p| atom.refuse_left(p))?;
        }
        let read = Undecided::of(operand, atom.operator, &atom.values);
        return read.map(Constraint::Undecided).map_err(|wrong| match wrong {
            Wrong::Operator => atom.refuse_operator(&operand.operators()),
            Wrong::Value(problem) => atom.refuse_value(problem),
        });
    }
    if positions == [Position::Obligation] {
        let problem = unknown("left operand of a duty", &atom.left, &["delayPeriod"]);
        return Err(atom.refuse_left(problem));
    }
    if our_name(&atom.left) == Some("odrl/localSchedule") {
        return read_schedule(&atom);
    }
    match odrl_name(&atom.left) {
        Some("purpose") => read_purpose(&atom),
        Some("spatial") => read_place(&atom),
        Some("dateTime") => read_time(&atom),
        _ => {
            let mut problem = unknown("left operand", &atom.left, OPERANDS);
            if atom.left == "localSchedule" {
                problem = problem.hint(format!("did you mean {LOCAL_SCHEDULE:?}?"));
            }
            Err(Refused::from(problem).under(Step::Key(atom.left_key.to_owned())))
        }
    }
}

fn read_purpose(atom: &Atom<'_>) -> Result<Constraint, Refused> {
    let known: Vec<&str> = purpose_names().collect();
    let purposes: Result<Vec<String>, Problem> = atom
        .values
        .iter()
        .map(|text| match our_name(text).and_then(|name| name.strip_prefix("purpose/")) {
            Some(name) if known.contains(&name) => Ok(format!("{PURPOSE}{name}")),
            Some(name) => Err(unknown("purpose", name, &known)),
            None if text.starts_with(TWINPACT) || text.starts_with("twinpact:") => {
                Err(unknown("purpose", text, &[]))
            }
            // A purpose of somebody else's: it means itself alone.
            None => match Iri::new(text.as_str()) {
                Ok(iri) if !text.starts_with("odrl:") => Ok(iri.to_string()),
                _ => Err(unknown("purpose", text, &known).hint(format!(
                    "a purpose is an absolute IRI like {PURPOSE}PredictiveMaintenance"
                ))),
            },
        })
        .collect();
    let purposes = purposes.map_err(|p| atom.refuse_value(p))?;
    let test = match atom.operator {
        "isAnyOf" => PurposeTest::AnyOf,
        "isAllOf" => PurposeTest::AllOf,
        "isNoneOf" => PurposeTest::NoneOf,
        "eq" => PurposeTest::Eq,
        "isA" if purposes.len() == 1 => PurposeTest::AnyOf,
        "isA" => return Err(atom.refuse_value(shape("\"isA\" takes one value"))),
        _ => return Err(atom.refuse_operator(&["isAnyOf", "isA", "eq", "isAllOf", "isNoneOf"])),
    };
    Ok(Constraint::Purpose { test, purposes })
}

fn read_place(atom: &Atom<'_>) -> Result<Constraint, Refused> {
    let known: Vec<&str> = region_codes().collect();
    let regions: Result<Vec<String>, Problem> = atom
        .values
        .iter()
        .map(|text| match our_name(text).and_then(|name| name.strip_prefix("region/")) {
            Some(code) if known.contains(&code) => Ok(format!("{REGION}{code}")),
            Some(code) => Err(unknown("region", code, &known)),
            None => Err(unknown("region", text, &[]).hint(format!(
                "a region is {REGION}EU, or that with EEA or a code of ISO 3166-1 alpha-2"
            ))),
        })
        .collect();
    let regions = regions.map_err(|p| atom.refuse_value(p))?;
    let test = match atom.operator {
        "isAnyOf" => PlaceTest::Within,
        "eq" => PlaceTest::Exactly,
        "isPartOf" if regions.len() == 1 => PlaceTest::Within,
        "isPartOf" => {
            return Err(atom.refuse_value(
                shape("\"isPartOf\" takes one region").hint("for one of several write isAnyOf"),
            ));
        }
        _ => return Err(atom.refuse_operator(&["isPartOf", "eq", "isAnyOf"])),
    };
    Ok(Constraint::Place { test, regions })
}

fn read_schedule(atom: &Atom<'_>) -> Result<Constraint, Refused> {
    match (atom.operator, atom.values.as_slice()) {
        ("isPartOf", [text]) => Schedule::parse(text)
            .map(Constraint::Schedule)
            .map_err(|p| atom.refuse_value(Problem { code: codes::CONTRACT_TERM_SHAPE, ..p })),
        ("isPartOf", _) => Err(atom.refuse_value(shape("localSchedule takes one schedule"))),
        _ => Err(atom.refuse_operator(&["isPartOf"])),
    }
}

fn read_time(atom: &Atom<'_>) -> Result<Constraint, Refused> {
    let test = match atom.operator {
        "lt" => TimeTest::Lt,
        "lteq" => TimeTest::Lteq,
        "gt" => TimeTest::Gt,
        "gteq" => TimeTest::Gteq,
        "eq" => TimeTest::Eq,
        _ => return Err(atom.refuse_operator(&["lt", "lteq", "gt", "gteq", "eq"])),
    };
    match atom.values.as_slice() {
        [text] => Timestamp::parse(text)
            .map(|at| Constraint::Time { test, at })
            .map_err(|p| atom.refuse_value(Problem { code: codes::CONTRACT_TERM_SHAPE, ..p })),
        _ => Err(atom.refuse_value(shape("dateTime takes one time"))),
    }
}

/// Left operand, operator and the texts of the right operand.
struct Atom<'a> {
    left: String,
    left_key: &'a str,
    operator: &'static str,
    operator_key: &'a str,
    values: Vec<String>,
    right_key: &'a str,
}

impl<'a> Atom<'a> {
    fn of(members: &[Member<'a>]) -> Result<Self, Refused> {
        let need = |name: &str| {
            find(members, name)
                .ok_or_else(|| Refused::from(shape(format!("a constraint without {name}"))))
        };
        let (left, operator, right) =
            (need("leftOperand")?, need("operator")?, need("rightOperand")?);
        let name = |m: &Member<'_>| name_of(m.value, m.name).map_err(|e| e.under(m.step()));
        let written = name(operator)?;
        let known = odrl_name(&written).and_then(|n| OPERATORS.iter().copied().find(|o| *o == n));
        let Some(known) = known else {
            let problem = unknown("operator", &written, OPERATORS);
            return Err(Refused::from(problem).under(operator.step()));
        };
        let left_name = name(left)?;
        // A whole number is its digits, as other connectors write it (crate `dsp`).
        let counts = catenax::operand(&left_name).is_some();
        let digits = |value: &Value| {
            (counts && (value.is_i64() || value.is_u64())).then(|| value.to_string())
        };
        let values = each(members, "rightOperand", MAX_VALUES, |value| {
            literal(value).or_else(|| digits(value)).ok_or_else(|| {
                shape(format!("a right operand that is not a text: {}", brief(value))).into()
            })
        })?;
        Ok(Atom {
            left: left_name,
            left_key: left.key,
            operator: known,
            operator_key: operator.key,
            values,
            right_key: right.key,
        })
    }

    fn refuse_left(&self, problem: Problem) -> Refused {
        Refused::from(problem).under(Step::Key(self.left_key.to_owned()))
    }

    fn refuse_value(&self, problem: Problem) -> Refused {
        let code = match problem.code.name {
            "contract.term_unknown" => problem.code,
            _ => codes::CONTRACT_TERM_SHAPE,
        };
        Refused::from(Problem { code, ..problem }).under(Step::Key(self.right_key.to_owned()))
    }

    fn refuse_operator(&self, possible: &[&str]) -> Refused {
        let problem = Problem::new(
            codes::CONTRACT_TERM_UNKNOWN,
            format!("the operator {:?} is not possible with {:?}", self.operator, self.left),
        )
        .hint(format!("possible: {}", possible.join(", ")));
        Refused::from(problem).under(Step::Key(self.operator_key.to_owned()))
    }
}

/// A member of an object: its canonical name, the key as written, the value.
struct Member<'a> {
    name: &'static str,
    key: &'a str,
    value: &'a Value,
}

impl Member<'_> {
    fn step(&self) -> Step {
        Step::Key(self.key.to_owned())
    }
}

fn find<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Member<'a>> {
    members.iter().find(|m| m.name == name)
}

/// The members of an object, each known and each once, however it is spelled.
fn members<'a>(
    value: &'a Value,
    known: &'static [&'static str],
    what: &str,
) -> Result<Vec<Member<'a>>, Refused> {
    let Value::Object(object) = value else {
        let problem = format!("a {what} must be an object, not {}", brief(value));
        return Err(Problem::new(codes::CONTRACT_ODRL, problem).into());
    };
    let mut out: Vec<Member<'a>> = Vec::new();
    for (key, value) in object {
        let name = key_name(key).and_then(|n| known.iter().copied().find(|k| *k == n));
        let refuse = |problem: Problem| Err(Refused::from(problem).under(Step::Key(key.clone())));
        let Some(name) = name else {
            let problem = unknown(&format!("key of a {what}"), key, known);
            return refuse(match odrl_name(key) {
                Some("duty") => problem.hint("write duties as \"obligation\" of the policy"),
                Some("refinement") => problem.hint("write the refinement as a constraint"),
                _ => problem,
            });
        };
        if find(&out, name).is_some() {
            return refuse(shape(format!("{name:?} stands twice")));
        }
        out.push(Member { name, key, value });
    }
    Ok(out)
}

/// Applies `read` to the value of a member, or to each item when it is an array or a JSON-LD list
/// or set; nothing when the member is absent.
fn each<T>(
    members: &[Member<'_>],
    name: &str,
    bound: usize,
    read: impl Fn(&Value) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let Some(member) = find(members, name) else { return Ok(Vec::new()) };
    let mut steps = vec![member.step()];
    let mut value = member.value;
    if let Value::Object(object) = value
        && let (1, Some((key, inner))) = (object.len(), object.iter().next())
        && matches!(key.as_str(), "@list" | "@set")
    {
        steps.push(Step::Key(key.clone()));
        value = inner;
    }
    let above = |e: Refused| steps.iter().rev().fold(e, |e, step| e.under(step.clone()));
    let Value::Array(items) = value else { return Ok(vec![read(value).map_err(above)?]) };
    if items.len() > bound {
        return Err(above(shape(format!("more than {bound} items in {name:?}")).into()));
    }
    items
        .iter()
        .enumerate()
        .map(|(i, item)| read(item).map_err(|e| above(e.under(Step::Index(i)))))
        .collect()
}

/// The text of a member that has one value.
fn text_member(members: &[Member<'_>], name: &str) -> Result<Option<String>, Refused> {
    let Some(member) = find(members, name) else { return Ok(None) };
    name_of(member.value, name).map(Some).map_err(|e| e.under(member.step()))
}

/// The text of a value that names something.
fn name_of(value: &Value, what: &str) -> Result<String, Refused> {
    let one = match value {
        Value::Array(items) if items.len() == 1 => items.first().unwrap_or(value),
        other => other,
    };
    literal(one).ok_or_else(|| {
        Problem::new(codes::CONTRACT_ODRL, format!("{what} must be a text, not {}", brief(value)))
            .into()
    })
}

/// The text of a string, `{"@id": …}` or `{"@value": …}` with at most an XSD `@type`.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) if object.len() == 1 && object.contains_key("@id") => {
            object.get("@id")?.as_str().map(str::to_owned)
        }
        Value::Object(object) => {
            let datatype = match object.get("@type") {
                Some(datatype) => Some(datatype.as_str()?),
                None => None,
            };
            let known = datatype.is_none_or(is_text_datatype);
            let keys = 1 + usize::from(datatype.is_some());
            (known && object.len() == keys).then_some(object.get("@value")?.as_str()?.to_owned())
        }
        _ => None,
    }
}

/// The XSD datatypes whose lexical form we read from text.
fn is_text_datatype(name: &str) -> bool {
    let local = name.strip_prefix(XSD).or(name.strip_prefix("xsd:"));
    let known = ["string", "anyURI", "duration", "dayTimeDuration", "dateTime", "dateTimeStamp"];
    local.is_some_and(|local| known.contains(&local))
}

/// The local name of an ODRL term: bare, `odrl:`-prefixed or in full.
fn odrl_name(text: &str) -> Option<&str> {
    match text.strip_prefix(ODRL).or(text.strip_prefix("odrl:")) {
        Some(local) => (!local.starts_with('@')).then_some(local),
        None => (!text.contains(':')).then_some(text),
    }
}

/// The canonical name of a key. The time of an agreement is the Dataspace Protocol's, the rest is
/// ODRL's, whose `uid` JSON-LD calls `@id`.
fn key_name(key: &str) -> Option<&str> {
    match key.strip_prefix(DSPACE).or(key.strip_prefix("dspace:")) {
        Some(local) => (local == "timestamp").then_some(local),
        None => match odrl_name(key)? {
            "uid" => Some("@id"),
            "timestamp" if key != "timestamp" => None,
            name => Some(name),
        },
    }
}

/// The local name of one of ours: `twinpact:`-prefixed or in full.
fn our_name(text: &str) -> Option<&str> {
    text.strip_prefix(TWINPACT).or(text.strip_prefix("twinpact:"))
}

fn unknown(what: &str, word: &str, known: &[&str]) -> Problem {
    let shown: String = word.chars().take(120).collect();
    let problem = Problem::new(codes::CONTRACT_TERM_UNKNOWN, format!("unknown {what} {shown:?}"));
    match nearest(odrl_name(word).unwrap_or(word), known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None if known.is_empty() || known.len() > 20 => problem,
        None => problem.hint(format!("possible: {}", known.join(", "))),
    }
}

fn shape(why: impl Into<String>) -> Problem {
    let code: Code = codes::CONTRACT_TERM_SHAPE;
    Problem::new(code, why)
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
