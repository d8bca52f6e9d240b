//! The next step of a rolling replacement. Pure.
//!
//! The rule that keeps requests served: an old instance goes only when a new one has become ready in its
//! place. The rule that keeps a machine from being overrun: one new instance at a time, one old at a time.
//! When old and new need the same fixed port they cannot overlap, so there the old goes first.

/// The instances of a service in the middle of a replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct View {
    /// Old instances that are to stay until they are replaced.
    pub old: u32,
    /// New instances that get requests.
    pub new_ready: u32,
    /// New instances that are not yet ready.
    pub new_pending: u32,
    /// Instances on their way out.
    pub leaving: u32,
    /// How many there are to be in the end.
    pub wanted: u32,
    /// Old and new can run side by side.
    pub overlap: bool,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Start,
    Retire,
    Wait,
    Done,
}

/// The next step. After `Start` and `Retire` it is asked again with the new view.
pub(crate) fn next(view: View) -> Step {
    let View { old, new_ready, new_pending, leaving, wanted, overlap } = view;
    if new_pending > 0 || leaving > 0 {
        return Step::Wait;
    }
    let has_surplus = new_ready > 0 && old + new_ready > wanted;
    match (old, overlap) {
        (0, _) if new_ready >= wanted => Step::Done,
        (0, _) => Step::Start,
        (_, false) => Step::Retire,
        (_, true) if has_surplus => Step::Retire,
        (_, true) => Step::Start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Carries a plan out with instances that always become ready; returns how few were serving at worst.
    fn carry_out(old: u32, wanted: u32, overlap: bool) -> (u32, u32) {
        let mut view = View { old, new_ready: 0, new_pending: 0, leaving: 0, wanted, overlap };
        let (mut fewest, mut most) = (old, old);
        for _ in 0..1000 {
            match next(view) {
                Step::Start => view.new_pending += 1,
                Step::Retire => {
                    view.old -= 1;
                    view.leaving += 1;
                }
                Step::Wait if view.new_pending > 0 => {
                    view.new_pending -= 1;
                    view.new_ready += 1;
                }
                Step::Wait => view.leaving -= 1,
                Step::Done => {
                    assert_eq!((view.old, view.new_ready), (0, wanted));
                    return (fewest, most);
                }
            }
            fewest = fewest.min(view.old + view.new_ready);
            most = most.max(view.old + view.new_ready + view.new_pending + view.leaving);
        }
        panic!("no end: {view:?}")
    }

    proptest! {
        #[test]
        fn a_roll_ends_and_never_serves_with_fewer_than_before_or_after(old in 1u32..9, wanted in 1u32..9) {
            let (fewest, most) = carry_out(old, wanted, true);
            prop_assert!(fewest >= old.min(wanted));
            prop_assert!(most <= old.max(wanted) + 1);
        }

        #[test]
        fn without_overlap_it_ends_too(old in 1u32..9, wanted in 1u32..9) {
            let (_, most) = carry_out(old, wanted, false);
            prop_assert!(most <= old.max(wanted));
        }
    }

    #[test]
    fn going_down_to_one_still_proves_the_new_one_first() {
        let view = View { old: 4, new_ready: 0, new_pending: 0, leaving: 0, wanted: 1, overlap: true };
        assert_eq!(next(view), Step::Start);
        assert_eq!(next(View { new_pending: 1, ..view }), Step::Wait);
        assert_eq!(next(View { new_ready: 1, ..view }), Step::Retire);
    }
}
