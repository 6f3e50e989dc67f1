//! Tests of the state table, of allotments, and that no sequence of commands promises a piece twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::actors::inventory::InventoryError;
use crate::actors::runtime::entity::Recalled;
use crate::types::{Quantity, ReservationId, SaleId};

const LATER: i64 = 4_000_000_000;

fn lamp(on_hand: i64) -> SkuStock {
    let stock = Stock { on_hand, ..Stock::default() };
    SkuStock::new("LAMP".parse().unwrap(), Figures { stock, allotment: None })
}

fn id(number: u128) -> ReservationId {
    ReservationId::from_uuid(uuid::Uuid::from_u128(number))
}

fn reserve(number: u128, pieces: i64) -> Command {
    Command::Reserve {
        id: id(number),
        quantity: Quantity::new(pieces).unwrap(),
        lines: 1,
        purpose: Purpose::Order,
        expires_at: Timestamp::from_second(LATER).unwrap(),
        sale: None,
        id_is_new: false,
    }
}

fn sale(number: u128) -> SaleId {
    SaleId::from_uuid(uuid::Uuid::from_u128(number))
}

fn for_sale(number: u128, pieces: i64, of: u128) -> Command {
    let mut command = reserve(number, pieces);
    if let Command::Reserve { sale: claim, .. } = &mut command {
        *claim = Some(SaleClaim { sale: sale(of), claimants: "customer:1".into() });
    }
    command
}

fn allot(number: u128, pieces: i64) -> Command {
    Command::Allot { sale: sale(number), pieces: Quantity::new(pieces).unwrap() }
}

fn resize(number: u128, pieces: i64, expected: i64) -> Command {
    let (pieces, expected) = (Quantity::new(pieces).unwrap(), Quantity::new(expected).unwrap());
    Command::ResizeAllotment { sale: sale(number), pieces, expected }
}

#[test]
fn an_allotment_serves_its_sale_alone_and_never_falls_below_its_promises() {
    use crate::error::Fault as _;
    let mut stock = lamp(10);
    let mut code = |command: &Command| match execute(&mut stock, command) {
        Ok(Decision::Change(..)) => "done",
        Ok(_) => "unchanged",
        Err(refusal) => refusal.code(),
    };
    for (command, expected) in [
        (for_sale(1, 1, 1), "not-allotted"),
        (allot(1, 11), "too-few-to-allot"),
        (allot(1, 8), "done"),
        (allot(1, 8), "unchanged"),
        (allot(1, 7), "allotment-differs"),
        (allot(2, 1), "allotted-elsewhere"),
        // Two pieces are left in general stock.
        (reserve(2, 3), "out-of-stock"),
        (reserve(2, 2), "done"),
        (for_sale(3, 9, 1), "sold-out"),
        (for_sale(3, 8, 1), "done"),
        (for_sale(4, 1, 1), "sold-out"),
        (resize(1, 7, 8), "below-promised"),
        (resize(1, 9, 8), "too-few-to-allot"),
        (release(3, false), "done"),
        (resize(1, 7, 9), "allotment-differs"),
        (resize(1, 7, 8), "done"),
        (resize(1, 7, 8), "unchanged"),
        (for_sale(5, 4, 1), "done"),
        (Command::CloseAllotment { sale: sale(1) }, "done"),
        (Command::CloseAllotment { sale: sale(1) }, "unchanged"),
        (for_sale(6, 1, 1), "not-allotted"),
        // Pieces that were held for the closed sale go back to general stock.
        (reserve(7, 5), "out-of-stock"),
        (release(5, false), "done"),
        (reserve(7, 8), "done"),
    ] {
        assert_eq!(code(&command), expected, "{command:?}");
    }
    assert_eq!(stock.stock().available(), 0);
}

fn commit(number: u128, even_if_expired: bool) -> Command {
    Command::Commit { id: id(number), even_if_expired }
}

fn release(number: u128, even_if_committed: bool) -> Command {
    Command::Release { id: id(number), even_if_committed, has_expired: false }
}

fn give_up(number: u128) -> Command {
    Command::Release { id: id(number), even_if_committed: true, has_expired: true }
}

fn expire(number: u128, second: i64) -> Command {
    Command::Expire { id: id(number), now: Timestamp::from_second(second).unwrap() }
}

/// Decides and applies, with an empty database to recall from.
fn execute(stock: &mut SkuStock, command: &Command) -> Result<Decision, InventoryError> {
    let decision = stock.decide(command, Recalled::Absent)?;
    if let Decision::Change(change, _) = &decision {
        stock.apply(change, Instant::now());
    }
    Ok(decision)
}

/// A stock of 10 pieces with one reservation of 3 pieces in the given state.
fn with_reservation(state: Option<ReservationState>) -> SkuStock {
    let mut stock = lamp(10);
    if state.is_some() {
        execute(&mut stock, &reserve(1, 3)).unwrap();
    }
    match state {
        None | Some(ReservationState::Held) => {}
        Some(ReservationState::Committed) => drop(execute(&mut stock, &commit(1, false)).unwrap()),
        Some(ReservationState::Released) => drop(execute(&mut stock, &release(1, false)).unwrap()),
        Some(ReservationState::Expired) => drop(execute(&mut stock, &expire(1, LATER)).unwrap()),
    }
    stock
}

/// The result of a command: on hand and reserved after it, or the code of the refusal.
type Outcome = Result<(i64, i64), &'static str>;

fn outcome(state: Option<ReservationState>, command: &Command) -> Outcome {
    use crate::error::Fault as _;
    let mut stock = with_reservation(state);
    let before = stock.stock();
    match execute(&mut stock, command) {
        Ok(Decision::Change(..)) => Ok((stock.stock().on_hand, stock.stock().reserved)),
        Ok(_) => {
            assert_eq!(stock.stock(), before);
            Err("unchanged")
        }
        Err(refusal) => {
            assert_eq!(stock.stock(), before);
            Err(refusal.code())
        }
    }
}

#[test]
fn each_command_changes_each_state_as_the_table_says() {
    use ReservationState::*;
    let states = [None, Some(Held), Some(Committed), Some(Released), Some(Expired)];
    let table: [(Command, [Outcome; 5]); 8] = [
        (
            reserve(1, 3),
            [
                Ok((10, 3)),
                Err("unchanged"),
                Err("unchanged"),
                Err("reservation-ended"),
                Err("reservation-ended"),
            ],
        ),
        (
            reserve(1, 4),
            [
                Ok((10, 4)),
                Err("reservation-differs"),
                Err("reservation-differs"),
                Err("reservation-differs"),
                Err("reservation-differs"),
            ],
        ),
        (
            commit(1, false),
            [
                Err("unknown-reservation"),
                Ok((7, 0)),
                Err("unchanged"),
                Err("reservation-ended"),
                Err("reservation-ended"),
            ],
        ),
        (
            commit(1, true),
            [Err("unknown-reservation"), Ok((7, 0)), Err("unchanged"), Err("reservation-ended"), Ok((7, 0))],
        ),
        (
            release(1, false),
            [
                Err("unknown-reservation"),
                Ok((10, 0)),
                Err("reservation-committed"),
                Err("unchanged"),
                Err("unchanged"),
            ],
        ),
        (
            release(1, true),
            [Err("unknown-reservation"), Ok((10, 0)), Ok((10, 0)), Err("unchanged"), Err("unchanged")],
        ),
        (
            expire(1, LATER),
            [Err("unchanged"), Ok((10, 0)), Err("unchanged"), Err("unchanged"), Err("unchanged")],
        ),
        (
            expire(1, LATER - 1),
            [Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged")],
        ),
    ];
    for (command, expected) in table {
        for (state, expected) in states.into_iter().zip(expected) {
            assert_eq!(outcome(state, &command), expected, "{command:?} when {state:?}");
        }
    }
}

#[test]
fn a_hold_that_is_not_remembered_is_recalled_before_the_decision() {
    let stock = lamp(10);
    for command in [reserve(1, 3), commit(1, false), release(1, false), expire(1, LATER)] {
        let decision = stock.decide(&command, Recalled::NotAsked).unwrap();
        assert!(matches!(decision, Decision::Recall(recalled) if recalled == id(1)), "{command:?}");
    }
}

#[test]
fn a_remembered_hold_wins_over_a_recalled_one() {
    let mut stock = with_reservation(Some(ReservationState::Committed));
    let quantity = Quantity::new(3).unwrap();
    let expires_at = Timestamp::from_second(LATER).unwrap();
    let committed =
        Recalled::Found(Hold { quantity, state: ReservationState::Committed, expires_at, sale: None });
    for returned in [true, false] {
        let decision = stock.decide(&release(1, true), committed).unwrap();
        assert_eq!(matches!(decision, Decision::Change(..)), returned, "pieces come back once");
        if let Decision::Change(change, _) = decision {
            stock.apply(&change, Instant::now());
        }
    }
    assert_eq!(stock.stock().on_hand, 10);
}

#[test]
fn an_adjustment_below_the_promised_pieces_is_refused() {
    let mut stock = with_reservation(Some(ReservationState::Held));
    let adjust = |delta, expected_version| Command::Adjust {
        delta,
        reason: "count".to_owned(),
        reference: "1".to_owned(),
        expected_version,
    };
    assert!(matches!(execute(&mut stock, &adjust(-8, None)), Err(InventoryError::BelowReserved { .. })));
    assert!(matches!(
        execute(&mut stock, &adjust(-7, Some(0))),
        Err(InventoryError::VersionDiffers { actual: 1, .. })
    ));
    execute(&mut stock, &adjust(-7, Some(1))).unwrap();
    assert_eq!(stock.stock(), Stock { on_hand: 3, reserved: 3, allotted: 0, version: 2 });
    assert!(matches!(execute(&mut stock, &adjust(i64::MAX, None)), Err(InventoryError::TooMany { .. })));
}

#[test]
fn ended_holds_are_forgotten_after_a_while() {
    let mut stock = with_reservation(Some(ReservationState::Released));
    let later = Instant::now() + REMEMBER_ENDED_FOR + Duration::from_secs(1);
    let Decision::Change(change, _) = stock.decide(&reserve(2, 1), Recalled::Absent).unwrap() else {
        panic!()
    };
    stock.apply(&change, later);
    assert_eq!(stock.holds.counts(), (1, 0));
}

fn any_command() -> impl Strategy<Value = Command> {
    let ids = 0..6u128;
    prop_oneof![
        (ids.clone(), 1..5i64).prop_map(|(number, pieces)| reserve(number, pieces)),
        (ids.clone(), any::<bool>()).prop_map(|(number, ended)| commit(number, ended)),
        (ids.clone(), any::<bool>()).prop_map(|(number, committed)| release(number, committed)),
        ids.clone().prop_map(give_up),
        (ids.clone(), LATER - 1..LATER + 1).prop_map(|(number, second)| expire(number, second)),
        (ids.clone(), 1..5i64, 1..3u128).prop_map(|(number, pieces, sale)| for_sale(number, pieces, sale)),
        (1..3u128, 1..9i64).prop_map(|(number, pieces)| Command::Allot {
            sale: sale(number),
            pieces: Quantity::new(pieces).unwrap()
        }),
        (1..3u128, 1..9i64, 1..9i64).prop_map(|(number, pieces, expected)| Command::ResizeAllotment {
            sale: sale(number),
            pieces: Quantity::new(pieces).unwrap(),
            expected: Quantity::new(expected).unwrap(),
        }),
        (1..3u128).prop_map(|number| Command::CloseAllotment { sale: sale(number) }),
        (1..10i64).prop_map(|pieces| Command::Receive {
            quantity: Quantity::new(pieces).unwrap(),
            reference: String::new()
        }),
        (-10..10i64).prop_map(|delta| Command::Adjust {
            delta,
            reason: String::new(),
            reference: String::new(),
            expected_version: None
        }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_makes_stock_negative_or_promises_a_piece_twice(
        commands in prop::collection::vec(any_command(), 1..200)
    ) {
        let mut stock = lamp(7);
        let mut ledger = Stock { on_hand: 7, ..Stock::default() };
        let mut parts: HashMap<SaleId, Allotment> = HashMap::new();
        for command in &commands {
            // A closed allotment is never made again: its row is unique in the database.
            if let Command::Allot { sale, .. } = command
                && parts.get(sale).is_some_and(|part| part.is_closed)
            {
                continue;
            }
            if let Ok(Decision::Change(change, _)) = execute(&mut stock, command) {
                ledger.on_hand += change.on_hand_delta;
                ledger.reserved += change.reserved_delta;
                ledger.allotted += change.allotted_delta();
                ledger.version += 1;
                if let Some(moved) = change.allotment {
                    match parts.get_mut(&moved.sale) {
                        Some(part) => *part = part.after(&moved),
                        None => drop(parts.insert(moved.sale, Allotment::of(moved.sale, moved.allotment))),
                    }
                }
            }
            let figures = stock.stock();
            prop_assert_eq!(figures, ledger);
            prop_assert!(figures.on_hand >= 0 && figures.reserved >= 0 && figures.available() >= 0);
            prop_assert!(figures.allotted >= 0);
            prop_assert_eq!(figures.allotted, parts.values().filter(|part| !part.is_closed).map(Allotment::remaining).sum::<i64>());
            for part in parts.values() {
                let of_sale = |state| -> i64 {
                    let holds = stock.holds.iter().filter(|hold| hold.sale == Some(part.sale));
                    holds.filter(|hold| hold.state == state).map(|hold| hold.quantity.get()).sum()
                };
                prop_assert_eq!((part.held, part.sold), (of_sale(ReservationState::Held), of_sale(ReservationState::Committed)));
                prop_assert_eq!(part.expired, of_sale(ReservationState::Expired));
                prop_assert!(part.returned >= 0 && part.remaining() >= 0 && (part.remaining() == 0 || !part.is_closed));
            }
            let held: i64 = stock
                .holds
                .iter()
                .filter(|hold| hold.state == ReservationState::Held)
                .map(|hold| hold.quantity.get())
                .sum();
            prop_assert_eq!(held, figures.reserved);
        }
    }
}
