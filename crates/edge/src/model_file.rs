//! Type models in TOML, the way an owner writes them.
//!
//! The keys are those of `model::TypeModel`'s serde form; numbers of a range stand in quotes
//! because values are lexical. What comes out keeps all rules of `TypeModel::check`.

use crate::toml_file::TomlFile;
use toml::de::DeTable;
use twinpact_model::type_model::is_name;
use twinpact_model::{AttributeModel, Problem, TypeModel, codes};

const MODEL_KEYS: &[&str] = &["model", "version", "description", "retention_class", "attribute"];
const ATTRIBUTE_KEYS: &[&str] = &["name", "datatype", "unit", "min", "max", "merge", "description"];
const DATATYPES: &[&str] = &["double", "decimal", "integer", "boolean", "string", "dateTime"];
const MERGES: &[&str] = &["lww-recorded", "lww-phenomenon"];

/// The type model of that text.
///
/// # Errors
/// `input.too_large`, `input.malformed` and `input.unknown_key` as of [`TomlFile`]; `model.invalid`
/// when the model breaks a rule of its own.
pub fn parse(text: &str) -> Result<TypeModel, Problem> {
    let file = TomlFile::parse(text)?;
    file.known_keys(file.root(), MODEL_KEYS)?;
    for attribute in attributes(&file) {
        file.known_keys(attribute, ATTRIBUTE_KEYS)?;
        file.known_word(attribute, "datatype", DATATYPES)?;
        file.known_word(attribute, "merge", MERGES)?;
        quoted_range(&file, attribute)?;
    }
    let model: TypeModel = file.read()?;
    model.check().map_err(|problem| match fault(&file, &model) {
        Some(offset) => file.refuse(problem.code, offset, &problem.message),
        None => problem,
    })?;
    Ok(model)
}

/// The tables of the attributes, in the order of the file.
fn attributes<'f, 'a>(file: &'f TomlFile<'a>) -> impl Iterator<Item = &'f DeTable<'a>> {
    let array = file.root().get("attribute").and_then(|value| value.get_ref().as_array());
    array.into_iter().flat_map(|array| array.iter()).filter_map(|item| item.get_ref().as_table())
}

fn quoted_range(file: &TomlFile<'_>, attribute: &DeTable<'_>) -> Result<(), Problem> {
    for key in ["min", "max"] {
        let Some(value) = attribute.get(key) else { continue };
        if value.get_ref().is_integer() || value.get_ref().is_float() {
            let why = format!("the {key} of an attribute is a number in quotes");
            return Err(file
                .refuse(codes::INPUT_MALFORMED, value.span().start, &why)
                .hint(format!("write it like {key} = \"-100\"; values stay as they are written")));
        }
    }
    Ok(())
}

/// Where the first broken rule of a model lies: a key of its head, or the first attribute with
/// which the attributes so far no longer keep the rules.
fn fault(file: &TomlFile<'_>, model: &TypeModel) -> Option<usize> {
    let place = |key: &str| file.root().get_key_value(key).map(|(key, _)| key.span().start);
    if !is_name(&model.model) {
        return place("model");
    }
    if model.version == 0 {
        return place("version");
    }
    if !is_name(&model.retention_class) {
        return place("retention_class");
    }
    let keeps = |n: usize| {
        let attributes: Vec<AttributeModel> = model.attributes.iter().take(n).cloned().collect();
        TypeModel { attributes, ..model.clone() }.check().is_ok()
    };
    let Some(first) = (1..=model.attributes.len()).find(|n| !keeps(*n)) else {
        return place("attribute");
    };
    let table = attributes(file).nth(first - 1)?;
    table.values().map(|value| value.span().start).min()
}

#[cfg(test)]
mod tests {
    use super::{ATTRIBUTE_KEYS, DATATYPES, MERGES, MODEL_KEYS, parse};
    use twinpact_model::{AttributeModel, Datatype, Merge, TypeModel};

    const GOOD: &str = r#"
model = "pump"
version = 2
description = "A pump"

[[attribute]]
name = "flow"
datatype = "double"
unit = "m3/h"
min = "0"
max = "100"
merge = "lww-phenomenon"

[[attribute]]
name = "on"
datatype = "boolean"
"#;

    #[test]
    fn a_model_is_read() {
        let model = parse(GOOD).unwrap();
        assert_eq!(model.reference().to_string(), "pump@2");
        assert_eq!(model.retention_class, "operational");
        assert_eq!(model.attributes[0].max.as_deref(), Some("100"));
        assert_eq!(model.attributes[1].name, "on");
    }

    fn check(from: &str, to: &str, code: &str, message: &str, hint: &str) {
        assert!(GOOD.contains(from), "{from}");
        let problem = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!(problem.message, message);
        assert_eq!(problem.code.name, code, "{problem}");
        assert_eq!(problem.hint.as_deref().unwrap_or_default(), hint, "{problem}");
    }

    #[test]
    fn words_that_are_unknown() {
        for (from, to, message, hint) in [
            ("version", "versoin", "line 3, column 1: unknown key \"versoin\"", "version"),
            ("unit", "units", "line 9, column 1: unknown key \"units\"", "unit"),
        ] {
            check(from, to, "input.unknown_key", message, &format!("did you mean {hint:?}?"));
        }
        for (from, to, message, hint) in [
            ("\"double", "\"duoble", "line 8, column 12: unknown datatype \"duoble\"", "double"),
            (
                "lww-p",
                "mww-p",
                "line 12, column 9: unknown merge \"mww-phenomenon\"",
                "lww-phenomenon",
            ),
        ] {
            check(from, to, "input.malformed", message, &format!("did you mean {hint:?}?"));
        }
    }

    #[test]
    fn values_that_cannot_be_read() {
        let bad = "input.malformed";
        check(
            "\"100\"",
            "100",
            bad,
            "line 11, column 7: the max of an attribute is a number in quotes",
            "write it like max = \"-100\"; values stay as they are written",
        );
        check("version = 2", "", bad, "missing field `version`", "");
        check(
            "version = 2",
            "version = \"2\"",
            bad,
            "line 3, column 11: invalid type: string \"2\", expected u32",
            "",
        );
        check("datatype = \"boolean\"", "", bad, "line 14, column 1: missing field `datatype`", "");
        check(
            "version = 2",
            "version = ",
            bad,
            "line 3, column 11: string values must be quoted, expected literal string",
            "",
        );
    }

    #[test]
    fn rules_that_are_broken() {
        let rule = "model.invalid";
        check(
            "\"pump\"",
            "\"a pump\"",
            rule,
            "line 2, column 1: \"a pump\" is not a model name",
            "",
        );
        check("= 2", "= 0", rule, "line 3, column 1: a model version is counted from 1", "");
        check(
            "\"100\"",
            "\"lots\"",
            rule,
            "line 7, column 8: \"lots\" is not a bound of the double \"flow\"",
            "",
        );
        check(
            "\"on\"",
            "\"flow\"",
            rule,
            "line 15, column 8: the attribute \"flow\" stands twice",
            "",
        );
        let head = "attribute = []\nmodel = \"pump\"\nversion = 1\n";
        assert_eq!(
            parse(head).unwrap_err().message,
            "line 1, column 1: the model has 0 attributes; 1 to 29 are possible"
        );
    }

    #[test]
    fn the_lists_are_those_of_the_model() {
        let mut model = parse(GOOD).unwrap();
        model.attributes.truncate(1);
        model.attributes[0].description = Some("x".into());
        let value = serde_json::to_value::<TypeModel>(model.clone()).unwrap();
        let sorted = |mut words: Vec<String>| {
            words.sort();
            words
        };
        let keys = |value: &serde_json::Value| {
            sorted(value.as_object().unwrap().keys().cloned().collect())
        };
        let list = |words: &[&str]| sorted(words.iter().map(|w| (*w).to_owned()).collect());
        assert_eq!(keys(&value), list(MODEL_KEYS));
        let attribute = serde_json::to_value::<AttributeModel>(model.attributes.remove(0)).unwrap();
        assert_eq!(keys(&attribute), list(ATTRIBUTE_KEYS));
        use Datatype::{Boolean, DateTime, Decimal, Double, Integer, String as Text};
        let datatypes = [Double, Decimal, Integer, Boolean, Text, DateTime].map(Datatype::name);
        assert_eq!(datatypes, DATATYPES);
        let merges = [Merge::LwwRecorded, Merge::LwwPhenomenon];
        let merges: Vec<_> = merges.iter().map(|m| serde_json::to_value(m).unwrap()).collect();
        assert_eq!(merges, MERGES);
    }
}
