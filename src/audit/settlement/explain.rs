//! Explains the state of an order of a sale: its status, its payment and its reservation must be consistent.

/// The recorded state of an order.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderFacts<'a> {
    pub status: &'a str,
    pub payment: &'a str,
    /// Its stock has followed its status.
    pub is_settled: bool,
    /// It changed so recently that its stock may still have to follow.
    pub is_recent: bool,
}

/// The recorded state of one of its lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineFacts<'a> {
    pub sku: &'a str,
    pub quantity: i64,
    pub unit_price: i64,
    pub sale_price: i64,
    /// Pieces and state of the reservation, and whether it belongs to this sale.
    pub reservation: Option<(i64, &'a str, bool)>,
}

/// Whether the state is explained, with the reason or the contradiction.
pub(super) fn explain(order: OrderFacts<'_>, lines: &[LineFacts<'_>]) -> (bool, String) {
    match contradiction(order, lines) {
        Some(contradiction) => (false, contradiction),
        None => (true, reason(order, lines).to_owned()),
    }
}

fn is_behind(order: OrderFacts<'_>) -> bool {
    !order.is_settled && order.is_recent
}

fn contradiction(order: OrderFacts<'_>, lines: &[LineFacts<'_>]) -> Option<String> {
    if lines.is_empty() {
        return Some("it has no line of this sale".to_owned());
    }
    let payments: &[&str] = match order.status {
        "awaiting_payment" => &["pending"],
        "confirmed" => &["captured"],
        // Paid and refunded, or never paid.
        "cancelled" => &["cancelled", "refunded"],
        // Never paid, or paid too late and refunded.
        "expired" => &["cancelled", "refunded"],
        other => return Some(format!("{other} is not a status of an order")),
    };
    if !payments.contains(&order.payment) {
        return Some(format!("the order is {} and its payment is {}", order.status, order.payment));
    }
    lines.iter().find_map(|line| contradiction_in_line(order, line))
}

fn contradiction_in_line(order: OrderFacts<'_>, line: &LineFacts<'_>) -> Option<String> {
    let LineFacts { sku, quantity, unit_price, sale_price, reservation } = *line;
    if unit_price != sale_price {
        return Some(format!("{sku} was sold at ¥{unit_price}, and its price in the sale is ¥{sale_price}"));
    }
    let Some((reserved, state, is_of_sale)) = reservation else {
        return Some(format!("{quantity} of {sku} were ordered and nothing was set aside"));
    };
    if reserved != quantity {
        return Some(format!("{quantity} of {sku} were ordered and {reserved} set aside"));
    }
    if !is_of_sale {
        return Some(format!("{sku} was set aside from other stock than the sale's"));
    }
    let agrees = match order.status {
        "awaiting_payment" => state == "held",
        "confirmed" => state == "committed" || is_behind(order),
        _ => matches!(state, "released" | "expired") || is_behind(order),
    };
    (!agrees).then(|| format!("the order is {} and its pieces of {sku} are {state}", order.status))
}

fn reason(order: OrderFacts<'_>, lines: &[LineFacts<'_>]) -> &'static str {
    let all = |states: &[&str]| {
        lines.iter().all(|line| line.reservation.is_some_and(|(_, state, _)| states.contains(&state)))
    };
    match (order.status, order.payment) {
        ("awaiting_payment", _) => "its pieces are held for the payment",
        ("confirmed", _) if all(&["committed"]) => "paid, and its pieces are sold",
        ("confirmed", _) => "paid a moment ago; its pieces are about to be sold",
        _ if !all(&["released", "expired"]) => "it ended a moment ago; its pieces are about to come back",
        ("expired", "refunded") => "paid after its time and refunded; its pieces came back",
        ("expired", _) => "not paid in time; its pieces came back",
        (_, "refunded") => "paid, cancelled and refunded; its pieces came back",
        _ => "cancelled before it was paid; its pieces came back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(state: &str) -> LineFacts<'_> {
        let reservation = Some((2, state, true));
        LineFacts { sku: "LAMP", quantity: 2, unit_price: 500, sale_price: 500, reservation }
    }

    fn is_explained(status: &str, payment: &str, is_settled: bool, is_recent: bool, state: &str) -> bool {
        explain(OrderFacts { status, payment, is_settled, is_recent }, &[line(state)]).0
    }

    #[test]
    fn only_consistent_statuses_payments_and_reservations_are_explained() {
        let consistent = [
            ("awaiting_payment", "pending", "held"),
            ("confirmed", "captured", "committed"),
            ("cancelled", "cancelled", "released"),
            ("cancelled", "cancelled", "expired"),
            ("cancelled", "refunded", "released"),
            ("cancelled", "refunded", "expired"),
            ("expired", "cancelled", "released"),
            ("expired", "cancelled", "expired"),
            ("expired", "refunded", "released"),
            ("expired", "refunded", "expired"),
        ];
        for status in ["awaiting_payment", "confirmed", "cancelled", "expired", "lost"] {
            for payment in ["pending", "captured", "cancelled", "refunded"] {
                for state in ["held", "committed", "released", "expired"] {
                    let expected = consistent.contains(&(status, payment, state));
                    for (is_settled, is_recent) in [(true, true), (true, false), (false, false)] {
                        let is = is_explained(status, payment, is_settled, is_recent, state);
                        assert_eq!(is, expected, "{status} {payment} {state}");
                    }
                }
            }
        }
        // Shortly after a change the stock may still have to follow.
        assert!(is_explained("confirmed", "captured", false, true, "held"));
        assert!(is_explained("cancelled", "refunded", false, true, "committed"));
        assert!(!is_explained("awaiting_payment", "pending", false, true, "released"));
    }

    #[test]
    fn a_line_without_its_pieces_or_at_another_price_is_not_explained() {
        let paid =
            OrderFacts { status: "confirmed", payment: "captured", is_settled: true, is_recent: false };
        let sold = line("committed");
        for (lines, expected) in [
            (vec![], "no line"),
            (vec![sold, LineFacts { reservation: None, ..sold }], "nothing was set aside"),
            (vec![LineFacts { quantity: 3, ..sold }], "3 of LAMP were ordered and 2 set aside"),
            (vec![LineFacts { unit_price: 400, ..sold }], "¥400"),
            (vec![LineFacts { reservation: Some((2, "committed", false)), ..sold }], "other stock"),
        ] {
            let (is_explained, reason) = explain(paid, &lines);
            assert!(!is_explained && reason.contains(expected), "{reason}");
        }
    }
}
