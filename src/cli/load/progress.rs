//! The progress of a run: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::clock::Clock;
use super::collect::Collected;
use super::scenario::Scenario;
use super::schedule::{Planned, Share, plan, wanted_in};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY: u64 = 5;

pub(super) struct Progress {
    planned: Vec<Planned>,
    share: Share,
    clock: Clock,
    bar: ProgressBar,
    is_terminal: bool,
    /// The second of the last line.
    shown: Option<u64>,
}

impl Progress {
    pub(super) fn new(scenario: &Scenario, share: Share, clock: Clock) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new(scenario.seconds().ceil() as u64)
        } else {
            ProgressBar::hidden()
        };
        // The template is a constant; the default style would do if it were invalid.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} s  {msg}") {
            bar.set_style(style);
        }
        Self { planned: plan(&scenario.stages), share, clock, bar, is_terminal, shown: None }
    }

    /// Shows the stage, the intended and reached rates, the latest latencies, refusals, failures, and the remaining
    /// pieces.
    pub(super) fn show(&mut self, collected: &Collected) {
        let now = self.clock.second(Instant::now());
        self.bar.set_position(now);
        let is_due =
            self.shown.is_none_or(|shown| now > shown && (self.is_terminal || now >= shown + LINE_EVERY));
        if !is_due {
            return;
        }
        self.shown = Some(now);
        let text = self.text(now.saturating_sub(1), collected);
        if self.is_terminal {
            self.bar.set_message(text);
        } else {
            eprintln!("{now:>6} s  {text}");
        }
    }

    /// The text for the last complete second.
    fn text(&self, past: u64, collected: &Collected) -> String {
        let is_now = |stage: &&Planned| stage.from <= past as f64 && (past as f64) < stage.to;
        let stage =
            self.planned.iter().find(is_now).map_or("completing the last visits", |stage| stage.stage.name());
        let wanted = match wanted_in(&self.planned, past) {
            Some(wanted) => format!("{:.0}/s wanted, ", wanted / self.share.of as f64),
            None => String::new(),
        };
        let reached = collected.visits.get(&past).copied().unwrap_or(0);
        let latest = collected.latest();
        let totals = collected.totals;
        let mut text = format!(
            "{stage}: {wanted}{reached}/s, p50 {:.1} ms, p99 {:.1} ms, refused {}, failed {}",
            latest.value_at_percentile(50.0) as f64 / 1e3,
            latest.value_at_percentile(99.0) as f64 / 1e3,
            totals.refused,
            totals.overloaded + totals.failed + totals.timed_out,
        );
        let left = collected.seconds.values().rev().find(|second| !second.stock.is_empty());
        for (sku, available) in left.iter().flat_map(|second| &second.stock).take(1) {
            text.push_str(&format!(", {sku} {available} left"));
        }
        text
    }

    pub(super) fn note(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}
