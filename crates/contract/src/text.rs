//! Terms in plain English, for people who sign them.
//!
//! Every constraint has a phrase of its own, so that nothing in the terms is missing from the text.

use crate::catenax::{SetTest, Undecided};
use crate::terms::{Action, Constraint, Duty, PlaceTest, PurposeTest, Rule, Terms, TimeTest};
use crate::vocabulary::{PURPOSE, REGION};
use std::collections::BTreeSet;
use twinpact_model::{Schedule, Timestamp};

const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of the regions that are met most; the others are shown by their code.
const PLACES: &str = "EU=the EU|EEA=the EEA|AT=Austria|BE=Belgium|BG=Bulgaria|CY=Cyprus|CZ=Czechia|\
    DE=Germany|DK=Denmark|EE=Estonia|ES=Spain|FI=Finland|FR=France|GR=Greece|HR=Croatia|HU=Hungary|\
    IE=Ireland|IT=Italy|LT=Lithuania|LU=Luxembourg|LV=Latvia|MT=Malta|NL=the Netherlands|PL=Poland|\
    PT=Portugal|RO=Romania|SE=Sweden|SI=Slovenia|SK=Slovakia|IS=Iceland|LI=Liechtenstein|NO=Norway|\
    CH=Switzerland|GB=the United Kingdom|US=the United States|CA=Canada|CN=China|IN=India|JP=Japan";

/// All terms in one line: what is allowed, what is forbidden, what must be done.
#[must_use]
pub fn terms(terms: &Terms) -> String {
    let mut parts: Vec<String> = Vec::new();
    let allowed: Vec<String> = terms.permissions().iter().map(permission).collect();
    if !allowed.is_empty() {
        parts.push(allowed.join("; or "));
    }
    parts.extend(terms.prohibitions().iter().map(|r| format!("never {}", rule(r))));
    parts.extend(terms.obligations().iter().map(|d| duty(*d)));
    parts.extend(terms.undecided_duties().iter().map(undecided_duty));
    parts.join("; ")
}

/// A permission, with its action when that is not use.
fn permission(permission: &Rule) -> String {
    match permission.action {
        Action::Use => rule(permission),
        Action::Access => format!("access {}", rule(permission)),
    }
}

/// When a rule applies: `for predictive maintenance, in the EU`.
#[must_use]
pub fn rule(rule: &Rule) -> String {
    let mut constraints: Vec<&Constraint> = rule.constraints.iter().collect();
    constraints.sort_by_key(|c| rank(c));
    match constraints.is_empty() {
        true => "for any purpose, in any place, at any time".to_owned(),
        false => constraints.iter().map(|c| constraint(c)).collect::<Vec<_>>().join(", "),
    }
}

/// The order in which people ask: what for, where, when, until when.
#[must_use]
pub fn rank(constraint: &Constraint) -> u8 {
    match constraint {
        Constraint::Purpose { .. } => 0,
        Constraint::Place { .. } => 1,
        Constraint::Schedule(_) => 2,
        Constraint::Time { .. } => 3,
        Constraint::Undecided(_) => 4,
    }
}

/// One condition as a phrase.
#[must_use]
pub fn constraint(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Purpose { test, purposes } => {
            let names: Vec<String> = purposes.iter().map(|p| purpose_name(p)).collect();
            match test {
                PurposeTest::AnyOf => format!("for {}", list(&names, "or")),
                PurposeTest::AllOf => format!("for {} at once", list(&names, "and")),
                PurposeTest::NoneOf => format!("for any purpose but {}", list(&names, "and")),
                PurposeTest::Eq => format!("for exactly {}", list(&names, "or")),
            }
        }
        Constraint::Place { test, regions } => {
            let names: Vec<String> = regions.iter().map(|r| place_name(r)).collect();
            match test {
                PlaceTest::Within => format!("in {}", list(&names, "or")),
                PlaceTest::Exactly => format!("in exactly {}", list(&names, "or")),
            }
        }
        Constraint::Schedule(s) => schedule(s),
        Constraint::Time { test, at } => match test {
            TimeTest::Lt => format!("before {at}"),
            TimeTest::Lteq => format!("until {at}"),
            TimeTest::Gt => format!("after {at}"),
            TimeTest::Gteq => format!("from {at}"),
            TimeTest::Eq => format!("at {at} to the microsecond"),
        },
        Constraint::Undecided(term) => format!("if {}", undecided(term)),
    }
}

/// A condition of a profile as a clause: `UsagePurpose is any of a or b`.
#[must_use]
pub fn undecided(term: &Undecided) -> String {
    let (name, values) = (term.name(), term.values());
    match (term.test(), values) {
        (SetTest::NoneOf, _) => format!("{name} is none of {}", list(values, "and")),
        (SetTest::Eq, _) | (_, [_]) => format!("{name} is {}", list(values, "or")),
        (SetTest::AnyOf, _) => format!("{name} is any of {}", list(values, "or")),
        (SetTest::AllOf, _) => format!("{name} is all of {}", list(values, "and")),
    }
}

/// The names of conditions and a verb that fits them: `Membership holds`, `a and b hold`.
pub fn whether_they_hold<'a>(terms: impl Iterator<Item = &'a Undecided>) -> String {
    let names: BTreeSet<&str> = terms.map(Undecided::name).collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    format!("{} {}", list(&names, "and"), if names.len() == 1 { "holds" } else { "hold" })
}

/// A duty that nobody here can tell the fulfilment of.
pub(crate) fn undecided_duty(duty: &Rule) -> String {
    let parts: Vec<String> = duty.undecided().map(undecided).collect();
    format!("with the duty that {}", list(&parts, "and"))
}

/// A duty as a clause.
#[must_use]
pub fn duty(duty: Duty) -> String {
    match duty {
        Duty::Delete { within_s: 0 } => "copies are deleted at once".to_owned(),
        Duty::Delete { within_s } => format!("copies are deleted within {}", duration(within_s)),
    }
}

/// A length of time in its largest whole unit: `14 days`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, name) = units
        .into_iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size))
        .unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// The hours of a week: `Monday to Friday 07:00–19:00 Europe/Paris`.
#[must_use]
pub fn schedule(schedule: &Schedule) -> String {
    if schedule.days().iter().all(|day| day.as_slice() == [(0, 1440)]) {
        return "at all hours".to_owned();
    }
    format!("{} {}", hours(schedule), schedule.zone())
}

/// The same without the zone: `Monday to Friday 07:00–19:00`.
#[must_use]
pub fn hours(schedule: &Schedule) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut day = 0;
    while let Some(spans) = schedule.days().get(day) {
        let run = schedule.days().iter().skip(day).take_while(|next| *next == spans).count();
        let name = |i: usize| DAYS.get(i).copied().unwrap_or_default();
        if !spans.is_empty() {
            let which = match run {
                1 => name(day).to_owned(),
                2 => format!("{} and {}", name(day), name(day + 1)),
                _ => format!("{} to {}", name(day), name(day + run - 1)),
            };
            let spans: Vec<String> = spans.iter().map(|(a, b)| span(*a, *b)).collect();
            parts.push(format!("{which} {}", list(&spans, "and")));
        }
        day += run.max(1);
    }
    parts.join(", ")
}

fn span(from: u16, to: u16) -> String {
    format!("{:02}:{:02}–{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
}

/// The local day and clock of a schedule: `Monday 27 July 2015` and `07:00`.
#[must_use]
pub fn local(schedule: &Schedule, at: Timestamp) -> (String, String) {
    let text = schedule.local(at);
    let mut parts = text.split(' ');
    let (day, date, clock) = (parts.next(), parts.next(), parts.next());
    let day = day.and_then(|d| DAYS.iter().find(|name| name.starts_with(d)));
    let mut numbers = date.unwrap_or_default().split('-');
    let (year, month, number) = (numbers.next(), numbers.next(), numbers.next());
    let month = month
        .and_then(|m| m.parse::<usize>().ok())
        .and_then(|m| MONTHS.get(m.wrapping_sub(1)))
        .copied();
    match (day, number, month, year, clock) {
        (Some(day), Some(number), Some(month), Some(year), Some(clock)) => {
            let number = number.trim_start_matches('0');
            (format!("{day} {number} {month} {year}"), clock.to_owned())
        }
        _ => (text, String::new()),
    }
}

/// The name of a purpose: `predictive maintenance`; one of somebody else's as its IRI.
#[must_use]
pub fn purpose_name(iri: &str) -> String {
    let Some(name) = iri.strip_prefix(PURPOSE) else { return format!("<{iri}>") };
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The name of a region: `the EU`, `France`, or its code; one of somebody else's as its IRI.
#[must_use]
pub fn place_name(iri: &str) -> String {
    let Some(code) = iri.strip_prefix(REGION) else { return format!("<{iri}>") };
    PLACES
        .split('|')
        .filter_map(|entry| entry.split_once('='))
        .find(|(known, _)| *known == code)
        .map_or_else(|| code.to_owned(), |(_, name)| name.to_owned())
}

/// `a`, `a or b`, `a, b or c`.
fn list(names: &[String], word: &str) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, local, place_name, purpose_name, schedule, terms};
    use crate::odrl::read;
    use serde_json::{Value, json};
    use twinpact_model::{Schedule, Timestamp};

    #[test]
    fn terms_read_as_english() {
        let c = |left: &str, operator: &str, right: Value| {
            let right = ("rightOperand", right);
            let atom = [("leftOperand", json!(left)), ("operator", json!(operator)), right];
            atom.into_iter().collect::<Value>()
        };
        let p = |name: &str| json!(format!("twinpact:purpose/{name}"));
        let r = |name: &str| json!(format!("twinpact:region/{name}"));
        let hours =
            c("twinpact:odrl/localSchedule", "isPartOf", json!("Mo-Fr 07:00-19:00 [Europe/Paris]"));
        let delete =
            json!({"action": "delete", "constraint": c("delayPeriod", "lteq", json!("P14D"))});
        let check = |policy: Value, expect: &str| {
            assert_eq!(terms(&read(&policy).unwrap().terms), expect, "{policy}");
        };
        check(
            json!({"permission": {"action": "use", "constraint": [
                hours,
                c("spatial", "isPartOf", r("EU")),
                c("purpose", "isA", p("PredictiveMaintenance")),
            ]}, "obligation": delete}),
            "for predictive maintenance, in the EU, Monday to Friday 07:00–19:00 Europe/Paris; \
             copies are deleted within 14 days",
        );
        check(
            json!({"permission": {"action": "use"}}),
            "for any purpose, in any place, at any time",
        );
        check(
            json!({
                "permission": [
                    {"action": "use", "constraint": [
                        c("purpose", "isAnyOf", json!([p("Research"), p("Billing")])),
                        c("dateTime", "lt", json!("2027-01-01T00:00:00Z"))]},
                    {"action": "use", "constraint": [c("spatial", "eq", r("FR"))]},
                ],
                "prohibition": {"action": "use", "constraint": c("purpose", "isA", p("Marketing"))},
            }),
            "for billing or research, before 2027-01-01T00:00:00Z; or in exactly France; \
             never for marketing",
        );
        check(
            json!({"permission": {"action": "use", "constraint": c("purpose", "isNoneOf",
                json!([p("Marketing"), "https://x.example/p"]))}}),
            "for any purpose but marketing and <https://x.example/p>",
        );
    }

    #[test]
    fn words() {
        for (text, expect) in [
            ("Mo-Su 00:00-24:00 [UTC]", "at all hours"),
            (
                "Sa,Su 08:00-12:00,13:00-14:30 [UTC]",
                "Saturday and Sunday 08:00–12:00 and 13:00–14:30 UTC",
            ),
            (
                "Mo 00:00-01:00; We-Fr 02:00-03:00 [UTC]",
                "Monday 00:00–01:00, Wednesday to Friday 02:00–03:00 UTC",
            ),
        ] {
            assert_eq!(schedule(&Schedule::parse(text).unwrap()), expect);
        }
        for (seconds, expect) in [
            (1_209_600, "14 days"),
            (86_400, "1 day"),
            (5_400, "90 minutes"),
            (3_601, "3601 seconds"),
            (0, "0 seconds"),
        ] {
            assert_eq!(duration(seconds), expect);
        }
        let paris = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
        let at = Timestamp::parse("2015-08-02T10:10:00Z").unwrap();
        assert_eq!(local(&paris, at), ("Sunday 2 August 2015".to_owned(), "12:10".to_owned()));
        assert_eq!(
            purpose_name("https://w3id.org/twinpact/purpose/CarbonFootprint"),
            "carbon footprint"
        );
        assert_eq!(place_name("https://w3id.org/twinpact/region/NG"), "NG");
        assert_eq!(place_name("urn:x"), "<urn:x>");
    }
}
