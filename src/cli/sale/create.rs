//! `shobai sale create`: the plan of a new sale, from a file or from the command line.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::Access;
use super::times::When;

/// Far more than the largest possible plan.
const PLAN_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The plan, as the body of `POST /v1/admin/sales`; `-` is the standard input.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "name", "opens_at", "closes_at", "items", "limit", "card_seconds", "konbini_seconds", "konbini_share",
            "no_konbini", "admission", "per_second",
        ]
    )]
    file: Option<PathBuf>,
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    /// RFC 3339, HH:MM or YYYY-MM-DD HH:MM in Japan, or +90s, +5m, +2h from now.
    #[arg(long, value_name = "TIME", required_unless_present = "file")]
    opens_at: Option<When>,
    /// As --opens-at; a time of day means the first one after the opening.
    #[arg(long, value_name = "TIME", required_unless_present = "file")]
    closes_at: Option<When>,
    /// A SKU, its price in yen (tax included) and its allotment; repeat it for each SKU.
    #[arg(long = "item", value_name = "SKU:PRICE:PIECES", required_unless_present = "file")]
    items: Vec<Item>,
    /// The limit of pieces per customer in the whole sale; none if it is not given.
    #[arg(long, value_name = "PIECES")]
    limit: Option<i64>,
    /// How long pieces are held for a card payment.
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    card_seconds: i64,
    /// How long pieces are held for a konbini payment.
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    konbini_seconds: i64,
    /// The largest share of a SKU's pieces that may be held for unpaid konbini orders, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "1", conflicts_with = "no_konbini")]
    konbini_share: f64,
    /// Refuses konbini payments.
    #[arg(long)]
    no_konbini: bool,
    /// How customers are admitted.
    #[arg(long, value_name = "MODE", default_value = "none", value_parser = ["none", "queue", "lottery"])]
    admission: String,
    /// Customers admitted per second; if it is not given, the engine adjusts it to the rate of orders.
    #[arg(long, value_name = "CUSTOMERS")]
    per_second: Option<u32>,
    #[command(flatten)]
    pub access: Access,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    sku: String,
    price: i64,
    pieces: i64,
}

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split(':').collect();
        let [sku, price, pieces] = *parts else {
            return Err("it must be SKU:PRICE:PIECES, for example SHOBAI-HOT-1:2200:500".to_owned());
        };
        let number = |what: &str, text: &str| {
            text.parse::<i64>().map_err(|_| format!("{what} must be a whole number, not {text:?}"))
        };
        let (price, pieces) = (number("the price", price)?, number("pieces", pieces)?);
        Ok(Self { sku: sku.to_owned(), price, pieces })
    }
}

impl Create {
    /// The request body; the engine validates it.
    pub(super) fn plan(&self) -> anyhow::Result<String> {
        match &self.file {
            Some(file) => read(file),
            None => self.plan_of_flags(Timestamp::now()).map(|plan| plan.to_string()),
        }
    }

    fn plan_of_flags(&self, now: Timestamp) -> anyhow::Result<Value> {
        let (Some(opens_at), Some(closes_at)) = (self.opens_at, self.closes_at) else {
            anyhow::bail!("a sale needs --opens-at and --closes-at");
        };
        let opens_at = opens_at.moment(now, now).context("--opens-at")?;
        let closes_at = closes_at.moment(now, opens_at.max(now)).context("--closes-at")?;
        let item =
            |Item { sku, price, pieces }: &Item| json!({"sku": sku, "price": price, "allotment": pieces});
        let mut plan = json!({
            "name": self.name,
            "opens_at": opens_at,
            "closes_at": closes_at,
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
            "hold_seconds": {"card": self.card_seconds, "konbini": self.konbini_seconds},
            "konbini": {"allowed": !self.no_konbini, "share_max": self.konbini_share},
            "admission": {"mode": self.admission},
        });
        if let Some(limit) = self.limit {
            plan["limit_per_customer"] = json!(limit);
        }
        if let Some(per_second) = self.per_second {
            plan["admission"]["per_second"] = json!(per_second);
        }
        Ok(plan)
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut plan = String::new();
    let read = if file == "-" {
        std::io::stdin().lock().take(PLAN_BYTES_MAX).read_to_string(&mut plan)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(PLAN_BYTES_MAX).read_to_string(&mut plan))
    };
    read.with_context(|| format!("the plan {}", file.display()))?;
    anyhow::ensure!(!plan.trim().is_empty(), "the plan {} is empty", file.display());
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn parsed(line: &[&str]) -> Result<Create, clap::Error> {
        Line::try_parse_from([&["create"], line].concat()).map(|line| line.create)
    }

    const LINE: [&str; 8] =
        ["--name", "Midnight", "--opens-at", "23:00", "--closes-at", "01:00", "--item", "LAMP:2200:500"];

    #[test]
    fn flags_make_a_plan() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let more = ["--item", "CHAIR:0:1", "--limit", "2", "--no-konbini", "--admission", "queue"];
        let plan = parsed(&[&LINE[..], &more, &["--per-second", "50"]].concat()).unwrap();
        assert_eq!(
            plan.plan_of_flags(now).unwrap(),
            json!({
                "name": "Midnight",
                "opens_at": "2026-11-24T14:00:00Z",
                "closes_at": "2026-11-24T16:00:00Z",
                "items": [
                    {"sku": "LAMP", "price": 2_200, "allotment": 500},
                    {"sku": "CHAIR", "price": 0, "allotment": 1},
                ],
                "limit_per_customer": 2,
                "hold_seconds": {"card": 600, "konbini": 3_600},
                "konbini": {"allowed": false, "share_max": 1.0},
                "admission": {"mode": "queue", "per_second": 50},
            })
        );
        let least = parsed(&LINE).unwrap().plan_of_flags(now).unwrap();
        assert!(least.get("limit_per_customer").is_none());
    }

    #[test]
    fn contradictory_or_incomplete_flags_are_refused() {
        assert!(parsed(&["--file", "plan.json"]).is_ok());
        for wrong in [
            &["--file", "plan.json", "--limit", "2"][..],
            &LINE[2..],
            &LINE[..6],
            &[&LINE[..], &["--item", "LAMP:1"]].concat(),
            &[&LINE[..], &["--item", "LAMP:one:1"]].concat(),
            &[&LINE[..], &["--admission", "money"]].concat(),
            &[&LINE[..], &["--no-konbini", "--konbini-share", "0.5"]].concat(),
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
