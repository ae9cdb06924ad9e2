//! The name of a twin as a template over columns: `urn:turbine:{Wind_turbine_name}`.
//!
//! A brace may not stand in an IRI (RFC 3987 §2.2), so none needs escaping. Cells are put in as
//! they are; a row whose result is not an absolute IRI is refused, never repaired. `{%Name}` puts
//! its cell in percent-encoded (RFC 6570 §3.2.2), for names with spaces and the like.

use twinpact_model::Iri;

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// This text.
    Text(String),
    /// The cell of that column.
    Column(String),
    /// The cell of that column, percent-encoded.
    Encoded(String),
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(cell: &str, out: &mut String) {
    for byte in cell.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
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
        let (name, encoded) = column.strip_prefix('%').map_or((column, false), |name| (name, true));
        if name.is_empty() || name.contains('{') {
            return Err(format!("{{{column}}} names no column"));
        }
        let name = name.to_owned();
        parts.push(if encoded { Part::Encoded(name) } else { Part::Column(name) });
        rest = after;
    }
    push_text(&mut parts, rest)?;
    // A template that begins with a column may take the whole IRI from there.
    if let Some(Part::Text(_)) | None = parts.first() {
        let sample: String = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Column(_) | Part::Encoded(_) => "x",
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
    use super::{Part, encode, parse};

    #[test]
    fn cells_are_percent_encoded() {
        for (cell, expect) in
            [("R1-a_b.c~", "R1-a_b.c~"), ("Pumpe 1/é", "Pumpe%201%2F%C3%A9"), ("50%", "50%25")]
        {
            let mut out = String::new();
            encode(cell, &mut out);
            assert_eq!(out, expect);
        }
    }

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
            ("urn:t:{%A b}", Some(vec![text("urn:t:"), Part::Encoded("A b".to_owned())])),
            ("urn:t:{%}", None),
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
