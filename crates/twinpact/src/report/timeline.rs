//! What was decided, delivered, asked and answered, in order.

use super::Moment;
use super::svg::escaped;
use std::fmt::Write as _;

pub(super) fn table(moments: &[Moment]) -> String {
    let mut out = String::from(
        "<table><caption>Times are those of the policy clock. Each line is an entry of that \
         organisation’s log.</caption><thead><tr><th scope=\"col\">when</th><th scope=\"col\">who\
         </th><th scope=\"col\">what</th><th scope=\"col\">proof</th></tr></thead><tbody>",
    );
    for Moment { at, organisation, what, level, proof } in moments {
        let _ = write!(
            out,
            "<tr><td class=\"time\">{}</td><td class=\"who\" data-name=\"who\">{}</td><td>{}</td>\
             <td data-name=\"proof\">{}, {}</td></tr>",
            escaped(&at.to_string()),
            escaped(organisation),
            escaped(what),
            escaped(level),
            escaped(proof)
        );
    }
    out + "</tbody></table>"
}
