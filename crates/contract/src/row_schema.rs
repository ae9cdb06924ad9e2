//! The JSON Schema (2020-12) of a row as it is delivered: what a dataset of the catalogue conforms
//! to. It says names, types and units, and nothing of which rows or twins are shown.

use crate::document::{Contract, LogicalType, Property};
use serde_json::{Map, Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Contract {
    /// The schema of one row of the view, to be had at that address: an array of the twin, the time
    /// and the columns in their order. Values are texts, or null where nothing is known.
    #[must_use]
    pub fn row_schema(&self, address: &str) -> Value {
        let fixed = [
            json!({ "title": "twin", "type": "string", "format": "iri" }),
            json!({ "title": "time", "type": "string", "format": "date-time" }),
        ];
        let columns = self.object.properties.iter().map(column);
        let items: Vec<Value> = fixed.into_iter().chain(columns).collect();
        let mut schema = Map::new();
        schema.insert("$schema".to_owned(), Value::from(DIALECT));
        schema.insert("$id".to_owned(), Value::from(address));
        schema.insert("title".to_owned(), Value::from(format!("{} {}", self.name, self.version)));
        if let Some(purpose) = &self.description.purpose {
            schema.insert("description".to_owned(), Value::from(purpose.as_str()));
        }
        schema.insert("type".to_owned(), Value::from("array"));
        schema.insert("minItems".to_owned(), Value::from(items.len()));
        schema.insert("prefixItems".to_owned(), Value::from(items));
        schema.insert("items".to_owned(), Value::from(false));
        Value::Object(schema)
    }
}

fn column(property: &Property) -> Value {
    let mut schema = Map::new();
    schema.insert("title".to_owned(), Value::from(property.name.as_str()));
    let types = if property.required { json!("string") } else { json!(["string", "null"]) };
    schema.insert("type".to_owned(), types);
    let (format, pattern) = form(property.logical_type);
    if let Some(format) = format {
        schema.insert("format".to_owned(), Value::from(format));
    }
    if let Some(pattern) = pattern {
        schema.insert("pattern".to_owned(), Value::from(pattern));
    }
    if let Some(unit) = &property.unit {
        schema.insert("unit".to_owned(), Value::from(unit.as_str()));
    }
    if property.deprecated {
        schema.insert("deprecated".to_owned(), Value::from(true));
    }
    Value::Object(schema)
}

/// How the text of a value looks: a format of JSON Schema, or a pattern.
const fn form(logical: LogicalType) -> (Option<&'static str>, Option<&'static str>) {
    match logical {
        LogicalType::String => (None, None),
        LogicalType::Date => (Some("date"), None),
        LogicalType::Timestamp => (Some("date-time"), None),
        LogicalType::Time => (Some("time"), None),
        LogicalType::Number => (None, Some(r"^([+-]?[0-9.]+([eE][+-]?[0-9]+)?|[+-]?INF|NaN)$")),
        LogicalType::Integer => (None, Some("^[+-]?[0-9]+$")),
        LogicalType::Boolean => (None, Some("^(true|false|1|0)$")),
    }
}

#[cfg(test)]
mod tests {
    use crate::Contract;
    use serde_json::json;

    const EXAMPLE: &str = include_str!("../../../examples/wind/turbine-maintenance.odcs.yaml");

    #[test]
    fn a_row_has_the_twin_the_time_and_the_columns() {
        let contract = Contract::parse(EXAMPLE.as_bytes()).unwrap();
        let schema = contract.row_schema("https://operator.example/schemas/x");
        let number = |name: &str, unit: &str| {
            json!({
                "title": name,
                "type": ["string", "null"],
                "pattern": "^([+-]?[0-9.]+([eE][+-]?[0-9]+)?|[+-]?INF|NaN)$",
                "unit": unit,
            })
        };
        assert_eq!(schema["$id"], "https://operator.example/schemas/x");
        assert_eq!(schema["title"], "turbine-maintenance 1.0.0");
        assert_eq!((&schema["minItems"], &schema["items"]), (&json!(5), &json!(false)));
        assert_eq!(
            schema["prefixItems"],
            json!([
                { "title": "twin", "type": "string", "format": "iri" },
                { "title": "time", "type": "string", "format": "date-time" },
                number("power", "kW"),
                number("pitch", "deg"),
                number("wind_speed", "m/s"),
            ])
        );
        // Neither twins nor the filter of the rows are anybody's business before an agreement.
        assert!(!schema.to_string().contains("Schedule"));
    }
}
