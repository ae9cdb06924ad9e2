//! The golden table: request in, outcome and sentence out. `golden.txt` is read by people; after a
//! change that was meant, `TWINPACT_BLESS=1` writes it anew (and fails, so that it is looked at).

use crate::world::{World, at, terms};
use twinpact_model::WallTime;
use twinpact_policy::{AssertionFault, Decision, State, Vocabulary};

struct Case<'a> {
    name: &'a str,
    settings: Vec<(&'a str, &'a str)>,
    expect: Vec<&'a str>,
}

/// `## name`, then `key: value` lines, then lines of the outcome that begin with `->`.
fn cases(text: &str) -> Vec<Case<'_>> {
    let blocks = text.split("\n## ").skip(1);
    blocks
        .map(|block| {
            let mut lines = block.lines().filter(|line| !line.is_empty());
            let name = lines.next().unwrap();
            let (expect, settings): (Vec<&str>, Vec<&str>) =
                lines.partition(|l| l.starts_with("->"));
            let settings = settings.iter().map(|l| l.split_once(": ").expect(name)).collect();
            Case { name, settings, expect }
        })
        .collect()
}

fn set(world: &mut World, key: &str, value: &str) {
    let other = "b2".repeat(32);
    let minutes = |n: i64| WallTime(at(crate::world::WALL).plus_seconds(60 * n));
    match (key, value) {
        ("at", time) => world.now = at(time),
        ("purpose", iri) if iri.contains(':') => iri.clone_into(&mut world.assertion().purpose),
        ("purpose", name) => {
            world.assertion().purpose = format!("https://w3id.org/twinpact/purpose/{name}");
        }
        ("place", code) => code.clone_into(&mut world.assertion().place),
        ("caller", did) => world.request.caller.participant = did.to_owned(),
        ("view", view) => view.clone_into(&mut world.request.view),
        ("agreement", "another") => world.request.agreement = other,
        ("state", "revoked") => {
            world.agreement.state = State::Revoked { at: at("2015-07-24T09:00:00Z") };
        }
        ("state", "terminated") => world.agreement.state = State::Terminated,
        ("state", "suspended") => world.agreement.state = State::Suspended,
        ("token", "none") => world.request.token = None,
        ("token", "runs out now") => world.token().expires = minutes(0),
        ("token", "ran out") => world.token().expires = minutes(-1),
        ("token", "another agreement") => world.token().agreement = other,
        ("token", "another transfer") => world.token().transfer = "urn:uuid:0000".to_owned(),
        ("token", "another view") => world.token().view.push('x'),
        ("token", "another caller") => world.token().spiffe_id.push('x'),
        ("token", "epoch 2") => world.token().epoch = 2,
        ("epoch", "4") => world.agreement.epoch = 4,
        ("assertion", "none") => world.request.assertion = None,
        ("assertion", "was used before") => {
            world.request.assertion = None;
            world.request.assertion_fault = Some(AssertionFault::Replayed);
        }
        ("assertion", "expired") => world.assertion().expires = minutes(0),
        ("assertion", "another issuer") => {
            world.assertion().issuer = "did:web:stranger.example".to_owned();
        }
        ("assertion", "another audience") => world.assertion().audience.push('x'),
        ("assertion", "another agreement") => world.assertion().agreement = other,
        ("assertion", "ten minutes") => {
            world.assertion().issued = minutes(0);
            world.assertion().expires = minutes(10);
        }
        ("assertion", "eleven minutes") => world.assertion().expires = minutes(11),
        ("assertion", "backwards") => world.assertion().issued = minutes(6),
        ("assertion", "one minute ahead") => world.assertion().issued = minutes(1),
        ("assertion", "two minutes ahead") => world.assertion().issued = minutes(2),
        (key, value) => panic!("no setting {key}: {value}"),
    }
}

fn outcome(case: &Case<'_>, vocabulary: &Vocabulary) -> Vec<String> {
    let named = case.settings.iter().find(|(key, _)| *key == "terms");
    let terms = match terms(named.map_or("wind", |(_, name)| name)) {
        Ok(terms) => terms,
        Err(problem) => {
            let code = problem.code.name;
            return vec![
                format!("-> refused when written: {code}"),
                format!("-> {}", problem.message),
            ];
        }
    };
    let mut world = World::new(terms);
    for (key, value) in case.settings.iter().filter(|(key, _)| *key != "terms") {
        set(&mut world, key, value);
    }
    let decision = world.decide(vocabulary);
    assert_eq!(decision.permits(), decision.code_name() == "policy.permit");
    lines(&decision)
}

fn lines(decision: &Decision) -> Vec<String> {
    let mut out = vec![format!("-> {}", decision.code_name())];
    if let Some(until) = decision.valid_until {
        out.push(format!("-> until {}", until.0));
    }
    if let Some(opens) = decision.opens_at {
        out.push(format!("-> opens {}", opens.0));
    }
    out.push(format!("-> {}", decision.sentence));
    out
}

#[test]
fn the_golden_table() {
    let text = include_str!("golden.txt");
    let cases = cases(text);
    assert!(cases.len() >= 60, "{}", cases.len());
    let vocabulary = Vocabulary::standard();
    if std::env::var_os("TWINPACT_BLESS").is_some() {
        let mut out = text.split("\n## ").next().unwrap().to_owned();
        for case in &cases {
            out.push_str(&format!("\n## {}\n", case.name));
            case.settings.iter().for_each(|(k, v)| out.push_str(&format!("{k}: {v}\n")));
            outcome(case, &vocabulary).iter().for_each(|l| out.push_str(&format!("{l}\n")));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden.txt");
        std::fs::write(path, out).unwrap();
        panic!("golden.txt was written anew: read the difference, then run the test again");
    }
    for case in &cases {
        assert_eq!(outcome(case, &vocabulary), case.expect, "{}", case.name);
    }
}
