//! `histograms.hlog` in a report's directory: one interval histogram for each second and kind of answer, in
//! HdrHistogram's log format, with latencies in microseconds. `merge` and other tools read it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::collect::Collected;
use super::shop::Outcome;
use super::tally::{Interval, Latencies};

/// The file's name.
pub(super) const HISTOGRAMS: &str = "histograms.hlog";

/// The size of the write buffer.
const BUFFER_BYTES: usize = 1 << 20;

/// The log of a run in progress; discards everything where no report is wanted.
pub(super) struct HistogramLog {
    path: Option<PathBuf>,
    /// Not written yet.
    text: Vec<u8>,
}

impl HistogramLog {
    pub(super) fn create(out: Option<&Path>, started_at: jiff::Timestamp) -> anyhow::Result<Self> {
        let path = out.map(|out| out.join(HISTOGRAMS));
        let mut text = Vec::new();
        let start = std::time::SystemTime::from(started_at);
        IntervalLogWriterBuilder::new()
            .add_comment("latencies in microseconds; tags are step:outcome:reason")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut text, &mut V2DeflateSerializer::new())?;
        if let Some(path) = &path {
            std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        text.clear();
        Ok(Self { path, text })
    }

    pub(super) fn write(&mut self, interval: &Interval) -> anyhow::Result<()> {
        if self.path.is_none() {
            return Ok(());
        }
        let mut serializer = V2DeflateSerializer::new();
        let mut part = Vec::new();
        let mut writer = IntervalLogWriterBuilder::new().begin_log_with(&mut part, &mut serializer)?;
        let start = Duration::from_secs(interval.second);
        for row in &interval.rows {
            let reason = row.reason.as_deref().unwrap_or_default();
            let tag = format!("{}:{}:{reason}", row.step, row.outcome.as_str());
            if let Some(tag) = Tag::new(&tag) {
                writer
                    .write_histogram(&row.latencies, start, Duration::from_secs(1), Some(tag))
                    .map_err(|error| anyhow::anyhow!("the histogram log: {error:?}"))?;
            }
        }
        // Leaves out the header that the writer repeats.
        let lines = part.split_inclusive(|byte| *byte == b'\n');
        self.text.extend(lines.filter(|line| line.starts_with(b"Tag=")).flatten());
        if self.text.len() > BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        use std::io::Write as _;
        if let Some(path) = &self.path {
            std::fs::File::options().append(true).open(path)?.write_all(&self.text)?;
        }
        self.text.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()
    }
}

/// Adds the logs of all shards second by second, so that only a few seconds are open at a time.
pub(super) fn read(logs: &[Vec<u8>], collected: &mut Collected) -> anyhow::Result<()> {
    let mut deserializer = Deserializer::new();
    let mut entries = Vec::with_capacity(logs.len());
    for log in logs {
        let mut intervals = IntervalLogIterator::new(log);
        let first = next_interval(&mut intervals)?;
        entries.push((first, intervals));
    }
    loop {
        // Reads the log that is furthest behind.
        let behind = entries.iter_mut().filter(|(next, _)| next.is_some());
        let behind = behind.min_by_key(|(next, _)| next.as_ref().map(|interval| interval.start_timestamp()));
        let Some((next, intervals)) = behind else { return Ok(()) };
        let Some(interval) = next.take() else { return Ok(()) };
        *next = next_interval(intervals)?;

        let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
        let (step, rest) = tag.split_once(':').context("a tag without an outcome")?;
        let (outcome, reason) = rest.split_once(':').context("a tag without a reason")?;
        let outcome = Outcome::ALL.into_iter().find(|known| known.as_str() == outcome);
        let outcome = outcome.context("an outcome that is none")?;
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        let bytes = STANDARD.decode(interval.encoded_histogram())?;
        let latencies: Latencies =
            deserializer.deserialize(&mut &bytes[..]).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let second = interval.start_timestamp().as_secs();
        collected.add_row(second, (step.to_owned(), outcome, reason), &latencies);
        collected.close_before(second);
    }
}

fn next_interval<'a>(
    entries: &mut IntervalLogIterator<'a>,
) -> anyhow::Result<Option<IntervalLogHistogram<'a>>> {
    for entry in entries {
        if let LogEntry::Interval(interval) = entry.map_err(|error| anyhow::anyhow!("{error:?}"))? {
            return Ok(Some(interval));
        }
    }
    Ok(None)
}
