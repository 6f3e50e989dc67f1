//! Rules of pace: how fast the orders of one account, and of one device, may come.

use super::request::QuotaRequest;
use crate::actors::waiting_room::{Pacing, RetryAfter};

/// The pace of accounts and of devices; `None` sets no pace.
#[derive(Default)]
pub struct Paces {
    pub accounts: Option<Pacing>,
    pub devices: Option<Pacing>,
}

impl Paces {
    pub(super) fn allow(&mut self, request: &QuotaRequest) -> Result<(), RetryAfter> {
        let at = request.arrived_at;
        // A customer who names no device has one of their own, whose pace is the account's.
        if let (Some(devices), Some(device)) = (&mut self.devices, &request.device) {
            devices.allow(device, at)?;
        }
        self.accounts.as_mut().map_or(Ok(()), |accounts| accounts.allow(request.customer, at))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::super::super::model::SaleStatus;
    use super::super::super::model::tests::sale;
    use super::super::tests::{gate, request, rules, try_hold};
    use super::super::{Gates, Refusal};
    use super::*;

    fn pacing() -> Pacing {
        Pacing::new(Duration::from_secs(1), NonZeroU32::new(2).unwrap(), 1_000)
    }

    #[test]
    fn an_account_that_orders_too_fast_is_told_when_to_come_again() {
        let mut gates = Gates::new(1, rules(), Paces { accounts: Some(pacing()), devices: None });
        gates.enter(sale(SaleStatus::Open));
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
        let refused = try_hold(&mut gates, &request(1, 1, 1_500)).unwrap_err();
        assert_eq!(refused, Refusal::TooFast { retry_after: 1 });
        assert_eq!(gate(try_hold(&mut gates, &request(2, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_502))), "limit-reached");
        let staff = QuotaRequest { is_staff: true, ..request(2, 1, 1_500) };
        assert_eq!(gate(try_hold(&mut gates, &staff)), "held");
    }

    #[test]
    fn a_device_is_paced_whatever_accounts_it_has() {
        let mut gates = Gates::new(1, rules(), Paces { accounts: Some(pacing()), devices: Some(pacing()) });
        gates.enter(sale(SaleStatus::Open));
        let on = |device: &str, number| QuotaRequest {
            device: Some(device.parse().unwrap()),
            ..request(number, 1, 1_500)
        };
        assert_eq!(gate(try_hold(&mut gates, &on("phone", 1))), "held");
        assert_eq!(gate(try_hold(&mut gates, &on("phone", 2))), "held");
        assert_eq!(gate(try_hold(&mut gates, &on("phone", 3))), "too-fast");
        assert_eq!(gate(try_hold(&mut gates, &on("tablet", 3))), "held");
        // A customer who names no device has one of their own.
        assert_eq!(gate(try_hold(&mut gates, &request(3, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(3, 1, 1_500))), "too-fast");
        assert_eq!(gate(try_hold(&mut gates, &request(4, 1, 1_500))), "held");
        let staff = QuotaRequest { is_staff: true, ..on("phone", 5) };
        assert_eq!(gate(try_hold(&mut gates, &staff)), "held");
    }
}
