//! Commands become events. Nothing changes here: what is refused has left no trace, and what is
//! accepted counts only once it is durable and applied.
//!
//! Rows of one batch that share source and id are a multiset: matched with what is known by value
//! first, and only what is left over is a correction. So a re-sorted export changes nothing.

use crate::fold::{Fact, Node, Twins};
use crate::seen::{IdempotencyKey, Spot};
use std::collections::{BTreeMap, HashSet};
use twinpact_model::entry::{self, Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::type_model::{Checks, Datatype, MAX_MODEL_ATTRIBUTES, ModelRef, TypeModel};
use twinpact_model::{Iri, SmolStr, codes};

/// Who says it and under which model it is checked.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The IRI of the source.
    pub source: &'a str,
    /// The model version.
    pub model: &'a ModelRef,
    /// The DID, SPIFFE id or `local` that sent it.
    pub actor: &'a str,
}

/// Values of one twin that were true together, as a source said them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The id at the source.
    pub id: String,
    /// The twin's IRI.
    pub twin: SmolStr,
    /// From when it was true in the world.
    pub phen_start: Timestamp,
    /// (attribute, lexical form).
    pub values: Vec<(SmolStr, SmolStr)>,
}

/// What became of one observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was not known.
    New,
    /// It was known, value for value.
    Duplicate,
    /// Its id was known with other values.
    Corrected,
    /// It was refused.
    Refused {
        /// Its id at the source.
        id: String,
        /// Why.
        problem: Problem,
    },
}

/// How many rows had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Not known before.
    pub new: u64,
    /// Known, value for value.
    pub duplicate: u64,
    /// Known with other values.
    pub corrected: u64,
    /// Refused.
    pub refused: u64,
}

/// Events to make durable, and what became of each observation.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// In order; `recorded` is filled in when they are logged.
    pub events: Vec<Entry>,
    /// In the order of the observations.
    pub rows: Vec<RowOutcome>,
}

impl Outcome {
    /// The rows counted.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(&self.rows)
    }
}

impl Report {
    /// These outcomes counted.
    #[must_use]
    pub fn of(rows: &[RowOutcome]) -> Report {
        let mut report = Report::default();
        for row in rows {
            match row {
                RowOutcome::New => report.new += 1,
                RowOutcome::Duplicate => report.duplicate += 1,
                RowOutcome::Corrected => report.corrected += 1,
                RowOutcome::Refused { .. } => report.refused += 1,
            }
        }
        report
    }
}

impl Twins {
    /// The event that puts a model version; `None` when exactly this model is there already.
    ///
    /// # Errors
    /// `model.invalid`; `model.version` when the version is there with another content, or is not
    /// the next one.
    pub fn put_model(&self, model: &TypeModel, actor: &str) -> Result<Option<Entry>, Problem> {
        model.check()?;
        let reference = model.reference();
        if let Some(known) = self.models.get(&reference) {
            if known.model == *model {
                return Ok(None);
            }
            return Err(Problem::new(
                codes::MODEL_VERSION,
                format!("{reference} is there with another content, and a version never changes"),
            )
            .hint(format!("put it as version {}", model.version + 1)));
        }
        let last = self.models.keys().filter(|m| m.name == model.model).map(|m| m.version).max();
        let next = last.unwrap_or(0) + 1;
        if model.version != next {
            return Err(Problem::new(
                codes::MODEL_VERSION,
                format!("{reference} is not the next version of {}", model.model),
            )
            .hint(format!("the next version is {next}")));
        }
        let document = serde_json::to_string(model)
            .map_err(|e| Problem::new(codes::INTERNAL, format!("the model: {e}")))?;
        Ok(Some(Entry {
            who: Who::no_twin(Kind::ModelPut, actor),
            when: When::default(),
            why: Why { model: reference.to_string().into(), ..Why::default() },
            what: vec![Attribute::new("document", "json", document)],
        }))
    }

    /// The events of these observations, and what became of each.
    ///
    /// # Errors
    /// `model.unknown` or `input.iri` when the batch as a whole cannot be checked; a single bad row
    /// is an outcome, not an error.
    pub fn observe(
        &self,
        source: &Source<'_>,
        observations: Vec<Observation>,
    ) -> Result<Outcome, Problem> {
        Iri::check(source.source)?;
        let model = self.model(source.model)?;
        let mut batch = Batch {
            twins: self,
            source,
            model_ref: source.model.to_string().into(),
            class: model.retention_class.as_str().into(),
            checks: Checks::new(model),
            seqs: BTreeMap::new(),
            matched: HashSet::new(),
            events: Vec::with_capacity(observations.len()),
        };
        let matched: Vec<Matched> =
            observations.into_iter().map(|row| batch.match_by_value(row)).collect();
        let decided = matched.into_iter().map(|row| match row {
            Matched::Decided(outcome) => outcome,
            Matched::Left(row) => batch.new_or_correction(row),
        });
        let rows = decided.collect();
        Ok(Outcome { events: batch.events, rows })
    }
}

/// A batch while it is decided: what earlier rows of it have used up.
struct Batch<'a> {
    twins: &'a Twins,
    source: &'a Source<'a>,
    /// The model as entries name it.
    model_ref: SmolStr,
    /// The retention class of its values.
    class: SmolStr,
    checks: Checks<'a>,
    /// The next sequence number of each twin that this batch touches.
    seqs: BTreeMap<SmolStr, u64>,
    /// Known facts that a row of this batch stands for.
    matched: HashSet<Spot>,
    events: Vec<Entry>,
}

/// A row after all rows were matched with what is known by value.
enum Matched {
    /// Refused or a duplicate.
    Decided(RowOutcome),
    /// Of no known value.
    Left(Row),
}

/// A row that was checked.
struct Row {
    /// Source and id as one text.
    src: String,
    key: IdempotencyKey,
    /// Whether anything is known of its twin under that key.
    known: bool,
    observation: Observation,
    /// The datatype of each value.
    datatypes: Vec<Datatype>,
}

impl Batch<'_> {
    /// Refused rows, and rows that are known value for value.
    fn match_by_value(&mut self, observation: Observation) -> Matched {
        let datatypes = match self.check(&observation) {
            Ok(datatypes) => datatypes,
            Err(problem) => {
                return Matched::Decided(RowOutcome::Refused { id: observation.id, problem });
            }
        };
        let src = entry::src(self.source.source, &observation.id);
        let key = self.twins.idempotency(&src);
        let (twins, node) = (self.twins, self.twins.nodes.get(observation.twin.as_str()));
        let mut facts = node.into_iter().flat_map(|node| standing(twins, node, key)).peekable();
        let known = facts.peek().is_some();
        let found = facts.find(|(spot, node, fact)| {
            same(&observation, node, fact) && !self.matched.contains(spot)
        });
        match found.map(|(spot, ..)| spot) {
            Some(spot) => {
                self.matched.insert(spot);
                Matched::Decided(RowOutcome::Duplicate)
            }
            None => Matched::Left(Row { src, key, known, observation, datatypes }),
        }
    }

    /// What is left over: a correction of a known fact that no row stands for, or new.
    fn new_or_correction(&mut self, row: Row) -> RowOutcome {
        let open = || {
            let node = self.twins.nodes.get(row.observation.twin.as_str())?;
            let free = |(spot, ..): &(Spot, _, _)| !self.matched.contains(spot);
            standing(self.twins, node, row.key).find(free).map(|(spot, _, fact)| (spot, fact.index))
        };
        match row.known.then(open).flatten() {
            Some((spot, index)) => {
                self.matched.insert(spot);
                self.push(row, Kind::Correction, format!("events:{index}"));
                RowOutcome::Corrected
            }
            None => {
                self.push(row, Kind::FactsSet, String::new());
                RowOutcome::New
            }
        }
    }

    /// The datatype of each value of a row that may stand.
    fn check(&self, row: &Observation) -> Result<Vec<Datatype>, Problem> {
        let model = self.checks.model();
        match self.twins.nodes.get(row.twin.as_str()) {
            Some(node) if node.model.name != model.model => {
                return Err(Problem::new(
                    codes::TWIN_MODEL,
                    format!("{} is a {}, not a {}", row.twin, node.model.name, model.model),
                ));
            }
            Some(_) => {}
            None => {
                Iri::check(&row.twin)?;
                self.twins.not_erased(&row.twin)?;
            }
        }
        if row.values.is_empty() {
            return Err(Problem::new(codes::TWIN_VALUE, "the row has no value"));
        }
        let mut datatypes = Vec::with_capacity(row.values.len());
        let mut given = [false; MAX_MODEL_ATTRIBUTES];
        for (name, lexical) in &row.values {
            let (place, attribute) = self.checks.value(name, lexical)?;
            datatypes.push(attribute.datatype);
            if given.get_mut(place).is_some_and(|given| std::mem::replace(given, true)) {
                return Err(Problem::new(
                    codes::TWIN_ATTRIBUTE,
                    format!("the row has {name:?} twice"),
                ));
            }
        }
        Ok(datatypes)
    }

    fn push(&mut self, row: Row, kind: Kind, cause: String) {
        let twin = &row.observation.twin;
        if !self.seqs.contains_key(twin) {
            let known = self.twins.nodes.get(twin.as_str()).map(|node| node.seq);
            if known.is_none() {
                let created = self.entry(Kind::NodeCreated, twin.clone(), 1);
                self.events.push(created);
            }
            self.seqs.insert(twin.clone(), known.unwrap_or(1) + 1);
        }
        let seq = self.seqs.get_mut(twin).map_or(1, |next| {
            *next += 1;
            *next - 1
        });
        let Row { src, observation, datatypes, .. } = row;
        let mut entry = self.entry(kind, observation.twin, seq);
        let phen = Some(observation.phen_start);
        entry.when = When { phen_start: phen, phen_end: phen, ..When::default() };
        entry.why.src = src;
        entry.why.cause = cause.into();
        let value = |((name, lexical), datatype): ((SmolStr, SmolStr), Datatype)| {
            Attribute::new(name, datatype.name(), lexical)
        };
        entry.what = observation.values.into_iter().zip(datatypes).map(value).collect();
        self.events.push(entry);
    }

    /// What every entry of this batch about a twin has.
    fn entry(&self, kind: Kind, twin: SmolStr, twin_seq: u64) -> Entry {
        Entry {
            who: Who { kind, twin, twin_seq, actor: self.source.actor.into() },
            when: When::default(),
            why: Why { model: self.model_ref.clone(), class: self.class.clone(), ..Why::default() },
            what: Vec::new(),
        }
    }
}

/// The facts of a key that stand about a twin, in the order in which they came.
fn standing<'a>(
    twins: &'a Twins,
    node: &'a Node,
    key: IdempotencyKey,
) -> impl Iterator<Item = (Spot, &'a Node, &'a Fact)> {
    twins.seen.of(key, node.number).filter_map(move |spot| {
        let fact = node.facts.get(usize::try_from(spot.fact).ok()?)?;
        fact.corrected_by.is_none().then_some((spot, node, fact))
    })
}

/// Whether a row says of its twin just what that fact of it says.
fn same(row: &Observation, node: &Node, fact: &Fact) -> bool {
    let equal = |(name, lexical): &(SmolStr, SmolStr)| {
        node.attribute_number(name).and_then(|n| node.value(fact, n)) == Some(lexical)
    };
    fact.phen_start == row.phen_start
        && fact.values.len() == row.values.len()
        && row.values.iter().all(equal)
}

#[cfg(test)]
mod tests {
    use super::{Observation, Outcome, Report, Source};
    use crate::fold::{Heads, Twins};
    use proptest::prelude::*;
    use twinpact_model::Timestamp;
    use twinpact_model::type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};

    fn model(version: u32) -> TypeModel {
        let attribute = |name: &str| AttributeModel {
            name: name.into(),
            datatype: Datatype::Double,
            unit: None,
            min: None,
            max: Some("5000".into()),
            merge: Merge::default(),
            description: None,
        };
        TypeModel {
            model: "wind-turbine".into(),
            version,
            description: None,
            retention_class: "operational".into(),
            attributes: vec![attribute("power"), attribute("pitch")],
        }
    }

    struct World {
        twins: Twins,
        next: u64,
    }

    impl World {
        fn new() -> World {
            let mut world = World { twins: Twins::new([1; 32]), next: 0 };
            let put = world.twins.put_model(&model(1), "local").unwrap().unwrap();
            world.commit(&[put]);
            world
        }

        fn commit(&mut self, events: &[twinpact_model::Entry]) {
            for event in events {
                let mut event = event.clone();
                event.when.recorded = Timestamp::from_seconds(1000 + self.next as i64);
                self.twins.apply(&event, self.next).unwrap();
                self.next += 1;
            }
        }

        fn decide(&self, rows: &[Observation]) -> Outcome {
            let model = ModelRef { name: "wind-turbine".into(), version: 1 };
            let source = Source { source: "urn:source:x", model: &model, actor: "local" };
            self.twins.observe(&source, rows.to_vec()).unwrap()
        }

        fn ingest(&mut self, rows: &[Observation]) -> Report {
            let outcome = self.decide(rows);
            self.commit(&outcome.events);
            outcome.report()
        }
    }

    fn row(id: &str, second: i64, power: &str) -> Observation {
        Observation {
            id: id.into(),
            twin: "urn:turbine:R80711".into(),
            phen_start: Timestamp::from_seconds(second),
            values: vec![("power".into(), power.into())],
        }
    }

    fn counts(new: u64, duplicate: u64, corrected: u64, refused: u64) -> Report {
        Report { new, duplicate, corrected, refused }
    }

    #[test]
    fn new_duplicate_corrected_refused() {
        let mut world = World::new();
        let check = |world: &mut World, rows: &[Observation], expect: Report| {
            assert_eq!(world.ingest(rows), expect, "{rows:?}");
        };
        check(&mut world, &[row("a", 10, "1.0"), row("b", 20, "2.0")], counts(2, 0, 0, 0));
        check(&mut world, &[row("b", 20, "2.0"), row("a", 10, "1.0")], counts(0, 2, 0, 0));
        check(&mut world, &[row("a", 10, "1.00")], counts(0, 0, 1, 0));
        check(&mut world, &[row("a", 10, "1.00")], counts(0, 1, 0, 0));
        // The old value again is a correction back, not a duplicate of what was corrected.
        check(&mut world, &[row("a", 10, "1.0")], counts(0, 0, 1, 0));
        check(&mut world, &[row("c", 30, "6000"), row("d", 30, "x")], counts(0, 0, 0, 2));
        check(&mut world, &[row("c", 30, "5")], counts(1, 0, 0, 0));
    }

    #[test]
    fn rows_that_share_an_id_are_a_multiset() {
        let mut world = World::new();
        let (one, two, three) = (row("k", 10, "1"), row("k", 10, "2"), row("k", 10, "3"));
        assert_eq!(world.ingest(&[one.clone(), two.clone()]), counts(2, 0, 0, 0));
        assert_eq!(world.ingest(&[two.clone(), one.clone()]), counts(0, 2, 0, 0));
        assert_eq!(world.ingest(&[three.clone(), one.clone()]), counts(0, 1, 1, 0));
        assert_eq!(world.ingest(&[one, three]), counts(0, 2, 0, 0));
    }

    #[test]
    fn two_heads_differ_when_data_is_late() {
        let mut world = World::new();
        world.ingest(&[row("a", 20, "20"), row("b", 10, "10")]);
        let node = world.twins.node("urn:turbine:R80711").unwrap();
        let heads = node.heads[0].unwrap();
        let value = |at: usize| node.value(&node.facts[at], 0);
        assert_eq!((value(heads.recorded), value(heads.phenomenon)), (Some("10"), Some("20")));
    }

    #[test]
    fn a_corrected_fact_is_no_head() {
        let mut world = World::new();
        world.ingest(&[row("a", 10, "1"), row("b", 20, "2")]);
        let mut other = row("b", 20, "2");
        other.values = vec![("pitch".into(), "9".into())];
        world.ingest(&[other]);
        let node = world.twins.node("urn:turbine:R80711").unwrap();
        let power = node.attribute_number("power").unwrap();
        let heads = node.heads[usize::from(power)].unwrap();
        assert_eq!(node.value(&node.facts[heads.phenomenon], power), Some("1"));
    }

    #[test]
    fn model_versions_never_change() {
        let world = World::new();
        assert_eq!(world.twins.put_model(&model(1), "local").unwrap(), None);
        let mut other = model(1);
        other.attributes.pop();
        let code = |m: &TypeModel| world.twins.put_model(m, "local").err().map(|p| p.code.name);
        assert_eq!(code(&other), Some("model.version"));
        assert_eq!(code(&model(3)), Some("model.version"));
        assert_eq!(code(&model(2)), None);
    }

    #[test]
    fn a_batch_without_model_is_refused_whole() {
        let world = World::new();
        let model = ModelRef { name: "other".into(), version: 1 };
        let source = Source { source: "urn:source:x", model: &model, actor: "local" };
        assert!(world.twins.observe(&source, Vec::new()).is_err());
        let source = Source { source: "not an iri", ..source };
        assert!(world.twins.observe(&source, Vec::new()).is_err());
    }

    /// How many facts the next event of that id walks: those of its id, and when it corrects a head
    /// those among which the next one is looked for.
    fn walked(twins: &Twins, id: &str) -> usize {
        let src = twinpact_model::entry::src("urn:source:x", id);
        let Ok(node) = twins.node("urn:turbine:R80711") else { return 0 };
        let of = twins.seen.of(twins.idempotency(&src), node.number).count();
        of + node.standing().count()
    }

    /// Counted, not timed: what one event walks does not grow with those before it, whether their
    /// times rise or fall, and whether each names what the last one did or something else.
    #[test]
    fn events_that_all_have_one_id_cost_no_more_than_others() {
        const EVENTS: i64 = 100_000;
        for (step, names) in [(1, &["power"][..]), (-1, &["power"]), (-1, &["power", "pitch"])] {
            let mut world = World::new();
            let mut sum = 0;
            for n in 0..EVENTS {
                sum += walked(&world.twins, "constant");
                let name = names[usize::try_from(n).unwrap() % names.len()];
                let values = vec![(name.into(), (n % 5_000).to_string().into())];
                let time = EVENTS + step * n;
                let expect = if n == 0 { counts(1, 0, 0, 0) } else { counts(0, 0, 1, 0) };
                let row = Observation { values, ..row("constant", time, "") };
                assert_eq!(world.ingest(&[row]), expect);
                assert!(sum <= 4 * usize::try_from(n + 1).unwrap(), "{sum} for {n} events");
            }
        }
    }

    fn any_rows() -> impl Strategy<Value = Vec<Observation>> {
        let any = (0u8..6, 0i64..4, 0u8..3).prop_map(|(id, second, value)| Observation {
            twin: format!("urn:turbine:{}", id % 2).into(),
            ..row(&format!("id{id}"), second, &value.to_string())
        });
        proptest::collection::vec(any, 0..20)
    }

    proptest! {
        /// Sending the same batch again in any order changes nothing.
        #[test]
        fn ingest_is_idempotent(rows in any_rows(), more in any_rows()) {
            let mut world = World::new();
            world.ingest(&more);
            world.ingest(&rows);
            let mut again = rows.clone();
            again.reverse();
            let before = world.twins.clone();
            let outcome = world.decide(&again);
            prop_assert_eq!(outcome.report().duplicate, rows.len() as u64);
            prop_assert!(outcome.events.is_empty());
            prop_assert_eq!(before, world.twins);
        }

        /// Heads are what looking through all facts that stand finds, whatever was corrected.
        #[test]
        fn heads_are_of_facts_that_stand(batches in proptest::collection::vec(any_rows(), 0..5)) {
            let mut world = World::new();
            for (n, mut rows) in batches.into_iter().enumerate() {
                for row in rows.iter_mut().skip(n % 2).step_by(2) {
                    row.values = vec![("pitch".into(), n.to_string().into())];
                }
                world.ingest(&rows);
            }
            for (_, node) in world.twins.nodes() {
                for (number, heads) in (0u16..).zip(&node.heads) {
                    let stands = |at: &usize| {
                        let fact = &node.facts[*at];
                        fact.corrected_by.is_none() && node.value(fact, number).is_some()
                    };
                    let all: Vec<usize> = (0..node.facts.len()).filter(stands).collect();
                    let last = all.iter().max_by_key(|at| node.facts[**at].phen_start);
                    let expect = all.last().zip(last).map(|(recorded, phenomenon)| {
                        Heads { recorded: *recorded, phenomenon: *phenomenon }
                    });
                    prop_assert_eq!(*heads, expect);
                }
            }
        }
    }
}
