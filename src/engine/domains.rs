//! The wiring: which domain asks which, in the order in which they start and stop.

use std::path::Path;
use std::time::Duration;

use crate::actors::catalog::CatalogDomain;
use crate::actors::inventory::InventoryDomain;
use crate::actors::orders::{OrdersDomain, OrdersNeeds};
use crate::actors::payments::{PaymentsDomain, WebhookSecret};
use crate::actors::runtime::{AskLimits, Domain as _, Figures, Host, JournalLimits};
use crate::actors::sales::{SalesDomain, SalesNeeds};
use crate::actors::users::{EndedSessions, SigningKey, TokenVerifier, UsersDomain};
use crate::actors::waiting_room::{PassKey, WaitingRoomDomain};
use crate::audit::{AuditDomain, AuditNeeds, ReportKey};
use crate::config::{Config, milliseconds};
use crate::dry_run::DryRunPorts;
use crate::http::{self, Gateway};
use crate::seed::SeedNeeds;
use crate::storage::Database;

use super::Extensions;

/// The running domains of a shop, and the threads that they run on.
pub struct Domains {
    pub users: UsersDomain,
    pub catalog: CatalogDomain,
    pub payments: PaymentsDomain,
    pub inventory: InventoryDomain,
    pub sales: SalesDomain,
    pub waiting_room: WaitingRoomDomain,
    pub orders: OrdersDomain,
    pub audit: AuditDomain,
    pub(super) keys: Keys,
    pub(super) host: Host,
}

/// What the gateway checks signatures with.
#[derive(Clone)]
pub(super) struct Keys {
    pub tokens: SigningKey,
    pub webhooks: WebhookSecret,
    pub passes: PassKey,
}

impl Keys {
    fn load_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            tokens: SigningKey::load_or_create(data_dir)?,
            webhooks: WebhookSecret::load_or_create(data_dir)?,
            passes: PassKey::load_or_create(data_dir)?,
        })
    }
}

impl Domains {
    /// Starts every domain on a migrated database, each after those that it asks.
    pub async fn start(config: &Config, database: &Database, figures: Figures) -> anyhow::Result<Self> {
        let data_dir = &config.storage.data_dir;
        let keys = Keys::load_or_create(data_dir)?;
        let report_key = ReportKey::load_or_create(data_dir)?;
        report_key.publish(data_dir)?;
        let mut host = Host::new(database.clone(), ask_limits(config), journal_limits(config), figures);

        let inventory = InventoryDomain::start(&mut host, &config.inventory);
        let users = UsersDomain::start(&host, keys.tokens.clone(), &config.users)?;
        let catalog = CatalogDomain::start(&host);
        let payments = PaymentsDomain::start(&host, keys.webhooks.clone());
        let waiting_room = WaitingRoomDomain::start(&mut host, keys.passes.clone(), &config.sales);
        let needs = SalesNeeds::from(&catalog.ports, &inventory.ports, &waiting_room.ports);
        let sales = SalesDomain::start(&host, needs, keys.passes.clone(), config);
        let needs = OrdersNeeds::from(&catalog.ports, &inventory.ports, &payments.ports, &sales.ports);
        let orders = OrdersDomain::start(&host, inventory.threads(), needs, &config.orders);
        let needs = AuditNeeds::from(&inventory.ports, &sales.ports, &waiting_room.ports, &orders.ports);
        let audit = AuditDomain::start(&mut host, needs, report_key, config);

        Ok(Self { users, catalog, payments, inventory, sales, waiting_room, orders, audit, keys, host })
    }

    /// What the demo seed asks.
    pub(super) fn seed_needs(&self) -> SeedNeeds {
        SeedNeeds::from(&self.catalog.ports, &self.inventory.ports, &self.users.ports)
    }

    /// What the gateway asks and checks with: ports, keys, and its own replica of the ended sessions.
    pub(super) async fn gateway(
        &self,
        config: &Config,
        extensions: Extensions,
        dry_runs: &DryRunPorts,
    ) -> anyhow::Result<Gateway> {
        let ports = http::Ports {
            users: self.users.ports.clone(),
            catalog: self.catalog.ports.clone(),
            inventory: self.inventory.ports.clone(),
            orders: self.orders.ports.clone(),
            sales: self.sales.ports.clone(),
            waiting_room: self.waiting_room.ports.clone(),
            audit: self.audit.ports.clone(),
            dry_runs: dry_runs.clone(),
        };
        let Keys { tokens, webhooks, passes } = self.keys.clone();
        let lifetime = Duration::from_secs(config.users.access_token_seconds);
        let ended = EndedSessions::new(lifetime);
        ended.follow(&self.users.ended_sessions, &self.users.ports.list_ended_sessions).await?;
        let key_set = tokens.jwks();
        let verifier = TokenVerifier::new(tokens, ended, lifetime);
        Ok(Gateway::new(
            ports,
            move |token| verifier.verify(token),
            &key_set,
            webhooks,
            passes,
            extensions.challenge,
            config,
        ))
    }

    /// Lets open questions be answered and decisions become durable, those who ask before those who are asked, then
    /// ends the threads.
    pub async fn stop(self, within: Duration) {
        self.audit.drain(within).await;
        self.users.drain(within).await;
        self.catalog.drain(within).await;
        self.orders.drain(within).await;
        self.payments.drain(within).await;
        self.sales.drain(within).await;
        self.waiting_room.drain(within).await;
        self.inventory.drain(within).await;
        self.inventory.flush().await;
        self.orders.flush().await;
        self.waiting_room.flush().await;
        self.abandon().await;
    }

    /// Ends at once, with whatever is not done.
    pub(super) async fn abandon(self) {
        self.host.stop().await;
    }
}

fn ask_limits(config: &Config) -> AskLimits {
    AskLimits {
        asks_max: config.actors.asks_max,
        answer_within: milliseconds(config.actors.answer_within_ms),
    }
}

fn journal_limits(config: &Config) -> JournalLimits {
    JournalLimits {
        queue_max: config.journal.queue_max,
        batch_max: config.journal.batch_max,
        commit_within: milliseconds(config.journal.commit_within_ms),
    }
}
