//! Carries out a run: starts the generators, collects their seconds, samples the stock and the engine's metrics, and
//! ends on Ctrl-C.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_local;

use super::client::{Client, Target};
use super::clock::Clock;
use super::collect::Collected;
use super::customers::Session;
use super::generator::{self, ThreadResult, ThreadWork};
use super::histograms::HistogramLog;
use super::operator::Operator;
use super::progress::Progress;
use super::result::{Ended, EngineSeries};
use super::scenario::Scenario;
use super::schedule::Share;
use super::scrape::Scraper;
use super::sku_choice::{self, ListedSku};
use super::tally::Interval;

/// The interval of samples of the stock and of the engine's metrics, and the longest time for one.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The number of SKUs whose stock is sampled.
const SKUS_WATCHED: usize = 5;
/// The time between the last preparation and the first visit.
const LEAD_TIME: Duration = Duration::from_millis(200);

/// Everything that a run needs.
pub(super) struct RunMonitor<'a> {
    pub scenario: &'a Scenario,
    pub target: &'a Target,
    pub run_id: &'a str,
    pub share: Share,
    pub skus: &'a [ListedSku],
    pub webhook_secret: Option<Vec<u8>>,
    /// The operator of the sale, where the scenario has one.
    pub operator: Option<&'a Operator<'a>>,
    pub keeps_attempts: bool,
    /// When to begin; `None` begins at once.
    pub start_at: Option<jiff::Timestamp>,
    /// The URL of the engine's metrics.
    pub metrics: Option<&'a str>,
    /// The directory of the histogram log.
    pub out: Option<&'a Path>,
}

/// The raw result of a run.
pub(super) struct MonitoredRun {
    pub done: Vec<ThreadResult>,
    pub collected: Collected,
    pub engine: Option<EngineSeries>,
    pub started_at: jiff::Timestamp,
    /// From the start to the last answer.
    pub seconds: f64,
    pub ended: Ended,
}

/// Pieces of a SKU at a second of the run.
type StockSample = (u64, String, i64);

impl RunMonitor<'_> {
    /// Lets the customers of each thread visit the shop, until the run ends.
    pub(super) async fn until_the_end(
        &self,
        parts: Vec<Vec<Session>>,
        interrupts: &mut Signal,
    ) -> anyhow::Result<MonitoredRun> {
        let wait = match self.start_at {
            Some(at) => {
                let wait = at.duration_since(jiff::Timestamp::now());
                Duration::try_from(wait).map_err(|_| anyhow::anyhow!("--start-at {at} is past already"))?
            }
            None => LEAD_TIME,
        };
        let (began, started_at) = (Instant::now() + wait, jiff::Timestamp::now() + wait);
        let clock = Clock::starting_at(began);

        let (past, mut intervals) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let working = self.start(parts, clock, past, &stopped)?;
        let (see, mut stock) = mpsc::unbounded_channel();
        let looking = spawn_local(sample(
            Client::new(self.target.clone(), 1, SAMPLE_EVERY),
            self.skus.iter().take(SKUS_WATCHED).map(|sku| sku.sku.clone()).collect(),
            self.metrics.map(Scraper::new).transpose()?,
            clock,
            see,
            stopped,
        ));

        let operating = async {
            match self.operator {
                Some(operator) => operator.work(clock, started_at).await,
                None => Ok(()),
            }
        };
        tokio::pin!(operating);
        let mut is_operated = false;
        let mut log = HistogramLog::create(self.out, started_at)?;
        let mut collected = Collected::default();
        let mut progress = Progress::new(self.scenario, self.share, clock);
        let mut ended = Ended::Finished;
        let mut failed = None;
        loop {
            tokio::select! {
                interval = intervals.recv() => {
                    let Some(interval) = interval else { break };
                    log.write(&interval)?;
                    collected.add(&interval);
                    progress.show(&collected);
                }
                operated = &mut operating, if !is_operated => {
                    is_operated = true;
                    if let Err(error) = operated {
                        stop.send_replace(true);
                        failed = Some(error.context("the sale could not be run as it is planned"));
                    }
                }
                Some((second, sku, available)) = stock.recv() => collected.stock(second, &sku, available),
                _ = interrupts.recv(), if ended == Ended::Finished => {
                    progress.note("interrupted: visits that are under way are still completed");
                    ended = Ended::Interrupted;
                    stop.send_replace(true);
                }
            }
        }
        progress.end();
        log.finish()?;
        let seconds = clock.seconds(Instant::now());
        stop.send_replace(true);
        let engine = looking.await.context("the sampling task died")?.map(Scraper::into_series);
        let mut done = Vec::with_capacity(working.len());
        for thread in working {
            done.push(thread.await.context("a generator thread died")??);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(MonitoredRun { done, collected, engine, started_at, seconds, ended })
    }

    /// Starts a generator thread for each part of the customers.
    fn start(
        &self,
        parts: Vec<Vec<Session>>,
        clock: Clock,
        past: mpsc::UnboundedSender<Interval>,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<Vec<oneshot::Receiver<anyhow::Result<ThreadResult>>>> {
        let threads = parts.len();
        let start_one = |(thread, sessions): (usize, Vec<Session>)| {
            let work = ThreadWork {
                scenario: self.scenario.clone(),
                target: self.target.clone(),
                clock,
                run: self.run_id.to_owned(),
                share: self.share.part(thread, threads),
                thread: self.share.index * threads + thread,
                of_machine: Share { index: thread, of: threads },
                sessions,
                skus: self.skus.to_vec(),
                webhook_secret: self.webhook_secret.clone(),
                sale: match self.operator {
                    Some(operator) => operator.sale(),
                    None => watch::channel(None).1,
                },
                keeps_attempts: self.keeps_attempts,
                past: past.clone(),
                stop: stopped.clone(),
            };
            let (send, receive) = oneshot::channel();
            std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn(move || drop(send.send(generator::run(work))))?;
            Ok(receive)
        };
        parts.into_iter().enumerate().map(start_one).collect()
    }
}

/// Samples the stock and the engine's metrics once a second, until the run has ended; a slow shop delays only the next
/// sample.
async fn sample(
    client: Client,
    skus: Vec<String>,
    mut scraper: Option<Scraper>,
    clock: Clock,
    see: mpsc::UnboundedSender<StockSample>,
    mut stopped: watch::Receiver<bool>,
) -> Option<Scraper> {
    let mut looks = tokio::time::interval_at(clock.at(0.0).into(), SAMPLE_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return scraper,
        }
        if let Some(scraper) = &mut scraper {
            scraper.sample(clock.seconds(Instant::now())).await;
        }
        for sku in &skus {
            // While the shop is not reachable, a second has no sample.
            if let Ok(available) = sku_choice::available(&client, sku).await {
                let _ = see.send((clock.second(Instant::now()), sku.clone(), available));
            }
        }
    }
}
