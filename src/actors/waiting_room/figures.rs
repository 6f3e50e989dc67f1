//! The figures of waiting rooms as metrics.

use super::running_room::RunningRoom;
use crate::types::SaleId;

const FIGURES: [&str; 6] = [
    "shobai_queue_entries",
    "shobai_queue_memory_bytes",
    "shobai_queue_waiting",
    "shobai_queue_admitted",
    "shobai_queue_no_shows",
    "shobai_queue_admissions_per_second",
];

pub(super) fn show(sale: SaleId, running: &RunningRoom) {
    let counts = running.room.counts();
    set(
        sale,
        [
            f64::from(counts.entries),
            running.room.memory_bytes() as f64,
            f64::from(counts.waiting),
            f64::from(counts.admitted),
            f64::from(counts.no_shows),
            running.control.rate(),
        ],
    );
}

/// The sale is over.
pub(super) fn clear(sale: SaleId) {
    set(sale, [0.0; FIGURES.len()]);
}

fn set(sale: SaleId, figures: [f64; FIGURES.len()]) {
    for (name, figure) in FIGURES.into_iter().zip(figures) {
        metrics::gauge!(name, "sale" => sale.to_string()).set(figure);
    }
}
