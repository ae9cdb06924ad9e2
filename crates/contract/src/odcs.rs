//! The keys of ODCS v3.2.0, where its JSON Schema allows no others, as our own table.
//!
//! One walk refuses every unknown key with the nearest known one. Places that the schema leaves
//! open (`description`, values of custom properties, servers, which differ by type) are not listed.

use crate::diagnostic::{Diagnostic, Severity};
use crate::yaml::{Node, Value};
use twinpact_model::codes;
use twinpact_model::suggest::nearest;

/// A closed kind of object: its name in messages, its keys with the kind of their values; an empty
/// kind is not looked into.
type Shape = (&'static str, &'static [(&'static str, &'static str)]);

const SHAPES: &[Shape] = &[
    (
        "contract",
        &[
            ("version", ""),
            ("kind", ""),
            ("apiVersion", ""),
            ("id", ""),
            ("name", ""),
            ("tenant", ""),
            ("tags", ""),
            ("status", ""),
            ("servers", ""),
            ("dataProduct", ""),
            ("description", ""),
            ("domain", ""),
            ("context", ""),
            ("schema", "object"),
            ("support", "support channel"),
            ("price", "price"),
            ("team", "team"),
            ("roles", "role"),
            ("slaDefaultElement", ""),
            ("slaProperties", "service level"),
            ("authoritativeDefinitions", "definition"),
            ("customProperties", "custom property"),
            ("contractCreatedTs", ""),
        ],
    ),
    (
        "object",
        &[
            ("id", ""),
            ("name", ""),
            ("physicalType", ""),
            ("description", ""),
            ("businessName", ""),
            ("deprecated", ""),
            ("synonyms", "synonym"),
            ("authoritativeDefinitions", "definition"),
            ("tags", ""),
            ("customProperties", "custom property"),
            ("logicalType", ""),
            ("physicalName", ""),
            ("dataGranularityDescription", ""),
            ("properties", "property"),
            ("relationships", ""),
            ("quality", "quality check"),
            ("context", ""),
        ],
    ),
    (
        "property",
        &[
            ("id", ""),
            ("name", ""),
            ("physicalType", ""),
            ("description", ""),
            ("businessName", ""),
            ("deprecated", ""),
            ("synonyms", "synonym"),
            ("authoritativeDefinitions", "definition"),
            ("tags", ""),
            ("customProperties", "custom property"),
            ("primaryKey", ""),
            ("primaryKeyPosition", ""),
            ("logicalType", ""),
            ("logicalTypeOptions", ""),
            ("physicalName", ""),
            ("required", ""),
            ("unique", ""),
            ("semanticType", ""),
            ("partitioned", ""),
            ("partitionKeyPosition", ""),
            ("classification", ""),
            ("encryptedName", ""),
            ("transformSourceObjects", ""),
            ("transformLogic", ""),
            ("transformDescription", ""),
            ("examples", ""),
            ("enum", "enum value"),
            ("criticalDataElement", ""),
            ("relationships", ""),
            ("quality", "quality check"),
            ("items", ""),
            ("properties", "property"),
            ("map", ""),
        ],
    ),
    (
        "quality check",
        &[
            ("id", ""),
            ("authoritativeDefinitions", "definition"),
            ("businessImpact", ""),
            ("customProperties", "custom property"),
            ("description", ""),
            ("dimension", ""),
            ("method", ""),
            ("name", ""),
            ("schedule", ""),
            ("scheduler", ""),
            ("severity", ""),
            ("tags", ""),
            ("type", ""),
            ("unit", ""),
            ("metric", ""),
            ("rule", ""),
            ("arguments", ""),
            ("query", ""),
            ("engine", ""),
            ("implementation", ""),
            ("mustBe", ""),
            ("mustNotBe", ""),
            ("mustBeGreaterThan", ""),
            ("mustBeGreaterOrEqualTo", ""),
            ("mustBeLessThan", ""),
            ("mustBeLessOrEqualTo", ""),
            ("mustBeBetween", ""),
            ("mustNotBeBetween", ""),
        ],
    ),
    (
        "service level",
        &[
            ("id", ""),
            ("property", ""),
            ("value", ""),
            ("valueExt", ""),
            ("unit", ""),
            ("element", ""),
            ("driver", ""),
            ("description", ""),
            ("scheduler", ""),
            ("schedule", ""),
            ("customProperties", "custom property"),
            ("authoritativeDefinitions", "definition"),
        ],
    ),
    (
        "custom property",
        &[("id", ""), ("property", ""), ("value", ""), ("description", ""), ("vendor", "")],
    ),
    ("definition", &[("id", ""), ("url", ""), ("type", ""), ("description", "")]),
    (
        "support channel",
        &[
            ("id", ""),
            ("channel", ""),
            ("url", ""),
            ("description", ""),
            ("tool", ""),
            ("scope", ""),
            ("invitationUrl", ""),
            ("customProperties", "custom property"),
        ],
    ),
    ("price", &[("id", ""), ("priceAmount", ""), ("priceCurrency", ""), ("priceUnit", "")]),
    (
        "role",
        &[
            ("id", ""),
            ("role", ""),
            ("description", ""),
            ("access", ""),
            ("firstLevelApprovers", ""),
            ("secondLevelApprovers", ""),
            ("customProperties", "custom property"),
        ],
    ),
    (
        "enum value",
        &[
            ("value", ""),
            ("label", ""),
            ("id", ""),
            ("description", ""),
            ("customProperties", "custom property"),
            ("authoritativeDefinitions", "definition"),
            ("tags", ""),
        ],
    ),
    (
        "synonym",
        &[
            ("id", ""),
            ("synonym", ""),
            ("description", ""),
            ("locale", ""),
            ("source", ""),
            ("status", ""),
            ("customProperties", "custom property"),
        ],
    ),
    (
        "team",
        &[
            ("id", ""),
            ("name", ""),
            ("description", ""),
            ("members", "team member"),
            ("tags", ""),
            ("customProperties", "custom property"),
            ("authoritativeDefinitions", "definition"),
        ],
    ),
    (
        "team member",
        &[
            ("id", ""),
            ("username", ""),
            ("name", ""),
            ("description", ""),
            ("role", ""),
            ("dateIn", ""),
            ("dateOut", ""),
            ("replacedByUsername", ""),
            ("tags", ""),
            ("customProperties", "custom property"),
            ("authoritativeDefinitions", "definition"),
        ],
    ),
];

/// Refuses every key that an object of that kind, or one below it, cannot have.
pub(crate) fn check_keys(node: &Node, kind: &str, found: &mut Vec<Diagnostic>) {
    let Some((_, keys)) = SHAPES.iter().find(|(name, _)| *name == kind) else { return };
    for member in node.members() {
        let Some((_, below)) = keys.iter().find(|(key, _)| *key == member.key) else {
            found.push(unknown_key(&member.key, kind, keys, member.key_at));
            continue;
        };
        match &member.node.value {
            // The team of ODCS before v3.1.0 is a plain list of members.
            Value::List(items) => {
                let below = if *below == "team" { "team member" } else { below };
                items.iter().for_each(|item| check_keys(item, below, found));
            }
            _ => check_keys(&member.node, below, found),
        }
    }
}

fn unknown_key(
    key: &str,
    kind: &str,
    keys: &[(&str, &str)],
    at: crate::diagnostic::Span,
) -> Diagnostic {
    let shown: String = key.chars().take(80).collect();
    let message = format!("a {kind} has no key {shown:?}");
    let found = Diagnostic::new(Severity::Error, codes::CONTRACT_UNKNOWN_KEY, at, message);
    match nearest(key, keys.iter().map(|(key, _)| *key)) {
        Some(near) => found.hint(format!("did you mean {near:?}?")),
        None => found.hint("what is not in ODCS goes into customProperties"),
    }
}

#[cfg(test)]
mod tests {
    use super::SHAPES;

    #[test]
    fn every_kind_that_is_named_exists() {
        for (kind, keys) in SHAPES {
            for (key, below) in *keys {
                let open = below.is_empty();
                assert!(
                    open || SHAPES.iter().any(|(name, _)| name == below),
                    "{kind}.{key}: {below}"
                );
            }
        }
    }
}
