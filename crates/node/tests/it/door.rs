//! Bad messages of a pinned partner at the door of a node: each is refused with a stable code and
//! an error body of the protocol, and no process opens or moves.

use crate::operator::{CALLBACK, Operator, contract_request, message, transfer_request};
use serde_json::{Value, json};
use twinpact_contract::odrl;
use twinpact_dsp::message::MAX_REASONS;
use twinpact_dsp::route::{Method, ROWS};
use twinpact_dsp::terms::MAX_TEXT_BYTES;
use twinpact_dsp::{MAX_DEPTH, MAX_MESSAGE_BYTES};

#[tokio::test]
async fn bodies_that_are_no_message_are_refused_at_every_endpoint() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    let good = contract_request("urn:c:1", CALLBACK, &offer).to_string();
    let twice = good.replacen('{', r#"{"@type":"ContractRequestMessage","#, 1);
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    let inside = good.replacen('{', &format!(r#"{{"x":{deep},"#), 1);
    let deepest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut not_utf8 = good.clone().into_bytes();
    let at = good.find("urn:c:1").unwrap();
    not_utf8[at] = 0xff;
    let large = format!("{good}{}", " ".repeat(MAX_MESSAGE_BYTES + 1 - good.len()));
    let bodies: [(&[u8], &str); 11] = [
        (b"", "dsp.malformed"),
        (b"\0", "dsp.malformed"),
        (b"null", "dsp.malformed"),
        (b"{}", "dsp.malformed"),
        (b"\xef\xbb\xbf{}", "dsp.malformed"),
        (&not_utf8, "dsp.malformed"),
        (twice.as_bytes(), "dsp.malformed"),
        (deep.as_bytes(), "dsp.malformed"),
        (inside.as_bytes(), "dsp.malformed"),
        (deepest.as_bytes(), "dsp.malformed"),
        (large.as_bytes(), "dsp.too_large"),
    ];
    for row in ROWS.iter().filter(|row| row.method == Method::Post) {
        let path = row.pattern.replace(":id", "urn:uuid:1");
        for (body, code) in bodies {
            operator.refuses(&path, body, 400, code).await;
        }
    }
    // A message that is none of this endpoint's, and one of a process that is not there.
    let transfer = transfer_request("urn:c:1", CALLBACK, "x").to_string();
    operator.refuses("/negotiations/request", transfer.as_bytes(), 400, "dsp.malformed").await;
    operator.refuses("/transfers/request", good.as_bytes(), 400, "dsp.malformed").await;
    let pids = json!({"providerPid": "urn:p:1", "consumerPid": "urn:c:1"});
    let end = message("ContractNegotiationTerminationMessage", pids).to_string();
    let path = "/negotiations/urn:p:1/termination";
    operator.refuses(path, end.as_bytes(), 404, "dsp.unknown").await;
    operator.parts.stop();
}

#[tokio::test]
async fn only_addresses_in_the_pinned_record_are_called_back() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    for (callback, code) in [
        ("https://other.example/dsp", "outgoing.endpoint"),
        ("https://maker.example:8443/dsp", "outgoing.endpoint"),
        ("https://maker.example.evil.example/dsp", "outgoing.endpoint"),
        ("https://maker.example/dspx", "outgoing.endpoint"),
        ("https://maker.example/", "outgoing.endpoint"),
        ("https://maker.example/dsp@other.example/", "outgoing.endpoint"),
        ("http://maker.example/dsp", "outgoing.endpoint"),
        ("https://10.0.0.1/dsp", "outgoing.endpoint"),
        ("https://127.0.0.1:8443/dsp", "outgoing.endpoint"),
        ("https://[::1]/dsp", "outgoing.endpoint"),
        ("https://169.254.169.254/dsp", "outgoing.endpoint"),
        ("https://user@maker.example/dsp", "dsp.malformed"),
        ("https://maker.example@other.example/dsp", "dsp.malformed"),
        ("https://maker.example/dsp/../admin", "dsp.malformed"),
        ("https://maker.example/dsp/%2E%2e/admin", "dsp.malformed"),
        ("https://maker.example/dsp/./x", "dsp.malformed"),
        ("ftp://maker.example/dsp", "dsp.malformed"),
        ("file:///etc/passwd", "dsp.malformed"),
        ("HTTPS://maker.example/dsp", "dsp.malformed"),
        ("//maker.example/dsp", "dsp.malformed"),
        ("https:///dsp", "dsp.malformed"),
        ("https://maker.example/dsp?x", "dsp.malformed"),
        ("", "dsp.malformed"),
    ] {
        let request = contract_request("urn:c:1", callback, &offer).to_string();
        operator.refuses("/negotiations/request", request.as_bytes(), 400, code).await;
        let request = transfer_request("urn:c:1", callback, "x").to_string();
        operator.refuses("/transfers/request", request.as_bytes(), 400, code).await;
    }
    let below = contract_request("urn:c:1", &format!("{CALLBACK}/v1/"), &offer).to_string();
    let answer = operator.ask("POST", "/negotiations/request", below.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    operator.parts.stop();
}

#[tokio::test]
async fn texts_have_a_longest_length() {
    let operator = Operator::open().await;
    let long = |n: usize| "x".repeat(n);
    let request = transfer_request("urn:c:1", CALLBACK, &long(MAX_TEXT_BYTES + 1)).to_string();
    operator.refuses("/transfers/request", request.as_bytes(), 400, "dsp.too_large").await;
    let request = transfer_request("urn:c:1", CALLBACK, &long(MAX_TEXT_BYTES)).to_string();
    // It is read, and about an agreement that there is not.
    operator.refuses("/transfers/request", request.as_bytes(), 400, "agreement.unknown").await;
    // The offer is taken, and then the consumer ends the negotiation with many words.
    let request = contract_request("urn:c:2", CALLBACK, &operator.offer().await).to_string();
    let opened = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    let pid = opened.body["providerPid"].as_str().unwrap().to_owned();
    let path = format!("/negotiations/{pid}/termination");
    let end = |reason: Value| {
        let pids = json!({"providerPid": pid, "consumerPid": "urn:c:2", "reason": reason});
        message("ContractNegotiationTerminationMessage", pids).to_string()
    };
    for reason in [json!([long(MAX_TEXT_BYTES + 1)]), json!(vec!["x"; MAX_REASONS + 1])] {
        operator.refuses(&path, end(reason).as_bytes(), 400, "dsp.too_large").await;
    }
    let answer = operator.ask("POST", &path, end(json!([long(MAX_TEXT_BYTES)])).as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let state = operator.ask("GET", &format!("/negotiations/{pid}"), b"").await;
    assert_eq!(state.body["state"], "TERMINATED", "{state:?}");
    // Ended is ended, and said once.
    let verification = message(
        "ContractAgreementVerificationMessage",
        json!({"providerPid": pid, "consumerPid": "urn:c:2"}),
    );
    let path = format!("/negotiations/{pid}/agreement/verification");
    operator.refuses(&path, verification.to_string().as_bytes(), 400, "dsp.transition").await;
    operator.parts.stop();
}

/// The code with which an offer was refused: in the answer, by a process that has ended at once, or
/// by one that has ended when the contract's own terms were answered with the same again.
pub(crate) async fn refused_offer(operator: &Operator, pid: &str, offer: &Value) -> String {
    let request = contract_request(pid, CALLBACK, offer).to_string();
    let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    if answer.status != 201 {
        operator.is_an_error("/negotiations/request", &answer);
        return answer.code().to_owned();
    }
    let ours = answer.body["providerPid"].as_str().unwrap();
    let state = || {
        let read = |fold: &twinpact_node::fold::Fold| fold.processes.negotiations[ours].clone();
        operator.parts.node.partition.read(|fold, _| read(fold)).unwrap()
    };
    let countered = state();
    if countered.state.name() == "OFFERED" {
        let terms = |policy: &Value| odrl::read(policy).unwrap().terms;
        assert_eq!(terms(&countered.offer.policy), terms(&operator.offer().await), "{offer:#}");
        let members = json!({ "providerPid": ours, "consumerPid": pid, "offer": offer });
        let again = message("ContractRequestMessage", members).to_string();
        let path = format!("/negotiations/{ours}/request");
        assert_eq!(operator.ask("POST", &path, again.as_bytes()).await.status, 200, "{offer:#}");
    }
    let look = |negotiation: &twinpact_dsp::negotiation::Negotiation| {
        assert!(negotiation.agreement.is_none(), "{offer:#}");
        assert_eq!(negotiation.state.name(), "TERMINATED", "{offer:#}");
        let ended = negotiation.ended.clone().unwrap();
        assert!(ended.reason.iter().all(|reason| reason.len() <= 4_096));
        ended.code.unwrap()
    };
    look(&state())
}

#[tokio::test]
async fn offers_with_words_that_nobody_knows_are_refused() {
    let operator = Operator::open().await;
    let good = operator.offer().await;
    let constraints = good["permission"][0]["constraint"].as_array().unwrap().clone();
    let at = |operand: &str| {
        let ends = |c: &Value| c["leftOperand"].as_str().unwrap().ends_with(operand);
        let found = constraints.iter().position(ends).unwrap();
        format!("/permission/0/constraint/{found}")
    };
    let (purpose, place) = (at("purpose"), at("spatial"));
    let schedule = at("localSchedule");
    let long = "x".repeat(MAX_TEXT_BYTES);
    let cases = [
        ("/permission/0/action".to_owned(), json!("lease"), "contract.term_unknown"),
        (format!("{purpose}/leftOperand"), json!("porpoise"), "contract.term_unknown"),
        (format!("{purpose}/leftOperand"), json!(long), "contract.term_unknown"),
        (format!("{purpose}/operator"), json!("isAny"), "contract.term_unknown"),
        (
            format!("{purpose}/rightOperand"),
            json!("https://w3id.org/twinpact/purpose/Predictive"),
            "contract.term_unknown",
        ),
        (
            format!("{place}/rightOperand"),
            json!("https://w3id.org/twinpact/region/Europe"),
            "contract.term_unknown",
        ),
        (
            format!("{schedule}/rightOperand"),
            json!("Mo-Fr 07:00-19:00 [Europe/Pariss]"),
            "contract.term_shape",
        ),
        (
            format!("{schedule}/rightOperand"),
            json!("Mo-Fr 07:00-19:00 [Mars/Base]"),
            "contract.term_shape",
        ),
        (
            purpose,
            json!({"leftOperand": "FrameworkAgreement", "operator": "isAnyOf",
                "rightOperand": "DataExchangeGovernance:1.0"}),
            "contract.term_unknown",
        ),
        (
            place,
            json!({"leftOperand": "cx-policy:FrameworkAgreement", "operator": "eq",
                "rightOperand": "DataExchangeGovernance:9.0"}),
            "contract.term_shape",
        ),
        ("/@id".to_owned(), json!("urn:twinpact:offer:none"), "agreement.unknown"),
    ];
    for (n, (place, value, code)) in cases.into_iter().enumerate() {
        let mut offer = good.clone();
        let Some(slot) = offer.pointer_mut(&place) else { panic!("{place} in {good:#}") };
        *slot = value;
        let got = refused_offer(&operator, &format!("urn:c:{n}"), &offer).await;
        assert_eq!(got, code, "{place}");
    }
    let agreements = operator.parts.node.partition.read(|fold, _| fold.agreements.iter().count());
    assert_eq!(agreements.unwrap(), 0);
    operator.parts.stop();
}
