//! `shobai sale watch`: the live figures of a sale, from the engine's event stream (HTML, 9.2).

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http_body_util::BodyExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use uuid::Uuid;

use super::client::{Access, OperatorClient, Refused};
use super::live_text;
use crate::config::Config;
use crate::http::views::LiveView;

/// The pause before the stream is opened again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// A stream without an event for this long is broken: figures arrive every second.
const SILENT_AFTER: Duration = Duration::from_secs(10);
/// The longest accepted event.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct Watch {
    /// The sale's id.
    sale: Uuid,
    /// Ends after this many seconds; if it is not given, with Ctrl-C.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: Option<u64>,
    #[command(flatten)]
    pub access: Access,
}

impl Watch {
    pub(super) async fn carry_out(&self, config: &Config) -> anyhow::Result<()> {
        let ends = async {
            match self.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let mut view = View::new(self.access.json);
        let watched = tokio::select! {
            watched = self.follow(config, &mut view) => watched,
            () = ends => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C"),
        };
        view.end();
        watched?;
        anyhow::ensure!(
            view.has_shown,
            "no figures of the sale arrived in that time; is the engine serving?"
        );
        Ok(())
    }

    /// Follows the sale across the ends of streams and restarts of the engine; ends when the engine refuses.
    async fn follow(&self, config: &Config, view: &mut View) -> anyhow::Result<()> {
        // A first failure means a wrong address or token; after the first figures the engine may just be restarting.
        let client = self.access.open(config).await?;
        let mut ended = self.listen(&client, view).await;
        loop {
            match ended {
                Err(error) if !view.has_shown || is_final(&error) => return Err(error),
                Err(error) => view.note(&format!("no figures at the moment, connecting again: {error:#}")),
                // The engine ends every stream after some minutes.
                Ok(()) => {}
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
            ended = match self.access.open(config).await {
                Ok(client) => self.listen(&client, view).await,
                Err(error) => Err(error),
            };
        }
    }

    /// Shows one stream until it ends.
    async fn listen(&self, client: &OperatorClient, view: &mut View) -> anyhow::Result<()> {
        let stream = client.listen(&format!("/v1/admin/sales/{}/live", self.sale)).await?;
        let mut body = stream.into_body();
        let mut events = Events::default();
        while let Some(frame) = tokio::time::timeout(SILENT_AFTER, body.frame())
            .await
            .context("the engine sends nothing any more")?
        {
            let Ok(bytes) = frame.context("the stream broke")?.into_data() else { continue };
            for data in events.take(&bytes)? {
                view.show(&data)?;
            }
        }
        Ok(())
    }
}

/// Whether the same request would be refused again.
fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| matches!(refused.status, 400 | 403 | 404))
}

/// Assembles events from the pieces of a stream.
#[derive(Default)]
struct Events {
    begun: Vec<u8>,
}

impl Events {
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<String>> {
        self.begun.extend_from_slice(bytes);
        anyhow::ensure!(self.begun.len() <= EVENT_BYTES_MAX, "an event is too long");
        let mut whole = Vec::new();
        while let Some(end) = self.begun.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.begun.drain(..end + 2).collect();
            let text = String::from_utf8(event).context("an event is not text")?;
            let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
            let data: Vec<&str> = data.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            // A comment has no data, and a named event is about the stream; the others are figures.
            let is_named = text.lines().any(|line| line.starts_with("event:"));
            if !is_named && !data.is_empty() {
                whole.push(data.join("\n"));
            }
        }
        Ok(whole)
    }
}

/// Shows a table in place on a terminal, and lines elsewhere.
struct View {
    is_raw: bool,
    table: Option<ProgressBar>,
    has_shown: bool,
    /// The second of the last printed line.
    last_second: Option<i64>,
}

impl View {
    fn new(is_raw: bool) -> Self {
        let table = (!is_raw && std::io::stdout().is_terminal()).then(|| {
            let table = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            // The template is a constant; the default style would do if it were invalid.
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                table.set_style(style);
            }
            table
        });
        Self { is_raw, table, has_shown: false, last_second: None }
    }

    fn show(&mut self, data: &str) -> anyhow::Result<()> {
        if self.is_raw {
            println!("{data}");
            self.has_shown = true;
            return Ok(());
        }
        let live: LiveView = serde_json::from_str(data).with_context(|| {
            format!("an event cannot be parsed; is this command as new as the engine? {data}")
        })?;
        self.has_shown = true;
        // At most one line per second.
        let is_due = self.last_second.replace(live.at.as_second()) != Some(live.at.as_second());
        match &self.table {
            Some(table) => {
                table.set_message(live_text::table(&live));
                table.tick();
            }
            None if is_due => println!("{}", live_text::line(&live)),
            None => {}
        }
        Ok(())
    }

    fn note(&self, text: &str) {
        match &self.table {
            Some(table) => table.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn end(&self) {
        if let Some(table) = &self.table {
            table.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_assembled_from_pieces_of_any_size() {
        let stream = b": hello\n\nretry: 500\ndata: {\"a\": 1}\n\nevent: trouble\ndata: {}\n\ndata: two\ndata: lines\n\ndata: begun";
        for size in [1, 2, 3, 7, stream.len()] {
            let mut events = Events::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(size) {
                found.extend(events.take(bytes).unwrap());
            }
            assert_eq!(found, ["{\"a\": 1}", "two\nlines"], "{size}");
        }
    }
}
