//! The name of a twin as a template over columns: `urn:turbine:{Wind_turbine_name}`.
//!
//! A brace may not stand in an IRI (RFC 3987 §2.2), so none needs escaping. Cells are put in as
//! they are; a row whose result is not an absolute IRI is refused, never repaired.

use twinpact_model::Iri;

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// This text.
    Text(String),
    /// The cell of that column.
    Column(String),
}

/// The parts of a template, in order.
///
/// # Errors
/// A sentence about the brace or the text that cannot stand.
pub(crate) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        push_text(&mut parts, before)?;
        let (column, after) =
            after.split_once('}').ok_or_else(|| "a brace is not closed".to_owned())?;
        if column.is_empty() || column.contains('{') {
            return Err(format!("{{{column}}} names no column"));
        }
        parts.push(Part::Column(column.to_owned()));
        rest = after;
    }
    push_text(&mut parts, rest)?;
    // A template that begins with a column may take the whole IRI from there.
    if let Some(Part::Text(_)) | None = parts.first() {
        let sample: String = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Column(_) => "x",
            })
            .collect();
        Iri::new(sample).map_err(|problem| problem.message)?;
    }
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), String> {
    if text.contains('}') {
        return Err("a brace is closed that was not opened".to_owned());
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Part, parse};

    #[test]
    fn templates() {
        let text = |t: &str| Part::Text(t.to_owned());
        let column = |t: &str| Part::Column(t.to_owned());
        for (template, expect) in [
            ("urn:t:{A}", Some(vec![text("urn:t:"), column("A")])),
            (
                "urn:t:{A b}:{C}/x",
                Some(vec![text("urn:t:"), column("A b"), text(":"), column("C"), text("/x")]),
            ),
            ("{iri}", Some(vec![column("iri")])),
            ("urn:t:1", Some(vec![text("urn:t:1")])),
            ("", None),
            ("turbine {A}", None),
            ("urn:t:{A", None),
            ("urn:t:A}", None),
            ("urn:t:{}", None),
            ("urn:t:{A{B}}", None),
        ] {
            assert_eq!(parse(template).ok(), expect, "{template}");
        }
    }
}
