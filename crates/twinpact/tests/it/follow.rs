//! A stream that is followed by commands: what comes, what is said of it, and its end.

use crate::federation::{PURPOSE, Pair, shown};
use serde_json::{Value, json};

/// The receipts of all rows that are shown, once they have come.
fn receipts(pair: &Pair) -> Vec<String> {
    let (mut after, mut all, mut rows) = (String::new(), Vec::new(), 0);
    while rows < shown().len() {
        let line = format!("subscription receipts {}{after} --dir maker", pair.agreement);
        let came = pair.world.json(&line);
        let new: Vec<String> = serde_json::from_value(came["receipts"].clone()).unwrap();
        assert!(!new.is_empty(), "nothing has come within its patience: {came}");
        for receipt in new {
            let copy = format!("copy show {receipt} --purpose {PURPOSE} --place FR --dir maker");
            rows += pair.world.json(&copy)["rows"].as_array().unwrap().len();
            all.push(receipt);
        }
        after = format!(" --after {}", came["position"]);
    }
    all
}

#[test]
fn a_stream_is_followed_listed_and_ended() {
    let pair = Pair::concluded();
    let world = &pair.world;
    assert_eq!(world.json("subscription list --dir maker"), json!([]));
    let unknown = world.run(&format!("subscription end {} --dir maker", pair.agreement));
    assert_eq!((unknown.code, unknown.error()), (11, "agreement.unknown"));
    let follow = format!("follow {} --place FR --from-start --dir maker", pair.agreement);
    let without = world.run(&follow);
    assert_eq!((without.code, without.error()), (11, "exchange.purpose"), "{}", without.stderr);
    assert!(without.stderr.contains("hint: give --purpose"), "{}", without.stderr);
    let front = &pair.agreement[..12];
    let done = world.run(&format!("{follow} --purpose {PURPOSE}"));
    let next = format!("next: twinpact subscription receipts {front} --dir maker");
    assert_eq!((done.code, done.stderr.trim()), (0, next.as_str()));
    let before = receipts(&pair);
    let one = |key: &str| -> Value {
        let all = world.json("subscription list --dir maker");
        assert_eq!(all.as_array().unwrap().len(), 1);
        all[0][key].clone()
    };
    assert_eq!((one("rows"), one("code")), (json!(shown().len()), json!(null)));
    let ended = world.json(&format!("subscription end {front} --dir maker"));
    assert_eq!((&ended["code"], one("code")), (&json!("left"), json!("left")));
    // What has come stays, and whoever asks for more hears at once that no more will come.
    let came = world.json(&format!("subscription receipts {front} --after 999 --dir maker"));
    assert_eq!((&came["receipts"], &came["code"]), (&json!([]), &json!("left")));
    assert_eq!(receipts(&pair), before);
}
