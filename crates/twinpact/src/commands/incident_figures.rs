//! The figures of the picture of an incident: what the node counts of itself (`GET /kpis`), as far
//! as it is about that incident, in the words of the picture.

use crate::output::{count, percent};
use crate::report::Figure;
use twinpact_node::api::{AgreementKpi, IncidentKpi, IncidentShown, Kpis};

/// All that can be said. What there is nothing to compute from is left out.
pub(super) fn figures(shown: &IncidentShown, kpis: &Kpis, agreement: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    let id = &shown.incident.id;
    if let Some(one) = kpis.incidents.iter().find(|one| one.incident == *id) {
        figures.extend(times(one));
    }
    figures.extend(answers(shown));
    let of = kpis.agreements.iter().find(|one| one.agreement == agreement);
    figures.extend(of.iter().flat_map(|one| shares(one)));
    if let Some(took) = kpis.reconstruct_ms {
        let meaning = "to export the newest decision with its proof and to verify it, just now";
        figures.push(figure("time to reconstruct a decision", format!("{took:.1} ms"), meaning));
    }
    figures
}

fn figure(name: &str, value: String, meaning: &str) -> Figure {
    Figure { name: name.to_owned(), value, meaning: meaning.to_owned() }
}

/// How long it took to find it and to contain it, in data time.
fn times(one: &IncidentKpi) -> Vec<Figure> {
    let contained = match one.automatic {
        Some(true) => "from being asked to the last yes; a program has given one of the answers",
        _ => "from being asked to the last yes",
    };
    let all = [
        (
            "time to detect, since it began",
            one.detect_since_began_s,
            "from when it began, as its owner says, until it was opened",
        ),
        (
            "time to detect, since it could be seen",
            one.detect_since_visible_s,
            "from its first loss that was shown until it was opened",
        ),
        (
            "price of the policy",
            one.price_of_policy_s,
            "the difference of the two: how long there were losses of which none was shown",
        ),
        ("time to contain", one.contain_s, contained),
    ];
    all.into_iter()
        .filter_map(|(name, seconds, meaning)| Some(figure(name, span(seconds?), meaning)))
        .collect()
}

/// How long each who was asked took to answer.
fn answers(shown: &IncidentShown) -> Vec<Figure> {
    let answered = shown.containments.iter().filter_map(|one| {
        let took = one.answers.first()?.at.seconds() - one.opened.seconds();
        let name = format!("time to answer, {}", one.asked_of);
        Some(figure(&name, span(took), "from being asked to the answer"))
    });
    answered.collect()
}

/// How well the exchange behind it does.
fn shares(one: &AgreementKpi) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(fresh) = &one.freshness {
        let meaning = format!(
            "deliveries whose newest row was not older than promised, {} of {}",
            count(fresh.within),
            count(fresh.of)
        );
        figures.push(figure("freshness attained", percent(fresh.attained), &meaning));
    }
    if let Some(values) = &one.values {
        let meaning = format!(
            "values of the twins that are shown, {} recorded and {} delivered",
            count(values.recorded),
            count(values.delivered)
        );
        figures.push(figure("never left the owner", percent(values.share_kept), &meaning));
    }
    if let Some(bytes) = &one.bytes {
        let value = format!("{} of {}", count(bytes.used), count(bytes.asked));
        let meaning = "bytes of rows that were delivered and then read for a purpose";
        figures.push(figure("bytes used", value, meaning));
    }
    figures
}

/// A time span in words; one that ends before it begins has a sign.
fn span(seconds: i64) -> String {
    let minutes = seconds.unsigned_abs() / 60;
    let sign = if seconds <= -60 { "-" } else { "" };
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{sign}{minutes} min"),
        (hours, 0) => format!("{sign}{hours} h"),
        (hours, minutes) => format!("{sign}{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;
    use crate::output::percent;

    #[test]
    fn spans_are_said_in_words() {
        for (seconds, expect) in [
            (0, "0 min"),
            (1_200, "20 min"),
            (3_600, "1 h"),
            (68_400 + 60, "19 h 1 min"),
            // What it began after was another loss.
            (-30, "0 min"),
            (-1_200, "-20 min"),
            (-3_600, "-1 h"),
            (-5_400, "-1 h 30 min"),
        ] {
            assert_eq!(span(seconds), expect);
        }
    }

    #[test]
    fn shares_are_said_in_percent() {
        assert_eq!((percent(1.0), percent(0.1234)), ("100.0 %".into(), "12.3 %".into()));
    }
}
