//! The gates in front of the stock decision: whether this order may have pieces of a sale at this moment, from memory alone.
//!
//! In this order: the switch for everything, the pace of the device and the account, the sale's window and status, the switches
//! of the sale and of the SKU, how it is paid, the limits, the orders that are not paid yet, the admission. What passes is
//! counted for its customer until its order has come to nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::model::{AdmissionMode, Halt, Sale, SaleStatus};
use crate::actors::inventory::{Claimed, Line};
use crate::actors::waiting_room::{Admission, Pacing, PassKey, RetryAfter, TicketNumber};
use crate::types::{CustomerId, InvalidValue, Money, OrderId, SaleId, Sku};

/// Why an order may not have what it wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Before the opening, or after the end; seconds until it opens, if it will.
    #[error("the sale is not open")]
    NotOpen { opens_in: Option<u32> },
    #[error("the sale is paused")]
    Paused,
    #[error("{0} is not sold at this moment")]
    Stopped(String),
    #[error("this order was not admitted to the sale")]
    NotAdmitted,
    #[error("a customer gets at most {limit} pieces in this sale, and this order would be piece {pieces}")]
    LimitReached { limit: i64, pieces: i64 },
    #[error("a sale cannot be paid at a konbini")]
    KonbiniNotAllowed,
    #[error("as many pieces of {0} as may be are held for konbini payments")]
    KonbiniShareReached(Sku),
    #[error("an order can have pieces of one sale only")]
    TwoSales,
    #[error("the sale has sold out")]
    SoldOut,
    #[error("orders of this customer or device come too fast")]
    TooFast { retry_after: u32 },
    #[error("a customer may have {most} orders in this sale that are not paid")]
    TooManyUnpaid { most: u32 },
}

impl Refusal {
    /// The gate's stable name.
    pub const fn gate(&self) -> &'static str {
        match self {
            Self::NotOpen { .. } => "sale-not-open",
            Self::Paused => "sale-paused",
            Self::Stopped(_) => "stopped",
            Self::NotAdmitted => "not-admitted",
            Self::LimitReached { .. } => "limit-reached",
            Self::KonbiniNotAllowed => "konbini-not-allowed",
            Self::KonbiniShareReached(_) => "konbini-share-reached",
            Self::TwoSales => "two-sales",
            Self::SoldOut => "sold-out",
            Self::TooFast { .. } => "too-fast",
            Self::TooManyUnpaid { .. } => "too-many-unpaid",
        }
    }

    /// Seconds after which asking again may bring something else.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::NotOpen { opens_in } => *opens_in,
            Self::Paused | Self::Stopped(_) => Some(5),
            Self::KonbiniShareReached(_) | Self::TooManyUnpaid { .. } => Some(30),
            Self::TooFast { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

/// An order at the gates.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub order: OrderId,
    pub customer: CustomerId,
    /// Staff pass switches that are on.
    pub is_staff: bool,
    /// Each SKU once.
    pub lines: Vec<Line>,
    pub is_konbini: bool,
    /// Who else it may be, besides the account: for example a phone number, with what it is.
    pub also_known_as: Vec<(&'static str, String)>,
    /// What the client says that it is; nothing: a device of this customer alone.
    pub device: Option<DeviceId>,
    /// What the customer was given, its signature checked.
    pub admission: Option<Admission>,
    pub arrived_at: Timestamp,
}

/// What a client says that it is, and may change at will.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    pub const CHARACTERS_MAX: usize = 64;
}

impl FromStr for DeviceId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=Self::CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        let most = Self::CHARACTERS_MAX;
        Err(InvalidValue::new(
            "device id",
            format!("must have 1 to {most} letters, digits, \"-\", \"_\" or \".\""),
        ))
    }
}

/// An order that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    pub sale: SaleId,
    /// What the sale's SKUs among the lines cost.
    pub prices: Vec<(Sku, Money)>,
    /// Whom the pieces count for, for the reservation to keep.
    pub claimants: Arc<str>,
    /// How long the pieces are held for the payment.
    pub pay_within_seconds: i64,
    /// In which life of the gates it passed.
    pub epoch: u64,
}

/// Refusals of one customer by one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused<G = &'static str> {
    pub gate: G,
    pub count: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// An admission that was used for an order, or that came back because the order came to nothing.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionUse {
    pub sale: SaleId,
    pub number: TicketNumber,
    pub is_used: bool,
    pub at: Timestamp,
}

/// How many uses and returns of admissions somebody has heard of, in one life of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    epoch: u64,
    uses: u64,
}

impl Heard {
    /// Whether the gates began anew in between.
    pub fn is_of_another_life(self, other: Self) -> bool {
        self.epoch != other.epoch
    }
}

/// What became of the orders that came to the gates of a sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub attempts: u64,
    pub accepted: u64,
    /// Of the sale, in the orders that were accepted: those that are durable, or may be.
    pub pieces: u64,
    pub refused: [u64; GATES.len()],
}

/// The names of refusals, in the order in which a [`Tally`] counts them.
pub const GATES: [&str; 12] = [
    "sale-not-open",
    "sale-paused",
    "stopped",
    "not-admitted",
    "limit-reached",
    "konbini-not-allowed",
    "konbini-share-reached",
    "two-sales",
    "sold-out",
    "too-fast",
    "too-many-unpaid",
    DECLINED,
];

impl Tally {
    fn refuse(&mut self, gate: &str) {
        if let Some(index) = GATES.iter().position(|name| *name == gate) {
            self.refused[index] += 1;
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut refused = self.refused;
        refused.iter_mut().zip(before.refused).for_each(|(now, before)| *now -= before);
        Self {
            attempts: self.attempts - before.attempts,
            accepted: self.accepted - before.accepted,
            pieces: self.pieces - before.pieces,
            refused,
        }
    }
}

/// The name of the refusal of a card.
pub const DECLINED: &str = "payment-declined";

/// All gates; one life of the actor has one.
pub struct Gates {
    epoch: u64,
    rules: GateRules,
    paces: Paces,
    /// The switch for everything, as it is written.
    is_stopped: bool,
    /// It is turned on before that is written.
    is_barred: bool,
    by_sku: HashMap<Sku, SaleId>,
    sales: HashMap<SaleId, Gate>,
    /// Counts the bars that were set.
    last_bar: u64,
    /// Uses and returns of admissions that the doorkeeper has yet to hear of.
    admissions: VecDeque<AdmissionUse>,
    /// How many there were before those.
    admissions_heard: u64,
    /// Whether any order was on its way at the end of the last second.
    were_on_their_way: bool,
    /// Refusals that have yet to be written down, summed up.
    refusals: HashMap<(SaleId, CustomerId, &'static str), Refused>,
    /// How long orders took until they were durable, in this second and the one before.
    latencies: Vec<Duration>,
    latency_p99: Option<Duration>,
}

/// What holds in every sale.
pub struct GateRules {
    /// Names are counted and stored under pseudonyms.
    pub key: PassKey,
    /// Orders of one account in a sale that may wait for their payment; nothing: any number.
    pub unpaid_max: Option<u32>,
}

/// How fast the orders of one account, and of one device, may come; nothing: as fast as they like.
#[derive(Default)]
pub struct Paces {
    pub accounts: Option<Pacing>,
    pub devices: Option<Pacing>,
}

impl Paces {
    fn allow(&mut self, arrival: &Arrival) -> Result<(), RetryAfter> {
        let at = arrival.arrived_at;
        // Who names none has one of their own, whose pace is the account's.
        if let (Some(devices), Some(device)) = (&mut self.devices, &arrival.device) {
            devices.allow(device, at)?;
        }
        self.accounts.as_mut().map_or(Ok(()), |accounts| accounts.allow(arrival.customer, at))
    }
}

struct Gate {
    sale: Arc<Sale>,
    /// What keeps buyers out before it is written, the first one first.
    bars: Vec<Bar>,
    /// Pieces that count for each claimant.
    pieces: HashMap<Arc<str>, i64>,
    claims: HashMap<OrderId, Claim>,
    /// How many of those passed and have not ended their passage.
    on_their_way: u32,
    /// Orders of each account that are not paid yet.
    unpaid: HashMap<Arc<str>, u32>,
    /// Pieces of each SKU that are held for slips.
    konbini: HashMap<Sku, i64>,
    tally: Tally,
    /// The tally at the end of each of the last seconds.
    seconds: VecDeque<Tally>,
}

/// Keeps buyers out of a sale from the moment when that is wished for.
struct Bar {
    /// By which it is lifted; a later one has a higher number.
    number: u64,
    /// The one that it is about; nothing: the whole sale.
    sku: Option<Sku>,
    refusal: Refusal,
    set_at: Instant,
}

/// What keeps buyers out though it is not written: it could not be, and whoever wanted it was told so, or it takes long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unwritten {
    pub is_of_sale: bool,
    pub skus: Vec<Sku>,
}

struct Claim {
    /// It passed, and its pieces are not set aside yet.
    is_on_its_way: bool,
    claimants: Vec<Arc<str>>,
    pieces: i64,
    konbini: Vec<(Sku, i64)>,
    is_unpaid: bool,
}

impl Claim {
    fn account(&self) -> Option<&Arc<str>> {
        self.claimants.iter().find(|claimant| claimant.starts_with(CUSTOMER))
    }
}

/// How many seconds of rates are kept.
const SECONDS_KEPT: usize = 120;
/// Customers and gates whose refusals wait to be written down; more are only counted.
const REFUSALS_MAX: usize = 200_000;
/// Latencies that are looked at in a second.
const LATENCIES_MAX: usize = 50_000;
const SECOND: Duration = Duration::from_secs(1);
/// The word that begins an account among the claimants.
const CUSTOMER: &str = "customer:";
/// The word that begins an admission among the claimants.
const ADMISSION: &str = "admission:";
/// The word that marks pieces that are held for a slip.
const KONBINI: &str = "konbini";

/// Whose admission a claimant is, if it is one.
fn ticket_of(claimant: &str) -> Option<TicketNumber> {
    claimant.strip_prefix(ADMISSION)?.parse().ok().and_then(TicketNumber::new)
}

impl Gates {
    pub fn new(epoch: u64, rules: GateRules, paces: Paces) -> Self {
        Self {
            epoch,
            rules,
            paces,
            is_stopped: false,
            is_barred: false,
            by_sku: HashMap::new(),
            sales: HashMap::new(),
            last_bar: 0,
            admissions: VecDeque::new(),
            admissions_heard: 0,
            were_on_their_way: false,
            refusals: HashMap::new(),
            latencies: Vec::new(),
            latency_p99: None,
        }
    }

    /// Takes in how the switch for everything is written; a bar stays.
    pub fn set_stopped(&mut self, is_stopped: bool) {
        self.is_stopped = is_stopped;
    }

    /// Keeps everybody out from this moment on, until it is lifted.
    pub fn bar_everything(&mut self) {
        self.is_barred = true;
    }

    pub fn lift_everything(&mut self) {
        self.is_barred = false;
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped || self.is_barred
    }

    /// Takes a sale in as it is now; an older state than the one that is known changes nothing.
    pub fn enter(&mut self, sale: Sale) {
        let id = sale.id;
        match self.sales.get_mut(&id) {
            // Most of those who look again find what is known.
            Some(gate) if sale.version < gate.sale.version || *gate.sale == sale => return,
            Some(gate) => gate.sale = Arc::new(sale),
            None => drop(self.sales.insert(id, Gate::of(Arc::new(sale)))),
        }
        self.index();
    }

    pub fn forget(&mut self, sale: SaleId) {
        self.sales.remove(&sale);
        self.index();
    }

    /// Which sale each SKU is in at the moment: where one is over and not settled, the later one.
    fn index(&mut self) {
        let mut gated: Vec<_> = self.sales.values().filter(|gate| gate.sale.status.is_gated()).collect();
        gated.sort_unstable_by_key(|gate| {
            (!gate.sale.status.is_over(), gate.sale.draft.opens_at, gate.sale.id)
        });
        self.by_sku = gated
            .into_iter()
            .flat_map(|gate| gate.sale.draft.items.iter().map(|item| (item.sku.clone(), gate.sale.id)))
            .collect();
    }

    pub fn sale(&self, id: SaleId) -> Option<&Arc<Sale>> {
        self.sales.get(&id).map(|gate| &gate.sale)
    }

    pub fn sales(&self) -> impl Iterator<Item = &Arc<Sale>> {
        self.sales.values().map(|gate| &gate.sale)
    }

    /// Keeps buyers out from this moment on, until it is lifted by the number that is answered.
    pub fn bar(&mut self, sale: SaleId, refusal: Refusal) -> u64 {
        self.set_bar(sale, None, refusal)
    }

    /// Keeps buyers of one SKU out from this moment on; what is not in the sale changes nothing.
    pub fn bar_sku(&mut self, sale: SaleId, sku: &Sku) -> u64 {
        self.set_bar(sale, Some(sku), Refusal::Stopped(sku.to_string()))
    }

    fn set_bar(&mut self, sale: SaleId, sku: Option<&Sku>, refusal: Refusal) -> u64 {
        self.last_bar += 1;
        let number = self.last_bar;
        if let Some(gate) = self.sales.get_mut(&sale)
            && sku.is_none_or(|sku| gate.sale.item(sku).is_some())
        {
            gate.bars.push(Bar { number, sku: sku.cloned(), refusal, set_at: Instant::now() });
        }
        number
    }

    /// Lets buyers in again whom that bar kept out, as far as the sale and the other bars do.
    pub fn lift(&mut self, sale: SaleId, bar: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            gate.bars.retain(|set| set.number != bar);
        }
    }

    /// Lifts every bar of a SKU up to that one: they belong to what has been resumed.
    pub fn lift_of_sku(&mut self, sale: SaleId, sku: &Sku, last: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            gate.bars.retain(|set| set.number > last || set.sku.as_ref() != Some(sku));
        }
    }

    /// The same of the sale as a whole; those of a pause and of a kill are resumed one at a time.
    pub fn lift_of_sale(&mut self, sale: SaleId, ended: Halt, last: u64) {
        if let Some(gate) = self.sales.get_mut(&sale) {
            let is_other = |set: &Bar| {
                matches!(
                    (ended, &set.refusal),
                    (Halt::Pause, Refusal::Stopped(_)) | (Halt::Kill, Refusal::Paused)
                )
            };
            gate.bars.retain(|set| set.number > last || set.sku.is_some() || is_other(set));
        }
    }

    /// What keeps buyers out of a sale for longer than a change takes that is being written.
    pub fn unwritten(&self, sale: SaleId) -> Unwritten {
        let mut unwritten = Unwritten::default();
        let bars = self.sales.get(&sale).into_iter().flat_map(|gate| &gate.bars);
        for bar in bars.filter(|bar| bar.set_at.elapsed() > SECOND) {
            match &bar.sku {
                None => unwritten.is_of_sale = true,
                Some(sku) if !unwritten.skus.contains(sku) => unwritten.skus.push(sku.clone()),
                Some(_) => {}
            }
        }
        unwritten
    }

    /// What keeps buyers out of a sale as a whole at this moment, until it is resumed.
    pub fn halts(&self, sale: SaleId) -> Vec<Halt> {
        let Some(gate) = self.sales.get(&sale) else { return Vec::new() };
        let mut bars = gate.bars.iter().filter(|bar| bar.sku.is_none());
        let is_paused =
            gate.sale.status == SaleStatus::Paused || bars.clone().any(|bar| bar.refusal == Refusal::Paused);
        // An end that could not be written is taken back as a kill is.
        let is_killed = gate.sale.is_stopped || bars.any(|bar| bar.refusal != Refusal::Paused);
        [(is_paused, Halt::Pause), (is_killed, Halt::Kill)]
            .into_iter()
            .filter_map(|(is_on, halt)| is_on.then_some(halt))
            .collect()
    }

    /// The number of the last bar that was set anywhere.
    pub fn last_bar(&self) -> u64 {
        self.last_bar
    }

    /// Whether a customer's order of a sale that arrives at this moment would find its gates open.
    pub fn is_selling(&self, sale: SaleId, at: Timestamp) -> bool {
        !self.is_stopped() && self.sales.get(&sale).is_some_and(|gate| gate.check_sale(at, false).is_ok())
    }

    /// Whether one SKU of a sale is stopped by a switch of its own.
    pub fn is_sku_stopped(&self, sale: SaleId, sku: &Sku) -> bool {
        self.sales.get(&sale).is_some_and(|gate| gate.is_sku_stopped(sku))
    }

    /// The tickets whose admissions have a live order; nothing when the sale is not known.
    pub fn used_admissions(&self, sale: SaleId) -> Option<HashSet<TicketNumber>> {
        let claimants = self.sales.get(&sale)?.pieces.iter().filter(|(_, pieces)| **pieces > 0);
        Some(claimants.filter_map(|(claimant, _)| ticket_of(claimant)).collect())
    }

    /// Whether a paid order of a sale is one that does not count: its hold had lapsed when this life of the gates began.
    pub fn is_missing(&self, sale: SaleId, order: OrderId) -> bool {
        self.sales.get(&sale).is_some_and(|gate| !gate.claims.contains_key(&order))
    }

    /// Counts what was claimed before this life of the gates began.
    pub fn restore(&mut self, sale: SaleId, claimed: &[Claimed]) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        for Claimed { reservation, line, is_held, claimants } in claimed {
            let is_konbini = claimants.iter().any(|claimant| claimant == KONBINI);
            let held = (*is_held && is_konbini).then(|| (line.sku.clone(), line.quantity.get()));
            // The doorkeeper may not have heard of it in the life before.
            let number = claimants.iter().find_map(|claimant| ticket_of(claimant));
            let at = Timestamp::now();
            self.admissions.extend(number.map(|number| AdmissionUse { sale, number, is_used: true, at }));
            let claimants = claimants.iter().filter(|claimant| *claimant != KONBINI);
            let claimants = claimants.map(|claimant| Arc::from(&**claimant)).collect();
            let claim = Claim {
                is_on_its_way: false,
                claimants,
                pieces: line.quantity.get(),
                konbini: held.into_iter().collect(),
                is_unpaid: *is_held,
            };
            gate.count((*reservation).into(), claim);
        }
    }

    /// Lets an order pass, or says which gate holds it up; nothing when no sale is concerned.
    ///
    /// What passes is counted at once, and until [`give_back`](Self::give_back).
    pub fn pass(&mut self, arrival: &Arrival) -> Result<Option<Passage>, Refusal> {
        let sale = match self.sale_of(&arrival.lines) {
            Ok(sale) => sale,
            Err(refusal) => {
                self.refuse_in_all(arrival, refusal.gate());
                return Err(refusal);
            }
        };
        if let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) {
            gate.tally.attempts += 1;
        }
        let passed = self.pass_through(sale, arrival);
        if let (Err(refusal), Some(sale)) = (&passed, sale) {
            self.refuse(sale, arrival.customer, refusal.gate());
        }
        passed
    }

    fn sale_of(&self, lines: &[Line]) -> Result<Option<SaleId>, Refusal> {
        // Most shops have no sale at most times.
        if self.by_sku.is_empty() {
            return Ok(None);
        }
        let mut sales = lines.iter().filter_map(|line| self.by_sku.get(&line.sku));
        let first = sales.next();
        if sales.any(|other| Some(other) != first) {
            return Err(Refusal::TwoSales);
        }
        Ok(first.copied())
    }

    /// Counts an order that is refused for wanting pieces of several sales, in each of them.
    fn refuse_in_all(&mut self, arrival: &Arrival, gate: &'static str) {
        let sales: HashSet<SaleId> =
            arrival.lines.iter().filter_map(|line| self.by_sku.get(&line.sku)).copied().collect();
        for sale in sales {
            if let Some(gate) = self.sales.get_mut(&sale) {
                gate.tally.attempts += 1;
            }
            self.refuse(sale, arrival.customer, gate);
        }
    }

    fn pass_through(&mut self, sale: Option<SaleId>, arrival: &Arrival) -> Result<Option<Passage>, Refusal> {
        if self.is_stopped() && !arrival.is_staff {
            return Err(Refusal::Stopped("everything".to_owned()));
        }
        let epoch = self.epoch;
        let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) else { return Ok(None) };
        if !arrival.is_staff {
            let paced = self.paces.allow(arrival);
            paced.map_err(|wait| Refusal::TooFast { retry_after: wait.seconds })?;
        }
        let passage = gate.pass(arrival, epoch, &self.rules)?;
        gate.set_out(arrival.order);
        Ok(Some(passage))
    }

    /// Makes sure that a passage counts, now that its pieces are set aside: one of an earlier life is counted anew.
    pub fn confirm(&mut self, arrival: &Arrival, passage: &Passage) -> Result<(), Refusal> {
        let Some(gate) = self.sales.get_mut(&passage.sale) else { return Ok(()) };
        if passage.epoch != self.epoch {
            // It may have been read again when only some of its lines were set aside.
            let given_back = gate.give_back(arrival.order);
            if let Err(refusal) = gate.claim(arrival, &self.rules) {
                self.give_back_admission(passage.sale, given_back);
                return Err(refusal);
            }
            gate.set_out(arrival.order);
        }
        let admission = arrival.admission.filter(|admission| admission.sale == passage.sale);
        self.admissions.extend(admission.map(|admission| AdmissionUse {
            sale: passage.sale,
            number: admission.number,
            is_used: true,
            at: Timestamp::now(),
        }));
        Ok(())
    }

    /// An order that passed is durable, or may be, and no longer on its way. Twice is as once.
    pub fn placed(&mut self, arrival: &Arrival, sale: SaleId) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        if gate.place(arrival.order) && self.latencies.len() < LATENCIES_MAX {
            let took = Timestamp::now().duration_since(arrival.arrived_at);
            self.latencies.push(took.unsigned_abs());
        }
    }

    /// An order came to nothing: its pieces no longer count. Twice is as once.
    pub fn give_back(&mut self, sale: SaleId, order: OrderId) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        let given_back = gate.give_back(order);
        self.give_back_admission(sale, given_back);
    }

    fn give_back_admission(&mut self, sale: SaleId, ticket: Option<TicketNumber>) {
        let at = Timestamp::now();
        self.admissions.extend(ticket.map(|number| AdmissionUse { sale, number, is_used: false, at }));
    }

    /// An order was paid: its pieces are no longer held for a payment.
    pub fn paid(&mut self, sale: SaleId, order: OrderId) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        gate.end_waiting(order);
        // Whoever was to tell that it is placed may have been lost.
        gate.place(order);
    }

    /// Counts an order that was refused, also one that had passed and was refused by what comes after the gates.
    pub fn refuse(&mut self, sale: SaleId, customer: CustomerId, gate: &'static str) {
        if let Some(of_sale) = self.sales.get_mut(&sale) {
            of_sale.tally.refuse(gate);
        }
        self.note(sale, customer, gate);
    }

    /// Remembers of a customer that something was refused, by whatever name. Sales that are not run are nobody's to fill.
    pub fn note(&mut self, sale: SaleId, customer: CustomerId, gate: &'static str) {
        if self.sales.contains_key(&sale) {
            let now = Timestamp::now();
            self.keep_refusals([(sale, customer, Refused { gate, count: 1, first_at: now, last_at: now })]);
        }
    }

    /// Keeps refusals until they are taken, those of a customer by one gate as one.
    pub fn keep_refusals(&mut self, refusals: impl IntoIterator<Item = (SaleId, CustomerId, Refused)>) {
        for (sale, customer, refused) in refusals {
            let name = (sale, customer, refused.gate);
            if let Some(known) = self.refusals.get_mut(&name) {
                known.count += refused.count;
                known.first_at = known.first_at.min(refused.first_at);
                known.last_at = known.last_at.max(refused.last_at);
            } else if self.refusals.len() < REFUSALS_MAX {
                self.refusals.insert(name, refused);
            }
        }
    }

    /// What was refused since this was asked last.
    pub fn take_refusals(&mut self) -> Vec<(SaleId, CustomerId, Refused)> {
        self.refusals.drain().map(|((sale, customer, _), refused)| (sale, customer, refused)).collect()
    }

    /// An order came to nothing of which its asker does not know whether and where it passed.
    pub fn abandon(&mut self, order: OrderId) {
        let sales: Vec<SaleId> = self.sales.keys().copied().collect();
        sales.into_iter().for_each(|sale| self.give_back(sale, order));
    }

    /// Uses and returns of admissions after those that were heard of, which are forgotten; as far as the figures of their
    /// sales, which were read at the time that `read_at` tells, have followed: a used admission counts as outstanding until
    /// its pieces are gone. Answers also with the time of the first one that is not told yet.
    pub fn tell_admissions(
        &mut self,
        heard: Heard,
        read_at: impl Fn(SaleId) -> Option<Timestamp>,
    ) -> (Vec<AdmissionUse>, Heard, Option<Timestamp>) {
        // What was heard of in an earlier life was other uses.
        while heard.epoch == self.epoch && self.admissions_heard < heard.uses {
            self.admissions.pop_front();
            self.admissions_heard += 1;
        }
        let told: Vec<AdmissionUse> = self
            .admissions
            .iter()
            .take_while(|used| read_at(used.sale).is_none_or(|read_at| used.at < read_at))
            .copied()
            .collect();
        let heard = Heard { epoch: self.epoch, uses: self.admissions_heard + told.len() as u64 };
        let untold = self.admissions.get(told.len()).map(|used| used.at);
        (told, heard, untold)
    }

    /// How long 99 of 100 orders of the last second took at most until they were durable, and how many are on their way.
    pub fn load(&self) -> (Option<Duration>, u32) {
        (self.latency_p99, self.on_their_way())
    }

    fn on_their_way(&self) -> u32 {
        self.sales.values().map(|gate| gate.on_their_way).sum()
    }

    /// Called once a second.
    pub fn end_second(&mut self) {
        let are_on_their_way = self.on_their_way() > 0;
        self.latencies.sort_unstable();
        self.latency_p99 = match self.latencies.get(self.latencies.len() * 99 / 100) {
            Some(took) => Some(*took),
            // None of those who were on their way a second ago got through, so that they take a second longer than was known.
            None if self.were_on_their_way && are_on_their_way => {
                Some(self.latency_p99.unwrap_or_default() + SECOND)
            }
            None => None,
        };
        self.were_on_their_way = are_on_their_way;
        self.latencies.clear();
        for gate in self.sales.values_mut() {
            gate.seconds.push_back(gate.tally);
            if gate.seconds.len() > SECONDS_KEPT {
                gate.seconds.pop_front();
            }
        }
    }

    /// What came to the gates of a sale in all, and in each of the last seconds, the latest last.
    pub fn tally(&self, sale: SaleId) -> Option<(Tally, Vec<Tally>)> {
        let gate = self.sales.get(&sale)?;
        let seconds = gate.seconds.iter().zip(gate.seconds.iter().skip(1));
        Some((gate.tally, seconds.map(|(before, after)| after.since(before)).collect()))
    }
}

impl Gate {
    fn of(sale: Arc<Sale>) -> Self {
        Self {
            sale,
            bars: Vec::new(),
            pieces: HashMap::new(),
            claims: HashMap::new(),
            on_their_way: 0,
            unpaid: HashMap::new(),
            konbini: HashMap::new(),
            tally: Tally::default(),
            seconds: VecDeque::new(),
        }
    }

    fn pass(&mut self, arrival: &Arrival, epoch: u64, rules: &GateRules) -> Result<Passage, Refusal> {
        self.check_sale(arrival.arrived_at, arrival.is_staff)?;
        if !arrival.is_staff {
            self.check_skus(arrival)?;
        }
        let claimants = self.claim(arrival, rules)?;
        let lines = arrival.lines.iter();
        let items = lines.filter_map(|line| self.sale.item(&line.sku));
        let hold = self.sale.draft.terms.hold_seconds;
        Ok(Passage {
            sale: self.sale.id,
            prices: items.map(|item| (item.sku.clone(), item.price)).collect(),
            claimants,
            pay_within_seconds: if arrival.is_konbini { hold.konbini } else { hold.card },
            epoch,
        })
    }

    /// Whether anybody may order anything of the sale at a moment.
    fn check_sale(&self, at: Timestamp, is_staff: bool) -> Result<(), Refusal> {
        self.check_window(at)?;
        let holds_up =
            |bar: &&Bar| bar.sku.is_none() && !(is_staff && matches!(bar.refusal, Refusal::Stopped(_)));
        if let Some(bar) = self.bars.iter().find(holds_up) {
            return Err(bar.refusal.clone());
        }
        if self.sale.status == SaleStatus::Paused {
            return Err(Refusal::Paused);
        }
        if self.sale.is_stopped && !is_staff {
            return Err(Refusal::Stopped("the sale".to_owned()));
        }
        Ok(())
    }

    /// The window counts by when an order arrived, whenever the schedule gets round to writing the new status down.
    fn check_window(&self, arrived_at: Timestamp) -> Result<(), Refusal> {
        let draft = &self.sale.draft;
        if arrived_at < draft.opens_at {
            let wait = draft.opens_at.duration_since(arrived_at);
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            return Err(Refusal::NotOpen { opens_in: Some(seconds) });
        }
        let is_over = arrived_at >= draft.closes_at
            || !matches!(self.sale.status, SaleStatus::Armed | SaleStatus::Open | SaleStatus::Paused);
        if is_over { Err(Refusal::NotOpen { opens_in: None }) } else { Ok(()) }
    }

    /// An order that is counted is on its way from now on.
    fn set_out(&mut self, order: OrderId) {
        if let Some(claim) = self.claims.get_mut(&order)
            && !std::mem::replace(&mut claim.is_on_its_way, true)
        {
            self.on_their_way += 1;
        }
    }

    /// An order is no longer on its way. Answers with its pieces, if it was.
    fn arrive(&mut self, order: OrderId) -> Option<u64> {
        let claim = self.claims.get_mut(&order)?;
        if !std::mem::take(&mut claim.is_on_its_way) {
            return None;
        }
        self.on_their_way -= 1;
        Some(claim.pieces.unsigned_abs())
    }

    /// An order is placed; says whether it was on its way until now.
    fn place(&mut self, order: OrderId) -> bool {
        let Some(pieces) = self.arrive(order) else { return false };
        self.tally.accepted += 1;
        self.tally.pieces += pieces;
        true
    }

    fn is_sku_stopped(&self, sku: &Sku) -> bool {
        self.sale.stopped_skus.contains(sku) || self.bars.iter().any(|bar| bar.sku.as_ref() == Some(sku))
    }

    fn check_skus(&self, arrival: &Arrival) -> Result<(), Refusal> {
        let stopped = arrival.lines.iter().find(|line| self.is_sku_stopped(&line.sku));
        match stopped {
            Some(line) => Err(Refusal::Stopped(line.sku.to_string())),
            None => Ok(()),
        }
    }

    /// Counts the pieces for everybody whom they count for; all of it or nothing. Answers with the claimants.
    fn claim(&mut self, arrival: &Arrival, rules: &GateRules) -> Result<Arc<str>, Refusal> {
        let terms = &self.sale.draft.terms;
        let lines: Vec<&Line> =
            arrival.lines.iter().filter(|line| self.sale.item(&line.sku).is_some()).collect();
        let pieces: i64 = lines.iter().map(|line| line.quantity.get()).sum();
        let mut konbini = Vec::new();
        if arrival.is_konbini {
            if !terms.konbini.allowed {
                return Err(Refusal::KonbiniNotAllowed);
            }
            for line in &lines {
                let allotment = self.sale.item(&line.sku).map_or(0, |item| item.allotment.get());
                let held = self.konbini.get(&line.sku).copied().unwrap_or(0);
                let most = self.sale.draft.konbini_pieces_max(allotment);
                if most.is_some_and(|most| held + line.quantity.get() > most) {
                    return Err(Refusal::KonbiniShareReached(line.sku.clone()));
                }
                konbini.push((line.sku.clone(), line.quantity.get()));
            }
        }
        let account = format!("{CUSTOMER}{}", arrival.customer);
        let unpaid = self.unpaid.get(&*account).copied().unwrap_or(0);
        let mut claimants = vec![account];
        claimants.extend(arrival.also_known_as.iter().map(|(kind, name)| rules.key.pseudonym(kind, name)));
        if let Some(limit) = terms.limit_per_customer {
            for claimant in &claimants {
                let would_be = self.pieces.get(&**claimant).copied().unwrap_or(0) + pieces;
                if would_be > limit {
                    return Err(Refusal::LimitReached { limit, pieces: would_be });
                }
            }
        }
        if let Some(most) = rules.unpaid_max.filter(|most| unpaid >= *most) {
            return Err(Refusal::TooManyUnpaid { most });
        }
        if terms.admission.mode != AdmissionMode::None {
            claimants.push(self.check_admission(arrival)?);
        }
        let mut text = claimants.join(" ");
        if arrival.is_konbini {
            text.push(' ');
            text.push_str(KONBINI);
        }
        let claimants = claimants.into_iter().map(Arc::from).collect();
        let claim = Claim { is_on_its_way: false, claimants, pieces, konbini, is_unpaid: true };
        self.count(arrival.order, claim);
        Ok(text.into())
    }

    /// An admission is for one customer and one live order.
    fn check_admission(&self, arrival: &Arrival) -> Result<String, Refusal> {
        let admission = arrival.admission.as_ref().ok_or(Refusal::NotAdmitted)?;
        let claimant = format!("{ADMISSION}{}", admission.number);
        let is_mine = admission.sale == self.sale.id
            && admission.customer == arrival.customer
            && admission.expires_at > arrival.arrived_at;
        let is_used = self.pieces.get(&*claimant).is_some_and(|pieces| *pieces > 0);
        if is_mine && !is_used { Ok(claimant) } else { Err(Refusal::NotAdmitted) }
    }

    fn count(&mut self, order: OrderId, claim: Claim) {
        for claimant in &claim.claimants {
            *self.pieces.entry(claimant.clone()).or_default() += claim.pieces;
        }
        for (sku, pieces) in &claim.konbini {
            *self.konbini.entry(sku.clone()).or_default() += pieces;
        }
        match self.claims.get_mut(&order) {
            // A second line of a reservation that is restored.
            Some(known) => {
                known.pieces += claim.pieces;
                known.konbini.extend(claim.konbini);
            }
            None => {
                if let Some(account) = claim.account().filter(|_| claim.is_unpaid) {
                    *self.unpaid.entry(account.clone()).or_default() += 1;
                }
                self.claims.insert(order, claim);
            }
        }
    }

    /// Answers with the ticket whose admission may be used again.
    fn give_back(&mut self, order: OrderId) -> Option<TicketNumber> {
        self.arrive(order);
        self.end_waiting(order);
        let claim = self.claims.remove(&order)?;
        let ticket = claim.claimants.iter().find_map(|claimant| ticket_of(claimant));
        for claimant in claim.claimants {
            if let Some(pieces) = self.pieces.get_mut(&claimant) {
                *pieces -= claim.pieces;
                if *pieces <= 0 {
                    self.pieces.remove(&claimant);
                }
            }
        }
        ticket
    }

    /// The payment of an order came, or will not.
    fn end_waiting(&mut self, order: OrderId) {
        let Some(claim) = self.claims.get_mut(&order) else { return };
        if std::mem::take(&mut claim.is_unpaid)
            && let Some(account) = claim.account()
            && let Some(orders) = self.unpaid.get_mut(account)
        {
            *orders -= 1;
            if *orders == 0 {
                self.unpaid.remove(account);
            }
        }
        for (sku, pieces) in claim.konbini.drain(..) {
            if let Some(held) = self.konbini.get_mut(&sku) {
                *held -= pieces;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::model::tests::sale;
    use super::*;
    use crate::types::Quantity;

    fn rules() -> GateRules {
        GateRules { key: PassKey::from_bytes(&[7; 32]).unwrap(), unpaid_max: Some(3) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn customer(number: u128) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn arrival(number: u128, pieces: i64, second: i64) -> Arrival {
        Arrival {
            order: OrderId::generate(),
            customer: customer(number),
            is_staff: false,
            lines: vec![Line { sku: "LAMP".parse().unwrap(), quantity: Quantity::new(pieces).unwrap() }],
            is_konbini: false,
            also_known_as: Vec::new(),
            device: None,
            admission: None,
            arrived_at: at(second),
        }
    }

    fn gates(change: impl FnOnce(&mut Sale)) -> (Gates, SaleId) {
        let mut gates = Gates::new(1, rules(), Paces::default());
        let mut sale = sale(SaleStatus::Open);
        change(&mut sale);
        let id = sale.id;
        gates.enter(sale);
        (gates, id)
    }

    fn gate(passed: Result<Option<Passage>, Refusal>) -> &'static str {
        match passed {
            Ok(Some(_)) => "passed",
            Ok(None) => "no sale",
            Err(refusal) => refusal.gate(),
        }
    }

    #[test]
    fn an_order_is_in_the_sale_by_when_it_arrived_and_not_by_when_that_was_written_down() {
        for status in [SaleStatus::Armed, SaleStatus::Open] {
            let (mut gates, _) = gates(|sale| sale.status = status);
            for (second, expected) in
                [(999, "sale-not-open"), (1_000, "passed"), (1_999, "passed"), (2_000, "sale-not-open")]
            {
                assert_eq!(gate(gates.pass(&arrival(second as u128, 1, second))), expected, "{second}");
            }
        }
        for (status, expected) in [
            (SaleStatus::Draft, "no sale"),
            (SaleStatus::Scheduled, "no sale"),
            (SaleStatus::Paused, "sale-paused"),
            (SaleStatus::Draining, "sale-not-open"),
            (SaleStatus::Closed, "sale-not-open"),
            (SaleStatus::Settled, "no sale"),
            (SaleStatus::Cancelled, "no sale"),
        ] {
            let (mut gates, _) = gates(|sale| sale.status = status);
            assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), expected, "{status:?}");
        }
    }

    #[test]
    fn switches_stop_customers_and_let_staff_pass() {
        let lamp: Sku = "LAMP".parse().unwrap();
        for turn_on in [
            &(|gates: &mut Gates, _| gates.set_stopped(true)) as &dyn Fn(&mut Gates, SaleId),
            // Turned on, and not written yet when it is looked at again.
            &|gates, _| {
                gates.bar_everything();
                gates.set_stopped(false);
            },
            &|gates, id| {
                gates.bar(id, Refusal::Stopped("the sale".to_owned()));
            },
            &|gates, id| {
                gates.bar_sku(id, &lamp);
            },
            &|gates, id| {
                let stopped = Sale { is_stopped: true, ..Sale::clone(gates.sale(id).unwrap()) };
                gates.enter(stopped);
            },
            &|gates, id| {
                let sale = Sale::clone(gates.sale(id).unwrap());
                gates.enter(Sale { stopped_skus: vec![lamp.clone()], ..sale });
            },
        ] {
            let (mut gates, id) = gates(|_| {});
            turn_on(&mut gates, id);
            assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "stopped");
            let staff = Arrival { is_staff: true, ..arrival(1, 1, 1_500) };
            assert_eq!(gate(gates.pass(&staff)), "passed");
        }
    }

    #[test]
    fn the_limit_counts_a_customer_by_every_name() {
        let (mut gates, id) = gates(|_| {});
        let by_phone = |number, phone: &str| Arrival {
            also_known_as: vec![("phone", phone.to_owned())],
            ..arrival(number, 1, 1_500)
        };
        let first = by_phone(1, "a");
        assert_eq!(gate(gates.pass(&first)), "passed");
        assert_eq!(gate(gates.pass(&by_phone(2, "a"))), "passed");
        assert_eq!(gate(gates.pass(&by_phone(3, "a"))), "limit-reached");
        assert_eq!(gate(gates.pass(&by_phone(1, "b"))), "passed");
        assert_eq!(gate(gates.pass(&by_phone(1, "c"))), "limit-reached");
        gates.give_back(id, first.order);
        gates.give_back(id, first.order);
        assert_eq!(gate(gates.pass(&by_phone(3, "a"))), "passed");
        assert_eq!(gate(gates.pass(&by_phone(4, "a"))), "limit-reached");
    }

    #[test]
    fn konbini_gets_its_share_and_gives_it_back_when_it_is_paid() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let konbini = |pieces| Arrival { is_konbini: true, ..arrival(1, pieces, 1_500) };
        let first = konbini(5);
        assert_eq!(gates.pass(&first).unwrap().unwrap().pay_within_seconds, 3_600);
        assert_eq!(gate(gates.pass(&konbini(1))), "konbini-share-reached");
        gates.paid(id, first.order);
        assert_eq!(gate(gates.pass(&konbini(5))), "passed");
        gates.give_back(id, first.order);
        assert_eq!(gate(gates.pass(&konbini(1))), "konbini-share-reached");
    }

    #[test]
    fn an_admission_is_for_one_customer_and_one_live_order() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.admission.mode = AdmissionMode::Queue);
        let with = |number, of: u128, sale| Arrival {
            admission: Some(Admission {
                sale,
                number: TicketNumber::new(7).unwrap(),
                customer: customer(of),
                expires_at: at(1_600),
            }),
            ..arrival(number, 1, 1_500)
        };
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "not-admitted");
        assert_eq!(gate(gates.pass(&with(1, 2, id))), "not-admitted");
        assert_eq!(gate(gates.pass(&with(1, 1, SaleId::generate()))), "not-admitted");
        let late = Arrival { arrived_at: at(1_600), ..with(1, 1, id) };
        assert_eq!(gate(gates.pass(&late)), "not-admitted");
        let first = with(1, 1, id);
        assert_eq!(gate(gates.pass(&first)), "passed");
        assert_eq!(gate(gates.pass(&with(1, 1, id))), "not-admitted");
        gates.give_back(id, first.order);
        assert_eq!(gate(gates.pass(&with(1, 1, id))), "passed");
    }

    #[test]
    fn uses_of_admissions_are_told_until_they_were_heard_of() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.admission.mode = AdmissionMode::Queue);
        let mut order = |number: u32| {
            let customer = customer(number.into());
            let number = TicketNumber::new(number).unwrap();
            let admission = Some(Admission { sale: id, number, customer, expires_at: at(1_600) });
            let arrival = Arrival { admission, ..arrival(number.get().into(), 1, 1_500) };
            let passage = gates.pass(&arrival).unwrap().unwrap();
            gates.confirm(&arrival, &passage).unwrap();
        };
        order(1);
        order(2);
        let told = |gates: &mut Gates, heard| {
            let (uses, heard, _) = gates.tell_admissions(heard, |_| None);
            (uses.iter().map(|used| used.number.get()).collect::<Vec<_>>(), heard)
        };
        let nothing = Heard::default();
        assert_eq!(told(&mut gates, nothing).0, [1, 2]);
        let (again, heard) = told(&mut gates, nothing);
        assert_eq!(again, [1, 2], "the answer was lost");
        assert_eq!(told(&mut gates, heard).0, [0; 0]);
        let mut later = Gates::new(2, rules(), Paces::default());
        assert_eq!(told(&mut later, heard).1, Heard { epoch: 2, uses: 0 });
    }

    #[test]
    fn two_sales_in_one_order_are_refused_and_other_lines_go_along() {
        let (mut gates, _) = gates(|_| {});
        let mut other = sale(SaleStatus::Open);
        other.draft.items[0].sku = "CHAIR".parse().unwrap();
        gates.enter(other);
        let line = |sku: &str| Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() };
        let mut both = arrival(1, 1, 1_500);
        both.lines.push(line("CHAIR"));
        assert_eq!(gate(gates.pass(&both)), "two-sales");
        both.lines[1] = line("TABLE");
        let passage = gates.pass(&both).unwrap().unwrap();
        assert_eq!(passage.prices, [("LAMP".parse().unwrap(), Money::yen(500).unwrap())]);
    }

    #[test]
    fn an_account_that_orders_too_fast_is_told_when_to_come_again() {
        let pacing = Pacing::new(Duration::from_secs(1), std::num::NonZeroU32::new(2).unwrap(), 1_000);
        let mut gates = Gates::new(1, rules(), Paces { accounts: Some(pacing), devices: None });
        gates.enter(sale(SaleStatus::Open));
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
        let refused = gates.pass(&arrival(1, 1, 1_500)).unwrap_err();
        assert_eq!(refused, Refusal::TooFast { retry_after: 1 });
        assert_eq!(gate(gates.pass(&arrival(2, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_502))), "limit-reached");
        let staff = Arrival { is_staff: true, ..arrival(2, 1, 1_500) };
        assert_eq!(gate(gates.pass(&staff)), "passed");
    }

    #[test]
    fn what_is_sold_is_counted_in_orders_and_in_pieces() {
        let (mut gates, id) = gates(|_| {});
        let two = arrival(1, 2, 1_500);
        let passage = gates.pass(&two).unwrap().unwrap();
        gates.end_second();
        gates.confirm(&two, &passage).unwrap();
        gates.placed(&two, passage.sale);
        gates.placed(&two, passage.sale);
        gates.end_second();
        let (tally, seconds) = gates.tally(id).unwrap();
        assert_eq!((tally.attempts, tally.accepted, tally.pieces), (1, 1, 2));
        assert_eq!(seconds.iter().map(|second| second.pieces).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_device_is_paced_whatever_accounts_it_has() {
        let pacing = || Pacing::new(Duration::from_secs(1), std::num::NonZeroU32::new(2).unwrap(), 1_000);
        let mut gates = Gates::new(1, rules(), Paces { accounts: Some(pacing()), devices: Some(pacing()) });
        gates.enter(sale(SaleStatus::Open));
        let on = |device: &str, number| Arrival {
            device: Some(device.parse().unwrap()),
            ..arrival(number, 1, 1_500)
        };
        assert_eq!(gate(gates.pass(&on("phone", 1))), "passed");
        assert_eq!(gate(gates.pass(&on("phone", 2))), "passed");
        assert_eq!(gate(gates.pass(&on("phone", 3))), "too-fast");
        assert_eq!(gate(gates.pass(&on("tablet", 3))), "passed");
        // Who names no device has one of their own.
        assert_eq!(gate(gates.pass(&arrival(3, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(3, 1, 1_500))), "too-fast");
        assert_eq!(gate(gates.pass(&arrival(4, 1, 1_500))), "passed");
        let staff = Arrival { is_staff: true, ..on("phone", 5) };
        assert_eq!(gate(gates.pass(&staff)), "passed");
        for text in ["", " ", "a b", "é", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<DeviceId>().is_err(), "{text:?}");
        }
        assert!("019b0f5e-2f1c-7a60-9d8e-3f5a7c1b2d4e".parse::<DeviceId>().is_ok());
    }

    #[test]
    fn an_account_has_few_orders_that_are_not_paid() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let orders: Vec<_> = (0..3).map(|_| arrival(1, 1, 1_500)).collect();
        for order in &orders {
            assert_eq!(gate(gates.pass(order)), "passed");
        }
        assert_eq!(gates.pass(&arrival(1, 1, 1_500)), Err(Refusal::TooManyUnpaid { most: 3 }));
        assert_eq!(gate(gates.pass(&arrival(2, 1, 1_500))), "passed");
        gates.paid(id, orders[0].order);
        gates.paid(id, orders[0].order);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "too-many-unpaid");
        gates.give_back(id, orders[1].order);
        // One that was paid and is cancelled gives no more back.
        gates.give_back(id, orders[0].order);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "too-many-unpaid");
    }

    #[test]
    fn what_is_held_at_a_new_beginning_is_not_paid_yet() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let claimed = |is_held| Claimed {
            reservation: OrderId::generate().into(),
            line: Line { sku: "LAMP".parse().unwrap(), quantity: Quantity::new(1).unwrap() },
            is_held,
            claimants: vec![format!("{CUSTOMER}{}", customer(1))],
        };
        gates.restore(id, &[claimed(true), claimed(true), claimed(false)]);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "too-many-unpaid");
    }

    #[test]
    fn a_bar_stays_whatever_else_changes_and_is_lifted_by_who_set_it() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let (lamp, ghost): (Sku, Sku) = ("LAMP".parse().unwrap(), "GHOST".parse().unwrap());
        let paused = gates.bar(id, Refusal::Paused);
        let changed = Sale { version: 9, ..Sale::clone(gates.sale(id).unwrap()) };
        gates.enter(changed);
        gates.bar_sku(id, &ghost);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "sale-paused");
        let killed = gates.bar(id, Refusal::Stopped("the sale".to_owned()));
        gates.lift(id, paused);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "stopped");
        let of_sku = gates.bar_sku(id, &lamp);
        gates.lift(id, killed);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "stopped");
        gates.lift(id, of_sku);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
    }

    #[test]
    fn what_is_resumed_lifts_the_bars_before_it_and_no_other() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let lamp: Sku = "LAMP".parse().unwrap();
        gates.bar_sku(id, &lamp);
        gates.bar(id, Refusal::Paused);
        gates.bar(id, Refusal::Stopped("the sale".to_owned()));
        let last = gates.last_bar();
        assert_eq!(gates.halts(id), [Halt::Pause, Halt::Kill]);
        gates.lift_of_sale(id, Halt::Pause, last);
        assert_eq!(gates.sales[&id].bars.len(), 2, "the kill's stays, and so does the SKU's");
        assert_eq!(gates.halts(id), [Halt::Kill]);
        gates.lift_of_sale(id, Halt::Kill, last);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "stopped");
        // Killed once more while that is resumed.
        gates.bar_sku(id, &lamp);
        gates.lift_of_sku(id, &lamp, last);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "stopped");
        let last = gates.last_bar();
        gates.lift_of_sku(id, &lamp, last);
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
    }

    #[test]
    fn refusals_that_could_not_be_written_join_those_that_came_meanwhile() {
        let (mut gates, id) = gates(|_| {});
        gates.refuse(id, customer(1), Refusal::Paused.gate());
        gates.refuse(id, customer(1), Refusal::SoldOut.gate());
        let unwritten = gates.take_refusals();
        gates.refuse(id, customer(1), Refusal::Paused.gate());
        gates.keep_refusals(unwritten.clone());
        let again = gates.take_refusals();
        assert_eq!(again.len(), 2);
        for (_, _, before) in unwritten {
            let (_, _, now) = again.iter().find(|(_, _, now)| now.gate == before.gate).unwrap();
            assert_eq!(now.count, if before.gate == "sale-paused" { 2 } else { 1 });
            assert_eq!(now.first_at, before.first_at);
            assert!(now.last_at >= before.last_at);
        }
        assert!(gates.take_refusals().is_empty());
    }

    #[test]
    fn an_older_state_of_a_sale_changes_nothing() {
        let (mut gates, id) = gates(|sale| sale.version = 5);
        let known = Sale::clone(gates.sale(id).unwrap());
        gates.enter(Sale { status: SaleStatus::Closed, version: 4, ..known.clone() });
        assert_eq!(gates.sale(id).unwrap().status, SaleStatus::Open);
        gates.enter(Sale { status: SaleStatus::Closed, version: 6, ..known });
        assert_eq!(gates.sale(id).unwrap().status, SaleStatus::Closed);
    }

    #[test]
    fn what_passed_in_an_earlier_life_is_counted_when_it_is_confirmed() {
        let (mut earlier, _) = gates(|_| {});
        let (first, second) = (arrival(1, 2, 1_500), arrival(1, 2, 1_500));
        let passage = earlier.pass(&first).unwrap().unwrap();
        let mut gates = Gates::new(2, rules(), Paces::default());
        gates.enter(Sale::clone(earlier.sale(passage.sale).unwrap()));

        assert_eq!(gate(gates.pass(&second)), "passed");

        assert!(matches!(gates.confirm(&first, &passage), Err(Refusal::LimitReached { .. })));
        gates.give_back(passage.sale, second.order);
        assert_eq!(gates.confirm(&first, &passage), Ok(()));
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "limit-reached");
    }

    #[test]
    fn what_was_read_again_when_half_of_it_was_set_aside_is_counted_whole() {
        let (mut earlier, id) = gates(|_| {});
        let order = arrival(1, 2, 1_500);
        let passage = earlier.pass(&order).unwrap().unwrap();
        let mut gates = Gates::new(2, rules(), Paces::default());
        gates.enter(Sale::clone(earlier.sale(id).unwrap()));
        let half = Claimed {
            reservation: order.order.into(),
            line: Line { quantity: Quantity::new(1).unwrap(), ..order.lines[0].clone() },
            is_held: true,
            claimants: passage.claimants.split(' ').map(str::to_owned).collect(),
        };
        gates.restore(id, &[half]);

        assert_eq!(gates.confirm(&order, &passage), Ok(()));

        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "limit-reached");
        gates.give_back(id, order.order);
        assert_eq!(gate(gates.pass(&arrival(1, 2, 1_500))), "passed");
    }

    #[test]
    fn a_bar_that_stays_is_told_and_goes_when_the_sale_is_resumed() {
        let (mut gates, id) = gates(|sale| sale.status = SaleStatus::Armed);
        let lamp: Sku = "LAMP".parse().unwrap();
        gates.bar(id, Refusal::NotOpen { opens_in: None });
        gates.bar_sku(id, &lamp);
        assert_eq!(gates.unwritten(id), Unwritten::default(), "it may be written at this moment");
        for bar in &mut gates.sales.get_mut(&id).unwrap().bars {
            bar.set_at -= 2 * SECOND;
        }
        assert_eq!(gates.unwritten(id), Unwritten { is_of_sale: true, skus: vec![lamp.clone()] });

        assert_eq!(gates.halts(id), [Halt::Kill]);
        gates.lift_of_sale(id, Halt::Kill, gates.last_bar());
        gates.lift_of_sku(id, &lamp, gates.last_bar());

        assert_eq!(gates.unwritten(id), Unwritten::default());
        assert_eq!(gate(gates.pass(&arrival(1, 1, 1_500))), "passed");
    }

    proptest! {
        #[test]
        fn nobody_ever_has_more_than_the_limit(
            steps in prop::collection::vec((0..4u128, 1..3i64, any::<bool>(), 0..20usize), 1..200)
        ) {
            let (mut gates, id) = gates(|_| {});
            let mut live: Vec<(OrderId, u128, i64)> = Vec::new();
            for (number, pieces, comes_back, which) in steps {
                if comes_back && !live.is_empty() {
                    let (order, ..) = live.swap_remove(which % live.len());
                    gates.give_back(id, order);
                } else {
                    let arrival = arrival(number, pieces, 1_500);
                    let has: i64 =
                        live.iter().filter(|(_, of, _)| *of == number).map(|(_, _, pieces)| pieces).sum();
                    let passed = gates.pass(&arrival).is_ok();
                    prop_assert_eq!(passed, has + pieces <= 2);
                    if passed {
                        live.push((arrival.order, number, pieces));
                    }
                }
            }
        }
    }
}
