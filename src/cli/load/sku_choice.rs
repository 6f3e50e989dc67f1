//! The choice of a SKU for a visit: one, a few hot ones, by rank, or any.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::client::Client;
use super::scenario::{Choose, Skus};
use super::shop::{self, AvailableAnswer, PageAnswer, ProductAnswer};

/// The most pages of the listing that are read, in case that a shop's pages never end.
const PAGES_MAX: usize = 10_000;

/// A SKU and its product.
#[derive(Debug, Clone)]
pub(super) struct ListedSku {
    pub sku: String,
    pub product: uuid::Uuid,
}

/// Finds the scenario's SKUs in the shop's listing; fails when one is missing.
pub(super) async fn find(client: &Client, skus: &Skus) -> anyhow::Result<Vec<ListedSku>> {
    let wanted = skus.catalogue.unwrap_or(skus.names.len());
    let mut listed = Vec::new();
    let mut path = "/v1/products?limit=100".to_owned();
    for _ in 0..PAGES_MAX {
        let page: PageAnswer<ProductAnswer> = shop::ask(client, shop::get(&path, None)).await?;
        for product in page.items {
            let variants = product.variants.into_iter();
            listed.extend(variants.map(|variant| ListedSku { sku: variant.sku, product: product.id }));
        }
        let is_enough = if skus.catalogue.is_some() {
            listed.len() >= wanted
        } else {
            skus.names.iter().all(|name| listed.iter().any(|listed| listed.sku == *name))
        };
        match page.next_cursor {
            Some(cursor) if !is_enough => path = format!("/v1/products?limit=100&cursor={cursor}"),
            _ => break,
        }
    }
    if skus.catalogue.is_some() {
        listed.truncate(wanted);
        anyhow::ensure!(listed.len() == wanted, "the shop lists {} SKUs, not {wanted}", listed.len());
        return Ok(listed);
    }
    let find = |name: &String| {
        let found = listed.iter().find(|listed| listed.sku == *name).cloned();
        found.ok_or_else(|| anyhow::anyhow!("the shop does not list the SKU {name}"))
    };
    skus.names.iter().map(find).collect()
}

/// The pieces available at this moment.
pub(super) async fn available(client: &Client, sku: &str) -> anyhow::Result<i64> {
    let shown: AvailableAnswer = shop::ask(client, shop::get(&format!("/v1/inventory/{sku}"), None)).await?;
    Ok(shown.available)
}

/// Chooses among SKUs by their number.
#[derive(Debug, Clone)]
pub(super) struct Chooser {
    /// The demand for a SKU and all SKUs before it.
    cumulative: Vec<f64>,
}

impl Chooser {
    pub(super) fn new(skus: &Skus, count: usize) -> Self {
        let weight = |rank: usize| match skus.choose {
            Choose::One => f64::from(u8::from(rank == 0)),
            Choose::Uniform => 1.0,
            Choose::Zipf => ((rank + 1) as f64).powf(-skus.exponent),
            Choose::Hot if skus.hot >= count => 1.0,
            Choose::Hot if rank < skus.hot => skus.share / skus.hot as f64,
            Choose::Hot => (1.0 - skus.share) / (count - skus.hot) as f64,
        };
        let mut sum = 0.0;
        let cumulative = (0..count).map(|rank| {
            sum += weight(rank);
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    pub(super) fn choose(&self, random: &mut SmallRng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let at = random.random::<f64>() * total;
        self.cumulative.partition_point(|sum| *sum <= at).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn shares(choose: Choose) -> Vec<f64> {
        let skus = Skus {
            choose,
            names: Vec::new(),
            catalogue: Some(10),
            hot: 2,
            share: 0.8,
            exponent: 1.0,
            quantity: 1,
        };
        let chooser = Chooser::new(&skus, 10);
        let mut random = SmallRng::seed_from_u64(7);
        let mut counts = [0.0; 10];
        for _ in 0..100_000 {
            counts[chooser.choose(&mut random)] += 1e-5;
        }
        counts.to_vec()
    }

    #[test]
    fn demand_is_spread_as_the_scenario_says() {
        let is_near = |share: f64, expected: f64| (share - expected).abs() < 0.01;
        assert!(is_near(shares(Choose::One)[0], 1.0));
        assert!(shares(Choose::Uniform).into_iter().all(|share| is_near(share, 0.1)));
        let hot = shares(Choose::Hot);
        assert!(is_near(hot[0], 0.4) && is_near(hot[1], 0.4) && is_near(hot[9], 0.025));
        let zipf = shares(Choose::Zipf);
        assert!(is_near(zipf[0] / zipf[1], 2.0) || (zipf[0] / zipf[1] - 2.0).abs() < 0.1);
        assert!(zipf.is_sorted_by(|one, next| *one + 0.005 >= *next));
    }
}
