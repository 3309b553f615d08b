use std::{collections::BTreeMap, time::Duration};

use jetsaga::{Status, Timestamp};

use super::{
    Kind, Outline, Report,
    entity::Sagas,
    history::Line,
    latency::{Latency, Trip, Window, longest_pause},
    nemesis::Struck,
    report::ByKind,
    rest::DRAINED,
};

/// How long a fault may be felt after it is healed: as long as everything may take to come to rest.
const AFTERMATH: Duration = DRAINED;
/// How long a healthy order may wait while nothing that may interrupt it goes on.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run left behind.
pub(super) struct Material<'a> {
    /// What was to be done.
    pub(super) outline: &'a Outline,
    /// Orders a second.
    pub(super) rate: u32,
    /// When it began.
    pub(super) begun: Timestamp,
    /// The ids of the healthy orders.
    pub(super) healthy: &'a [String],
    /// What was asked and answered.
    pub(super) lines: &'a [Line],
    /// What was done.
    pub(super) struck: &'a [Struck],
    /// What the journal says.
    pub(super) sagas: &'a Sagas,
}

/// What can be read from the journal, the history and the log of faults: figures, faults that the system should have
/// stood, and healthy orders that were kept waiting.
pub(super) fn measure(material: &Material<'_>) -> Report {
    let Material {
        outline,
        rate,
        begun,
        lines,
        struck,
        sagas,
        ..
    } = material;
    let trips = trips(material);
    let quiet_end = begun.after(outline.quiet);
    let mut report = Report {
        seed: outline.seed,
        seconds: outline.length.as_secs(),
        rate: *rate,
        orders: lines.iter().filter(|line| line.is_order()).count(),
        completed: sagas.count(Status::Completed),
        cancelled: sagas.count(Status::Cancelled),
        answers: BTreeMap::new(),
        faults: struck.len(),
        kinds: by_kind(struck, &trips),
        quiet: Latency::of(trips.iter().filter(|trip| trip.ended < quiet_end)),
        under_faults: Latency::of(trips.iter().filter(|trip| trip.ended >= quiet_end)),
        longest_pause_ms: millis(pause(struck, sagas)),
        drain_ms: None,
        counts: None,
        violations: struck
            .iter()
            .filter_map(|struck| struck.violation.clone())
            .collect(),
    };
    for line in *lines {
        *report.answers.entry(line.outcome).or_default() += 1;
    }
    report.violations.extend(kept_waiting(&trips, struck));
    report
}

/// The healthy orders that came to an end.
fn trips(material: &Material<'_>) -> Vec<Trip> {
    let orders = material.lines.iter().filter(|line| line.is_order());
    let asked: BTreeMap<&str, Timestamp> = orders
        .map(|line| (line.order_id.as_str(), line.asked_at))
        .collect();
    let trip = |id: &String| {
        Some(Trip {
            id: id.clone(),
            asked: *asked.get(id.as_str())?,
            ended: material.sagas.get(id)?.ended?,
        })
    };
    material.healthy.iter().filter_map(trip).collect()
}

/// The longest that no event came after the journal's leader was killed.
fn pause(struck: &[Struck], sagas: &Sagas) -> Duration {
    let moments: Vec<Timestamp> = struck.iter().filter(|s| s.leader).map(|s| s.at).collect();
    longest_pause(&sagas.beats, &moments)
}

/// Healthy orders that waited for more than half a minute while nothing went on that may interrupt them, and nothing
/// of the sort had ended just before.
fn kept_waiting(trips: &[Trip], struck: &[Struck]) -> Vec<String> {
    let mut excuses: Vec<Window> = struck
        .iter()
        .filter(|struck| struck.kind.interrupts())
        .map(|struck| Window {
            from: struck.at,
            until: struck.until.after(AFTERMATH),
        })
        .collect();
    excuses.sort_by_key(|window| window.from);
    let waited = |trip: &Trip| {
        let waited = trip.outside(&excuses);
        (waited > PATIENCE).then(|| format!("{} waited {waited:?} while nothing interrupted it", trip.id))
    };
    trips.iter().filter_map(waited).collect()
}

/// How often each kind was done, and what healthy orders took meanwhile.
fn by_kind(struck: &[Struck], trips: &[Trip]) -> BTreeMap<Kind, ByKind> {
    let mut kinds = BTreeMap::new();
    for kind in struck.iter().map(|struck| struck.kind) {
        kinds.entry(kind).or_insert_with(ByKind::default).count += 1;
    }
    for (kind, by) in &mut kinds {
        let windows = struck
            .iter()
            .filter(|struck| struck.kind == *kind)
            .map(|struck| Window {
                from: struck.at,
                until: struck.until,
            });
        let windows: Vec<Window> = windows.collect();
        by.latency = Latency::of(
            trips
                .iter()
                .filter(|trip| windows.iter().any(|w| trip.overlaps(*w))),
        );
    }
    kinds
}

/// In whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
