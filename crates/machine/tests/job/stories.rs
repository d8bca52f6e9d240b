//! What happens to jobs.

use machine::job::{Missed, NAMES_MAX, Put, Schedule, list};
use machine::outbox::{ON_THE_WAY_OF_BLOCKS_MAX, on_the_way};
use machine::{Code, Effect, Shard, Table, timer};

use crate::desk::{Desk, SCOPE, cron, every, put};
use crate::world::{BEGIN, table};

fn at(millis: u64) -> u64 {
    BEGIN.after(millis).as_millis()
}

#[test]
fn a_job_without_a_schedule_runs_once_at_its_time_and_is_gone() {
    let mut desk = Desk::new();
    desk.put(Put { first_ms: at(5_000), ..put("once") }).expect("put");
    desk.advance(4_999);
    assert_eq!(desk.runs(), []);
    assert!(desk.get("once").is_some());
    desk.advance(1);
    assert_eq!(desk.runs(), [5_000]);
    assert_eq!(desk.get("once"), None);
    assert_eq!(table(&desk.world.state, Table::Job), []);
}

#[test]
fn a_time_that_is_past_is_now() {
    let mut desk = Desk::new();
    desk.world.sleep(1_000);
    assert_eq!(desk.put(Put { first_ms: at(1), ..put("late") }).expect("put"), at(1_000));
    desk.advance(0);
    assert_eq!(desk.runs(), [1_000]);
}

#[test]
fn an_interval_counts_from_the_first_run() {
    let mut desk = Desk::new();
    assert_eq!(desk.put(every("a", 100)).expect("put"), at(100));
    desk.advance(350);
    assert_eq!(desk.runs(), [100, 200, 300]);
    desk.delete("a");
    assert_eq!(desk.put(Put { first_ms: at(375), ..every("b", 50) }).expect("put"), at(375));
    desk.advance(150);
    assert_eq!(desk.runs()[3..], [375, 425, 475]);
    desk.delete("b");
    let phase = Put { from_ms: at(5), ..every("c", 200) };
    assert_eq!(desk.put(phase).expect("put"), at(605), "from a time that is past, in step with it");
}

#[test]
fn a_schedule_begins_and_ends() {
    let mut desk = Desk::new();
    let between = Put { from_ms: at(60_000), until_ms: at(120_000), ..cron("a", "*/30 * * * * *") };
    assert_eq!(desk.put(between).expect("put"), at(60_000));
    desk.advance(300_000);
    assert_eq!(desk.runs(), [60_000, 90_000, 120_000]);
    assert_eq!(desk.get("a"), None);
}

#[test]
fn the_first_run_is_when_it_is_said_to_be_and_the_others_when_the_schedule_says() {
    let mut desk = Desk::new();
    desk.put(Put { first_ms: at(7_000), runs_max: 3, ..cron("a", "*/30 * * * * *") }).expect("put");
    desk.advance(300_000);
    assert_eq!(desk.runs(), [7_000, 30_000, 60_000]);
    assert_eq!(desk.get("a"), None, "after as many runs as it has it is gone");
}

#[test]
fn a_job_is_not_put_twice_unless_it_may_be_overwritten() {
    let mut desk = Desk::new();
    desk.put(every("a", 1_000)).expect("put");
    desk.advance(1_000);
    assert_eq!(desk.put(every("a", 50)).expect_err("it is there").code(), Code::Exists);
    desk.put(Put { overwrite: true, ..every("a", 300) }).expect("overwritten");
    assert_eq!(desk.get("a").expect("a job").progress.runs, 0);
    desk.advance(700);
    assert_eq!(desk.runs(), [1_000, 1_300, 1_600]);
}

#[test]
fn a_deleted_job_does_not_run_and_leaves_nothing() {
    let mut desk = Desk::new();
    desk.put(every("a", 100)).expect("put");
    assert_eq!((desk.delete("a"), desk.delete("a")), (1, 0));
    assert_eq!(timer::next(&desk.world.state), None);
    desk.advance(1_000);
    assert_eq!(desk.runs(), []);
    assert_eq!(table(&desk.world.state, Table::Job), []);
}

#[test]
fn jobs_are_deleted_by_what_their_names_begin_with() {
    let mut desk = Desk::new();
    for number in 0..=NAMES_MAX {
        desk.put(every(&format!("a-{number:04}"), 1_000_000)).expect("put");
    }
    desk.put(every("a", 100)).expect("put");
    desk.put(every("b", 100)).expect("put");
    assert_eq!(desk.delete_prefix("a-"), (NAMES_MAX as u32, true), "no more at once");
    assert!(desk.get("a-0999").is_none() && desk.get("a-1000").is_some());
    assert_eq!(desk.delete_prefix("a-"), (1, false));
    assert_eq!(desk.delete_prefix("a-"), (0, false));
    assert!(desk.get("a").is_some() && desk.get("b").is_some());
    assert_eq!(desk.delete_prefix(""), (2, false));
    assert_eq!(timer::next(&desk.world.state), None);
    assert_eq!(table(&desk.world.state, Table::Job), []);
}

#[test]
fn what_falls_on_a_pause_is_not_made_up_for() {
    let mut desk = Desk::new();
    desk.put(every("a", 100)).expect("put");
    desk.advance(150);
    desk.pause("a").expect("paused");
    desk.pause("a").expect("still");
    desk.advance(300);
    assert_eq!(desk.resume("a").expect("resumed"), Some(at(500)));
    assert_eq!(desk.resume("a").expect("it runs"), Some(at(500)));
    desk.advance(150);
    assert_eq!(desk.runs(), [100, 500, 600]);
    desk.pause("a").expect("paused");
    assert_eq!(desk.delete("a"), 1);
}

#[test]
fn the_one_run_that_falls_on_a_pause_is_done_at_its_end() {
    let mut desk = Desk::new();
    desk.put(Put { first_ms: at(100), ..put("once") }).expect("put");
    desk.put(Put { until_ms: at(100), ..every("over", 100) }).expect("put");
    for name in ["once", "over"] {
        desk.pause(name).expect("paused");
    }
    desk.advance(500);
    assert_eq!(desk.resume("once").expect("resumed"), Some(at(500)));
    assert_eq!(desk.resume("over").expect("resumed"), None);
    assert_eq!(desk.get("over"), None, "its only run was skipped");
    desk.advance(0);
    assert_eq!(desk.runs(), [500]);
}

#[test]
fn a_triggered_run_comes_besides_the_others() {
    let mut desk = Desk::new();
    desk.put(Put { runs_max: 2, ..every("a", 100) }).expect("put");
    desk.advance(50);
    desk.trigger("a").expect("triggered");
    desk.pause("a").expect("paused");
    desk.trigger("a").expect("paused, and triggered");
    desk.resume("a").expect("resumed");
    desk.advance(500);
    assert_eq!(desk.runs(), [50, 50, 100, 200]);
    for refused in [desk.trigger("a"), desk.pause("a"), desk.resume("a").map(|_| ())] {
        assert_eq!(refused.expect_err("gone").code(), Code::NotFound);
    }
}

#[test]
fn for_all_missed_runs_one_is_done() {
    let mut desk = Desk::new();
    desk.put(every("a", 100)).expect("put");
    desk.outage(1_050);
    assert_eq!(desk.runs(), [1_050]);
    desk.advance(100);
    assert_eq!(desk.runs(), [1_050, 1_100]);
}

#[test]
fn missed_runs_are_skipped_unless_they_are_a_little_late() {
    let mut desk = Desk::new();
    desk.put(Put { missed: Missed::Skip.into(), grace_ms: 30, ..every("a", 100) }).expect("put");
    desk.outage(130);
    assert_eq!(desk.runs(), [130], "late by no more than the grace");
    desk.outage(101);
    assert_eq!(desk.runs(), [130], "late by 31 ms");
    desk.advance(100);
    assert_eq!(desk.runs(), [130, 300]);
    desk.outage(689);
    assert_eq!(desk.runs(), [130, 300, 1_020], "of seven the last is late by 20 ms");
    desk.advance(80);
    assert_eq!(desk.runs(), [130, 300, 1_020, 1_100]);
    assert_eq!(desk.get("a").expect("a job").progress.runs, 4);
}

#[test]
fn a_single_run_that_is_skipped_is_gone() {
    let mut desk = Desk::new();
    desk.put(Put { missed: Missed::Skip.into(), first_ms: at(100), ..put("once") }).expect("put");
    desk.outage(90_000);
    assert_eq!((desk.runs(), desk.get("once")), (vec![], None));
}

#[test]
fn each_missed_run_is_done_up_to_a_number() {
    for (outage, done) in [(250, 2), (350, 3), (450, 3), (10_050, 3)] {
        let mut desk = Desk::new();
        desk.put(Put { missed: Missed::RunAll.into(), missed_max: 3, ..every("a", 100) }).expect("put");
        desk.outage(outage);
        assert_eq!(desk.runs(), vec![outage; done], "after {outage} ms");
        desk.advance(100);
        assert_eq!(desk.runs().len(), done + 1);
        desk.outage(outage);
        assert_eq!(desk.runs().len(), done + 1 + 3, "and again, for three or more");
    }
}

#[test]
fn what_is_sent_elsewhere_leaves_with_the_entry_that_schedules_the_next() {
    let mut desk = Desk::new();
    desk.put(Put { target: 9, ..every("a", 100) }).expect("put");
    desk.advance(100);
    assert_eq!(desk.world.effects, [Effect::Outbox(Shard(9))]);
    let parcels = on_the_way(&desk.world.state, Shard(9), 0, 10);
    assert_eq!(parcels.len(), 1);
    assert_eq!(parcels[0].1.bodies.len(), 1);
    assert_eq!(desk.get("a").expect("a job").progress.next_ms, at(200));
}

/// What was sent to the shard [`AWAY`], and when a job sent it last, after the world's beginning.
fn sent_away(desk: &Desk, name: &str) -> (usize, u64) {
    let last = desk.get(name).expect("a job").progress.last_ms;
    (on_the_way(&desk.world.state, AWAY, 0, 100).len(), last - BEGIN.as_millis())
}

#[test]
fn while_there_is_no_way_to_its_shard_a_jobs_runs_are_missed() {
    for (missed, missed_max, sent) in [(Missed::RunOnce, 0, 1), (Missed::Skip, 0, 0), (Missed::RunAll, 7, 7)]
    {
        let mut desk = Desk::new();
        let job = Put { target: AWAY.0, missed: missed.into(), missed_max, grace_ms: 10, ..every("a", 450) };
        desk.put(job).expect("put");
        desk.fill_way(AWAY, ON_THE_WAY_OF_BLOCKS_MAX);
        desk.advance(5_449);
        let held = desk.get("a").expect("a job").progress;
        assert_eq!((held.runs, held.next_ms, held.held_ms), (0, at(450), at(5_450)), "{missed:?}");
        desk.empty_way(AWAY);
        desk.advance(400);
        let progress = desk.get("a").expect("a job").progress;
        assert_eq!((progress.runs, progress.next_ms, progress.held_ms), (sent, at(5_850), 0), "{missed:?}");
        assert_eq!(on_the_way(&desk.world.state, AWAY, 0, 100).len() as u64, sent);
        desk.advance(1);
        assert_eq!(sent_away(&desk, "a"), (sent as usize + 1, 5_850));
    }
}

#[test]
fn a_single_run_that_is_held_is_done_when_there_is_a_way() {
    let mut desk = Desk::new();
    desk.fill_way(AWAY, ON_THE_WAY_OF_BLOCKS_MAX);
    desk.put(Put { target: AWAY.0, first_ms: at(100), ..put("once") }).expect("put");
    desk.advance(60_000);
    desk.empty_way(AWAY);
    desk.advance(5_000);
    assert_eq!((on_the_way(&desk.world.state, AWAY, 0, 10).len(), desk.get("once")), (1, None));
}

#[test]
fn a_job_that_is_held_is_paused_replaced_and_deleted_like_any() {
    let mut desk = Desk::new();
    desk.fill_way(AWAY, ON_THE_WAY_OF_BLOCKS_MAX);
    for name in ["paused", "replaced", "deleted"] {
        desk.put(Put { target: AWAY.0, ..every(name, 100) }).expect("put");
    }
    desk.advance(150);
    desk.pause("paused").expect("paused");
    desk.put(Put { overwrite: true, target: AWAY.0, ..every("replaced", 200) }).expect("put");
    assert_eq!(desk.delete("deleted"), 1);
    assert_eq!(
        timer::next(&desk.world.state).map(|next| next.as_millis()),
        Some(at(350)),
        "no other than the new job's"
    );
    desk.empty_way(AWAY);
    assert_eq!(desk.resume("paused").expect("resumed"), Some(at(200)));
    desk.advance(300);
    assert_eq!((sent_away(&desk, "paused"), sent_away(&desk, "replaced")), ((4, 400), (4, 350)));
}

#[test]
fn a_trigger_is_refused_while_there_is_no_way_to_the_jobs_shard() {
    let mut desk = Desk::new();
    desk.put(Put { target: AWAY.0, ..every("a", 100) }).expect("put");
    desk.fill_way(AWAY, ON_THE_WAY_OF_BLOCKS_MAX);
    assert_eq!(desk.trigger("a").expect_err("there is no room").code(), Code::Limit);
    desk.empty_way(AWAY);
    desk.trigger("a").expect("triggered");
    assert_eq!(on_the_way(&desk.world.state, AWAY, 0, 10).len(), 1);
}

/// A shard that is not the jobs' own.
const AWAY: Shard = Shard(9);

#[test]
fn jobs_are_listed_by_name_and_prefix_in_pages() {
    let mut desk = Desk::new();
    let names = ["report", "report-daily", "report-weekly", "reports", "zebra"];
    for name in names {
        desk.put(every(name, 1_000)).expect("put");
    }
    desk.put(Put { scope: "other".into(), ..every("report-other", 1_000) }).expect("put");
    let listed = |prefix: &str, max| {
        let (mut all, mut from): (Vec<String>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let page = list(&desk.world.state, SCOPE, prefix, from.as_deref(), max);
            all.extend(page.jobs.into_iter().map(|job| job.name));
            from = page.next;
            if from.is_none() {
                return all;
            }
        }
    };
    for max in [1, 2, 3, 10] {
        assert_eq!(listed("", max), names);
        assert_eq!(listed("report-", max), ["report-daily", "report-weekly"]);
    }
    assert_eq!(machine::job::scopes(&desk.world.state, None, 10), [SCOPE, "other"]);
    assert_eq!(machine::job::scopes(&desk.world.state, Some(SCOPE), 10), ["other"]);
}

#[test]
fn malformed_jobs_are_refused() {
    let mut desk = Desk::new();
    let inner = every("b", 1_000);
    for bad in [
        put("no time at all"),
        every("too often", 9),
        Put { name: String::new(), ..every("", 100) },
        Put { first_ms: 1, from_ms: 1, ..every("two beginnings", 100) },
        Put { missed_max: 3, ..every("a number for nothing", 100) },
        Put { missed: Missed::RunAll.into(), ..every("no number", 100) },
        Put { command: Box::new(inner.into()), ..every("a job in a job", 100) },
        Put { until_ms: at(50), ..every("over before it begins", 100) },
        Put { schedule: Some(Schedule::default()), ..put("an empty schedule") },
        Put { bodies: vec![1], ..every("a payload that is not there", 100) },
        cron("never", "0 0 30 2 *"),
    ] {
        let name = bad.name.clone();
        assert_eq!(desk.put(bad).expect_err(&name).code(), Code::Invalid, "{name}");
    }
    assert_eq!(table(&desk.world.state, Table::Job), []);
}
