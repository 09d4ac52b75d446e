//! The conformance suites: what every implementation must do, as plain async functions over the traits.
//!
//! An implementation lists them all with one line for each trait in a test file, giving an async function that opens
//! something to test:
//!
//! ```ignore
//! threatstream_backend::conformance_log!(open_log);
//! threatstream_backend::conformance_store!(open_store);
//! threatstream_backend::conformance_tasks!(open_tasks); // and conformance_tasks_exact! where it remembers
//!
//! async fn open_log() -> Fixture<dyn EventLog> { … }
//! ```
//!
//! Each function becomes a test of its own, in a module whose name begins with `conformance`. A store must be empty when a
//! test gets it; a log or a task queue may be shared, for topics and queues are named after the fixture's `prefix`. Where what
//! is tested needs something that the machine may lack, the function gives an `Option<Fixture>`, says what is left out, and
//! gives `None`. No function relies on what a trait only promises "where the backend can do that".

pub mod hooked;
pub mod log;
pub mod samples;
pub mod store;
pub mod tasks;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a test is given.
pub struct Fixture<T: ?Sized> {
    /// What is tested.
    pub subject: Arc<T>,
    /// Begins the names of the test's topics and queues; unique among tests that share something.
    pub prefix: String,
    /// Lives as long as the test, such as a temporary folder.
    pub keep: Box<dyn Any + Send>,
}

/// Lists tests; used by the macros below.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($module:ident, $open:expr, $($suite:ident)::+, [$($name:ident),+ $(,)?]) => {
        mod $module {
            use super::*;
            use $($suite)::+ as suite;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fixture: Option<$crate::conformance::Fixture<_>> = ($open)().await.into();
                    let Some(fixture) = fixture else { return };
                    suite::$name(fixture.subject, &fixture.prefix).await;
                    drop(fixture.keep);
                }
            )+
        }
    };
}

/// The event log's suite; takes an async function that gives a [`Fixture`]`<dyn EventLog>`.
#[macro_export]
macro_rules! conformance_log {
    ($open:expr) => {
        $crate::conformance_tests!(
            conformance_log,
            $open,
            $crate::conformance::log,
            [
                appends_keep_order,
                equal_keys_share_a_partition,
                records_come_back_as_given,
                concurrent_appends_lose_nothing,
                a_reader_goes_on_where_it_stopped,
                a_reader_starts_where_it_is_told,
                a_reader_takes_about_what_it_is_told,
                an_append_wakes_a_reader,
                an_idle_reader_returns_in_time,
                watermarks_say_where_partitions_end,
                times_never_run_backwards,
                an_empty_append_does_nothing,
                topics_are_apart,
                it_is_reachable,
            ]
        );
    };
}

/// The store's suite; takes an async function that gives a [`Fixture`]`<dyn Store>` that is empty.
#[macro_export]
macro_rules! conformance_store {
    ($open:expr) => {
        $crate::conformance_tests!(
            conformance_leases,
            $open,
            $crate::conformance::store::leases,
            [
                a_lease_has_one_holder,
                a_lease_that_ran_out_is_taken_over,
                the_same_owner_takes_its_lease_again,
                a_released_lease_is_free,
                a_lease_is_renewed_by_its_holder_alone,
                the_number_of_partitions_is_fixed,
                a_commit_moves_the_checkpoint,
                the_same_commit_twice_has_its_effect_once,
                a_commit_from_elsewhere_is_refused,
                a_zombie_is_refused,
                a_refused_commit_writes_nothing,
                a_commit_on_a_changed_alert_writes_nothing,
                a_commit_after_the_lease_ran_out_stands,
                a_commit_prolongs_the_lease,
                one_of_two_commits_at_once_wins,
                deltas_gather_until_a_snapshot,
                partitions_have_states_of_their_own,
                checkpoints_come_in_order,
            ]
        );
        $crate::conformance_tests!(
            conformance_threats,
            $open,
            $crate::conformance::store::threats,
            [
                a_threat_comes_back_as_given,
                a_threat_that_is_there_is_left_alone,
                every_filter_filters,
                text_is_searched_as_text,
                pages_follow_one_another,
                a_foreign_cursor_is_refused,
                stats_count_what_is_stored,
                originals_come_with_their_threat,
                threats_are_found_by_their_event,
                a_change_is_made_and_told_once,
            ]
        );
        $crate::conformance_tests!(
            conformance_alerts,
            $open,
            $crate::conformance::store::alerts,
            [
                an_alert_has_two_parts,
                a_case_is_saved_at_its_version_alone,
                the_analyzer_leaves_the_analysts_part_alone,
                every_filter_filters,
                pages_follow_one_another,
                cases_of_unknown_alerts_are_absent,
                an_overdue_alert_is_told_once,
            ]
        );
        $crate::conformance_tests!(
            conformance_feed,
            $open,
            $crate::conformance::store::feed,
            [
                records_come_in_the_order_of_commits,
                commits_at_once_come_once,
                a_reader_resumes_after_a_cursor,
                a_foreign_cursor_is_gone,
                a_commit_wakes_a_reader,
                no_frames_make_no_record,
                the_epoch_stays,
                a_commit_ticks,
            ]
        );
        $crate::conformance_tests!(
            conformance_records,
            $open,
            $crate::conformance::store::records,
            [
                an_execution_is_created_once,
                an_execution_is_saved_at_its_version_alone,
                effects_come_with_their_step,
                a_block_keeps_the_later_expiry,
                executions_are_filtered_and_paged,
                a_simulation_is_not_overwritten_by_an_older_one,
                of_two_settings_at_once_one_is_kept,
                minutes_add_up,
                totals_add_up,
                it_is_reachable,
            ]
        );
    };
}

/// The suite of a store that gives commits made at once in the order of their places to whoever follows meanwhile, beside
/// [`conformance_store`]; takes the same function. Every store has to; an emulator of one may not.
#[macro_export]
macro_rules! conformance_store_ordered {
    ($open:expr) => {
        $crate::conformance_tests!(
            conformance_feed_ordered,
            $open,
            $crate::conformance::store::feed::ordered,
            [commits_at_once_come_in_order]
        );
    };
}

/// The suite of every task queue; takes an async function that gives a [`Fixture`]`<`[`Timed`](tasks::Timed)`>`.
#[macro_export]
macro_rules! conformance_tasks {
    ($open:expr) => {
        $crate::conformance_tests!(
            conformance_tasks,
            $open,
            $crate::conformance::tasks,
            [
                a_task_is_handed_out_and_done,
                a_lease_that_runs_out_brings_the_task_again,
                a_failed_task_comes_again_later,
                a_task_that_keeps_failing_dies,
                a_task_that_never_ends_dies,
                completing_twice_does_no_harm,
                a_buried_task_is_a_dead_letter,
                the_newest_dead_letters_come_first,
                queues_are_apart,
                an_enqueue_wakes_a_taker,
                a_retry_wakes_a_taker_when_it_is_due,
                takers_at_once_get_different_tasks,
                it_is_reachable,
            ]
        );
    };
}

/// The suite of a task queue that remembers ids and counts, beside [`conformance_tasks`]; takes the same function.
#[macro_export]
macro_rules! conformance_tasks_exact {
    ($open:expr) => {
        $crate::conformance_tests!(
            conformance_tasks_exact,
            $open,
            $crate::conformance::tasks::exact,
            [
                a_task_is_taken_once,
                a_finished_task_is_remembered_for_a_day,
                an_id_is_new_after_a_day,
                what_is_done_is_not_buried,
                the_depth_is_known,
            ]
        );
    };
}
