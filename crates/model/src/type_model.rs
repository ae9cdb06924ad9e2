//! Type models: what the owner says a kind of twin looks like.
//!
//! A model is versioned and put by an event; ingest checks against it, contracts pin a version of
//! it, and no contract can change it. Values are lexical and lossless: a model decides whether
//! `514.24` may stand, never how it is stored.

use crate::codes;
use crate::problem::Problem;
use crate::suggest::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most attributes of one model: an entry has 32, three of which are groups.
pub const MAX_MODEL_ATTRIBUTES: usize = 29;

/// `name@version`, the way a model is named everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    /// The model's name.
    pub name: String,
    /// Its version, counted from 1.
    pub version: u32,
}

impl TryFrom<String> for ModelRef {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        let parts = text.split_once('@').and_then(|(name, version)| {
            let version = version.parse::<u32>().ok().filter(|v| *v > 0)?;
            is_name(name).then(|| ModelRef { name: name.to_owned(), version })
        });
        parts.ok_or_else(|| {
            Problem::new(codes::MODEL_INVALID, format!("not a model version: {text:?}"))
                .hint("a model version is written like wind-turbine@1")
        })
    }
}

impl From<ModelRef> for String {
    fn from(value: ModelRef) -> String {
        value.to_string()
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// How a lexical form is read: the XSD 1.1 datatypes of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Datatype {
    /// `xsd:double`, without INF and NaN.
    Double,
    /// `xsd:decimal`.
    Decimal,
    /// `xsd:integer`.
    Integer,
    /// `xsd:boolean`: `true` or `false`.
    Boolean,
    /// `xsd:string`.
    String,
    /// `xsd:dateTimeStamp`: with offset.
    DateTime,
}

impl Datatype {
    /// Every datatype, the most usual one first.
    pub const ALL: [Datatype; 6] = [
        Datatype::Double,
        Datatype::Decimal,
        Datatype::Integer,
        Datatype::Boolean,
        Datatype::String,
        Datatype::DateTime,
    ];

    /// The name in a model file and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Datatype::Double => "double",
            Datatype::Decimal => "decimal",
            Datatype::Integer => "integer",
            Datatype::Boolean => "boolean",
            Datatype::String => "string",
            Datatype::DateTime => "dateTime",
        }
    }

    /// Whether a range may be given.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Datatype::Double | Datatype::Decimal | Datatype::Integer)
    }

    /// Whether the text is a lexical form of this datatype.
    #[must_use]
    pub fn accepts(self, lexical: &str) -> bool {
        match self {
            Datatype::Double => is_double(lexical),
            Datatype::Decimal => is_decimal(lexical),
            Datatype::Integer => is_integer(lexical),
            Datatype::Boolean => matches!(lexical, "true" | "false"),
            Datatype::String => !lexical.contains('\u{0}'),
            Datatype::DateTime => crate::time::Timestamp::parse(lexical).is_ok(),
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

fn is_double(text: &str) -> bool {
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => is_decimal(mantissa) && is_integer(exponent),
        None => is_decimal(text),
    }
}

/// What happens when two values compete for one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// The value recorded last stands.
    #[default]
    LwwRecorded,
    /// The value that was true last stands.
    LwwPhenomenon,
}

/// One attribute of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeModel {
    /// The name, unique in the model.
    pub name: String,
    /// How its values are read.
    pub datatype: Datatype,
    /// The UCUM unit, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The smallest value allowed, as a lexical number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The largest value allowed, as a lexical number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// What stands when values compete.
    #[serde(default)]
    pub merge: Merge,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A version of a type model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeModel {
    /// The model's name.
    pub model: String,
    /// Its version, counted from 1; a version never changes once it is put.
    pub version: u32,
    /// What it describes, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The retention class of its values.
    #[serde(default = "default_class")]
    pub retention_class: String,
    /// The attributes, in the owner's order.
    #[serde(rename = "attribute")]
    pub attributes: Vec<AttributeModel>,
}

fn default_class() -> String {
    "operational".to_owned()
}

impl TypeModel {
    /// `name@version`.
    #[must_use]
    pub fn reference(&self) -> ModelRef {
        ModelRef { name: self.model.clone(), version: self.version }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeModel> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// The model's own rules: names, version, number of attributes, ranges.
    ///
    /// # Errors
    /// `model.invalid` with the first rule that is broken.
    pub fn check(&self) -> Result<(), Problem> {
        let bad = |why: String| Err(Problem::new(codes::MODEL_INVALID, why));
        if !is_name(&self.model) {
            return bad(format!("{:?} is not a model name", self.model));
        }
        if self.version == 0 {
            return bad("a model version is counted from 1".to_owned());
        }
        if !is_name(&self.retention_class) {
            return bad(format!("{:?} is not a retention class", self.retention_class));
        }
        if self.attributes.is_empty() || self.attributes.len() > MAX_MODEL_ATTRIBUTES {
            return bad(format!(
                "the model has {} attributes; 1 to {MAX_MODEL_ATTRIBUTES} are possible",
                self.attributes.len()
            ));
        }
        for (i, attribute) in self.attributes.iter().enumerate() {
            if !is_name(&attribute.name) {
                return bad(format!("{:?} is not an attribute name", attribute.name));
            }
            if self.attributes.iter().take(i).any(|other| other.name == attribute.name) {
                return bad(format!("the attribute {:?} stands twice", attribute.name));
            }
            attribute.check_range()?;
        }
        Ok(())
    }

    /// Whether the attribute exists and the value fits it; many values are asked of [`Checks`].
    ///
    /// # Errors
    /// `twin.attribute` or `twin.value` with the reason.
    pub fn check_value(&self, name: &str, lexical: &str) -> Result<&AttributeModel, Problem> {
        let attribute = self.attribute(name).ok_or_else(|| self.unknown(name))?;
        attribute.check_value(lexical, attribute.bounds()).map(|()| attribute)
    }

    /// No attribute has that name.
    fn unknown(&self, name: &str) -> Problem {
        let problem = Problem::new(
            codes::TWIN_ATTRIBUTE,
            format!("{} has no attribute {name:?}", self.reference()),
        );
        let known = self.attributes.iter().map(|a| a.name.as_str());
        match nearest(name, known) {
            Some(near) => problem.hint(format!("did you mean {near:?}?")),
            None => problem,
        }
    }
}

/// A model made ready to check many values: the bounds of its ranges are read once.
#[derive(Debug, Clone)]
pub struct Checks<'a> {
    model: &'a TypeModel,
    attributes: Vec<(&'a AttributeModel, Bounds)>,
}

/// Smallest and largest value, where there is one.
type Bounds = [Option<f64>; 2];

impl<'a> Checks<'a> {
    /// Reads the bounds of the model.
    #[must_use]
    pub fn new(model: &'a TypeModel) -> Checks<'a> {
        let attributes = model.attributes.iter().map(|a| (a, a.bounds())).collect();
        Checks { model, attributes }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &'a TypeModel {
        self.model
    }

    /// The attribute with its place in the model, when it exists and the value fits it.
    ///
    /// # Errors
    /// As [`TypeModel::check_value`].
    pub fn value(&self, name: &str, lexical: &str) -> Result<(usize, &'a AttributeModel), Problem> {
        let mut places = self.attributes.iter().enumerate();
        let (place, (attribute, bounds)) = places
            .find(|(_, (attribute, _))| attribute.name == name)
            .ok_or_else(|| self.model.unknown(name))?;
        attribute.check_value(lexical, *bounds).map(|()| (place, *attribute))
    }
}

impl AttributeModel {
    fn check_range(&self) -> Result<(), Problem> {
        for bound in [&self.min, &self.max].into_iter().flatten() {
            if !self.datatype.is_number() || !self.datatype.accepts(bound) {
                return Err(Problem::new(
                    codes::MODEL_INVALID,
                    format!(
                        "{bound:?} is not a bound of the {} {:?}",
                        self.datatype.name(),
                        self.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        [&self.min, &self.max].map(|bound| number(bound.as_deref()?))
    }

    fn check_value(&self, lexical: &str, [min, max]: Bounds) -> Result<(), Problem> {
        let bad = |why: String| Err(Problem::new(codes::TWIN_VALUE, why));
        if lexical.len() > crate::entry::MAX_LEXICAL_BYTES {
            return bad(format!("the value of {:?} is longer than 1 MiB", self.name));
        }
        if !self.datatype.accepts(lexical) {
            let shown: String = lexical.chars().take(40).collect();
            return bad(format!("{shown:?} is not a {} ({:?})", self.datatype.name(), self.name));
        }
        let bounded = self.datatype.is_number() && (min.is_some() || max.is_some());
        let Some(value) = bounded.then(|| number(lexical)).flatten() else {
            return Ok(());
        };
        if min.is_some_and(|min| value < min) {
            return bad(format!("{lexical} is below the range of {:?}", self.name));
        }
        if max.is_some_and(|max| value > max) {
            return bad(format!("{lexical} is above the range of {:?}", self.name));
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A name of a model, an attribute or a class: a letter, then letters, digits, `_`, `-` or `.`, at
/// most 64 in all.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    text.len() <= 64
        && letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::{AttributeModel, Checks, Datatype, Merge, ModelRef, TypeModel};

    fn model() -> TypeModel {
        TypeModel {
            model: "wind-turbine".into(),
            version: 1,
            description: None,
            retention_class: "operational".into(),
            attributes: vec![AttributeModel {
                name: "power".into(),
                datatype: Datatype::Double,
                unit: Some("kW".into()),
                min: Some("-100".into()),
                max: Some("2500".into()),
                merge: Merge::LwwRecorded,
                description: None,
            }],
        }
    }

    #[test]
    fn lexical_forms() {
        for (datatype, yes, no) in [
            (
                Datatype::Double,
                &["1", "-0.5", "1e-3", ".5", "5."][..],
                &["", "e5", "1,5", "NaN", "0x1"][..],
            ),
            (Datatype::Decimal, &["1", "-0.50", "+1."], &["1e3", "-", "."]),
            (Datatype::Integer, &["0", "-12", "123456789012345678901234567890"], &["1.0", "", "-"]),
            (Datatype::Boolean, &["true", "false"], &["True", "1", ""]),
            (Datatype::String, &["", "é"], &["a\u{0}b"]),
            (Datatype::DateTime, &["2015-07-26T04:00:00+02:00"], &["2015-07-26"]),
        ] {
            yes.iter().for_each(|text| assert!(datatype.accepts(text), "{datatype:?} {text:?}"));
            no.iter().for_each(|text| assert!(!datatype.accepts(text), "{datatype:?} {text:?}"));
        }
    }

    #[test]
    fn values_fit_their_attribute() {
        let model = model();
        for (name, value, code) in [
            ("power", "514.24", None),
            ("power", "2500", None),
            ("power", "2500.1", Some("twin.value")),
            ("power", "-101", Some("twin.value")),
            ("power", "much", Some("twin.value")),
            ("powr", "1", Some("twin.attribute")),
        ] {
            let one = model.check_value(name, value);
            let of_many = Checks::new(&model).value(name, value);
            assert_eq!(one.as_ref().err().map(|p| p.code.name), code, "{name} {value}");
            assert_eq!(one, of_many.map(|(place, _)| &model.attributes[place]));
        }
        let mut two = model.clone();
        two.attributes.push(AttributeModel { name: "wind".into(), ..model.attributes[0].clone() });
        let places = ["wind", "power"].map(|name| Checks::new(&two).value(name, "1").unwrap().0);
        assert_eq!(places, [1, 0]);
        let hint = model.check_value("powr", "1").unwrap_err().hint;
        assert_eq!(hint.as_deref(), Some("did you mean \"power\"?"));
    }

    #[test]
    fn a_model_keeps_its_own_rules() {
        assert!(model().check().is_ok());
        let check = |change: &dyn Fn(&mut TypeModel)| {
            let mut bad = model();
            change(&mut bad);
            assert!(bad.check().is_err(), "{bad:?}");
        };
        check(&|m| m.model = "wind turbine".into());
        check(&|m| m.version = 0);
        check(&|m| m.attributes.clear());
        check(&|m| m.attributes.push(m.attributes[0].clone()));
        check(&|m| m.attributes[0].min = Some("low".into()));
        check(&|m| m.attributes[0].datatype = Datatype::String);
        check(&|m| m.retention_class = String::new());
        check(&|m| {
            m.attributes = (0..30)
                .map(|i| AttributeModel { name: format!("a{i}"), ..m.attributes[0].clone() })
                .collect();
        });
    }

    #[test]
    fn references_read_as_written() {
        assert_eq!(
            ModelRef::try_from("wind-turbine@12".to_owned()).unwrap().to_string(),
            "wind-turbine@12"
        );
        for text in ["wind-turbine", "wind-turbine@0", "@1", "w@x", "w@1@2"] {
            assert!(ModelRef::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
