//! The search finds an order exactly if trying all orders does.

use proptest::prelude::*;

use super::check::register::{Answer, Call, Register};
use super::check::{Model, Operation, check};

/// Whether some order of some of the operations, all answered ones among them, is what the model allows.
fn by_trying_all(
    history: &[Operation<Call, Answer>],
    state: &<Register as Model>::State,
    happened: &mut Vec<usize>,
) -> bool {
    let open: Vec<usize> = (0..history.len()).filter(|one| !happened.contains(one)).collect();
    if open.iter().all(|one| history[*one].answer.is_none()) {
        return true;
    }
    open.iter().any(|one| {
        let Operation { call, called, answer, .. } = &history[*one];
        let in_turn = open.iter().all(|other| history[*other].answer.is_none_or(|(_, at)| *called < at));
        happened.push(*one);
        let answer = answer.as_ref().map(|(answer, _)| answer);
        let found = in_turn
            && Register.step(state, call, answer).iter().any(|state| by_trying_all(history, state, happened));
        happened.pop();
        found
    })
}

fn operations() -> impl Strategy<Value = Vec<Operation<Call, Answer>>> {
    let etag = prop_oneof![Just(None), (0..3_u64).prop_map(Some)];
    let call = prop_oneof![
        3 => Just(Call::Read),
        3 => (1..3_u64, etag.clone()).prop_map(|(value, etag)| Call::Write { value, etag }),
        1 => etag.prop_map(|etag| Call::Delete { etag }),
    ];
    let operation = (call, 0..20_u64, 1..12_u64, 0..6_u64, prop::option::weighted(0.85, 1..3_u64));
    prop::collection::vec(operation, 1..7).prop_map(|all| {
        let one =
            |(client, (call, called, lasts, pick, value)): (usize, (Call, u64, u64, u64, Option<u64>))| {
                let answer = value.map(|value| match (call, pick) {
                    (Call::Read, 0) => Answer::Is(None),
                    (Call::Read, etag) => Answer::Is(Some((value, etag))),
                    (_, 0) => Answer::Refused,
                    (Call::Delete { .. }, _) => Answer::Deleted,
                    (Call::Write { .. }, etag) => Answer::Written(etag),
                });
                // No two at the same tick.
                let tick = |at: u64| at * 100 + client as u64 * 2;
                let answer = answer.map(|answer| (answer, tick(called + lasts) + 1));
                Operation { client: client as u32, call, called: tick(called), answer }
            };
        all.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_search_agrees_with_trying_all_orders(history in operations()) {
        let found = by_trying_all(&history, &Register.begin(), &mut Vec::new());
        match check(&Register, &history) {
            Ok(()) => prop_assert!(found, "there is no such order"),
            Err(failure) => prop_assert!(failure.violation && !found, "{failure}"),
        }
    }
}
