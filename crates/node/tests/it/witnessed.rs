//! What a partner is shown of its own log: its signature, whatever else stands in the note. Else it
//! could keep us from telling it that it runs from an older copy, by many lines of witnesses.

use crate::net_world::{DIDS, MAKER, OPERATOR, World};
use twinpact_model::codes;
use twinpact_node::copies::{self, LedgerPin, Seen};
use twinpact_node::{found, prove};
use twinpact_proof::SecretKey;
use twinpact_proof::note::{Checkpoint, MAX_SIGNATURES, cosign};
use twinpact_proof::record::Record;

#[tokio::test(start_paused = true)]
async fn a_note_with_every_line_that_it_may_have_still_tells_of_an_older_copy() {
    for witnesses in [0, MAX_SIGNATURES - 1] {
        let world = World::new(1, None).await;
        let [operator, maker] = world.nodes();
        let record = Record::from_envelope(&prove::own_record(&operator).unwrap()).unwrap();
        // Signed by the operator, whose log has forgotten it.
        let size = 1_000_000;
        let checkpoint = Checkpoint { origin: record.origin.clone(), size, root: [7; 32] };
        let mut note = checkpoint.sign(operator.signer().key());
        for n in 0..witnesses {
            let key = SecretKey::new(&[u8::try_from(n).unwrap(); 32]);
            // In front of the log's own line, too.
            let line = cosign(&checkpoint, &format!("{n}.{}", "w".repeat(60)), &key, 1);
            let at = note.find("\n\n").unwrap() + 2;
            if n % 2 == 0 { note.insert_str(at, &line) } else { note.push_str(&line) }
        }
        let seen = Seen { size, root: [7; 32] };
        let tree = "00".repeat(16);
        let ledger = LedgerPin { origin: record.origin, tree, slot: 1, seen };
        let pin = copies::pin(DIDS[OPERATOR], &note, seen, &"a".repeat(64), &ledger);
        maker.partition.turn(move |turn| turn.log(vec![pin]).map(|_| ())).await.unwrap();

        let asking = tokio::spawn(async move { found::catalog(&maker, DIDS[OPERATOR]).await });
        world.settle().await;
        let request = world.wire.under_way().pop().unwrap();
        let answer = world.serve(&request).await;
        request.answer(answer);
        assert!(asking.await.unwrap().is_err(), "{witnesses} witnesses");
        let stopped = operator.partition.read(|fold, store| fold.behind.check(store.forest()));
        let stopped = stopped.unwrap().map_err(|problem| problem.code);
        assert_eq!(stopped, Err(codes::ANCHOR_BEHIND), "{witnesses} witnesses");
        assert!(world.node(MAKER).is_some());
        world.stop().await;
    }
}
