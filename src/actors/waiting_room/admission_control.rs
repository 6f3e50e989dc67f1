//! Rules of how many waiting customers are admitted now: no more than the shop can serve, and than there are pieces for.
//!
//! The rate is fixed, or found by additive increase and multiplicative decrease: a step more for every second in which
//! orders are answered in time, less by a constant part for every second in which they are not. Chiu and Jain
//! ("Analysis of the increase and decrease algorithms for congestion avoidance in computer networks", 1989) show that
//! of all linear rules this is the one that converges to what can be served; it is how TCP shares a link.
//!
//! An admitted customer orders a while later, so a rate shows its effect late. The bound on outstanding admissions is
//! what holds in the meantime.

use std::time::Duration;

use jiff::Timestamp;

use super::model::OrderLoad;

/// A second with too late answers or too many waiting messages leaves so much of the rate.
const DECREASE: f64 = 0.7;
/// So many good seconds lead from the least rate to the most.
const STEPS: f64 = 20.0;
/// Mean age of what the recent rate is made of.
const RECENT_SECONDS: f64 = 10.0;
/// From fewer seconds than these no rate is concluded.
const SEEN_SECONDS_MIN: f64 = 1.0;
/// A longer wait than this is not an estimate any more.
const ESTIMATE_SECONDS_MAX: f64 = 86_400.0;

/// Admissions per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionRate {
    /// Always this many.
    Fixed(u32),
    /// Begins with the least and is steered between the two.
    Automatic { least: u32, most: u32 },
}

/// What an [`AdmissionControl`] goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdmissionPolicy {
    /// How fast to let in.
    pub rate: AdmissionRate,
    /// An order's answer takes too long when 1 of 100 takes longer than this.
    pub latency_target: Duration,
    /// More messages than these must not wait in the mailbox of orders.
    pub depth_max: u32,
    /// How many admissions may be outstanding for each piece that is left: more than 1, as not everybody buys.
    pub admissions_per_piece: f64,
}

/// Who wants in, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Those who could be let in.
    pub waiting: u32,
    /// Admissions neither used nor lapsed.
    pub outstanding: u32,
    /// Pieces that can still be promised.
    pub remaining_pieces: u64,
}

/// Opens the doors as far as its policy allows.
#[derive(Debug)]
pub struct AdmissionControl {
    policy: AdmissionPolicy,
    /// Per second.
    rate: f64,
    began: Timestamp,
    /// Begin of the second that is being load.
    observed_since: Timestamp,
    /// Whether anything in it was too late or too much.
    was_congested: bool,
    /// Whether a customer had to wait for the rate alone during it.
    was_short: bool,
    tokens: f64,
    refilled_at: Timestamp,
    /// Admissions, of which older ones count less and less.
    recent: f64,
}

impl AdmissionControl {
    /// Begins with closed doors: the first second gives the first admissions.
    pub fn new(policy: AdmissionPolicy, now: Timestamp) -> Self {
        let rate = match policy.rate {
            AdmissionRate::Fixed(rate) => rate,
            AdmissionRate::Automatic { least, .. } => least,
        };
        Self {
            policy,
            rate: f64::from(rate),
            began: now,
            observed_since: now,
            was_congested: false,
            was_short: false,
            tokens: 0.0,
            refilled_at: now,
            recent: 0.0,
        }
    }

    /// Tells how the orders are doing, as often as is known; the rate changes once a second, by the worst in it.
    ///
    /// It grows only when it was what kept customers waiting: else it would have grown to the most by the time that
    /// everybody comes, without anybody having tried whether the shop bears it.
    pub fn observe(&mut self, now: Timestamp, load: OrderLoad) {
        let AdmissionRate::Automatic { least, most } = self.policy.rate else { return };
        self.was_congested |= load.depth > self.policy.depth_max
            || load.latency_p99.is_some_and(|latency| latency > self.policy.latency_target);
        if seconds_between(self.observed_since, now) < 1.0 {
            return;
        }
        let (least, most) = (f64::from(least), f64::from(most.max(least)));
        if self.was_congested {
            self.rate *= DECREASE;
        } else if self.was_short {
            self.rate += ((most - least) / STEPS).max(1.0);
        }
        self.rate = self.rate.clamp(least, most);
        self.observed_since = now;
        self.was_congested = false;
        self.was_short = false;
    }

    /// How many to let in now; the caller lets in exactly so many.
    ///
    /// Never more than wait, than the rate gave since the last time (of a pause, one second counts), and than keep
    /// the outstanding admissions within the remaining pieces times `admissions_per_piece`, rounded up.
    pub fn grant(&mut self, now: Timestamp, demand: Demand) -> u32 {
        let elapsed = seconds_between(self.refilled_at, now);
        // A clock that went back does not stand still until it has caught up.
        self.refilled_at = now;
        self.tokens = (self.tokens + elapsed * self.rate).min(self.rate.max(1.0));
        self.recent *= (-elapsed / RECENT_SECONDS).exp();

        // Above 2^53 pieces a few more or less make no difference.
        let outstanding_max = (demand.remaining_pieces as f64 * self.policy.admissions_per_piece).ceil();
        // A cast from a float ends at the bounds of the integer.
        let free = (outstanding_max as u32).saturating_sub(demand.outstanding);
        let wanted = demand.waiting.min(free);
        let granted = wanted.min(self.tokens as u32);
        self.was_short |= granted < wanted;
        self.tokens -= f64::from(granted);
        self.recent += f64::from(granted);
        granted
    }

    /// Admissions per second that the rate allows now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// How long a customer with so many ahead waits, at the rate of the last seconds.
    ///
    /// None when too few seconds have been seen, or when it would be more than a day.
    pub fn estimate(&self, ahead: u32) -> Option<Duration> {
        let seen = seconds_between(self.began, self.refilled_at);
        if seen < SEEN_SECONDS_MIN {
            return None;
        }
        // What a rate of 1 would have come to by now.
        let one = RECENT_SECONDS * (1.0 - (-seen / RECENT_SECONDS).exp());
        let seconds = (f64::from(ahead) + 1.0) * one / self.recent;
        (seconds <= ESTIMATE_SECONDS_MAX).then(|| Duration::from_secs_f64(seconds))
    }
}

/// 0 when the clock went back.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: OrderLoad = OrderLoad { latency_p99: Some(Duration::from_millis(50)), depth: 0 };
    const LATE: OrderLoad = OrderLoad { latency_p99: Some(Duration::from_millis(500)), depth: 0 };
    const DEEP: OrderLoad = OrderLoad { latency_p99: None, depth: 1_001 };
    const ALL_WANT: Demand = Demand { waiting: u32::MAX, outstanding: 0, remaining_pieces: u64::MAX };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn control(rate: AdmissionRate) -> AdmissionControl {
        let policy = AdmissionPolicy {
            rate,
            latency_target: Duration::from_millis(200),
            depth_max: 1_000,
            admissions_per_piece: 1.5,
        };
        AdmissionControl::new(policy, at(0))
    }

    #[test]
    fn a_fixed_rate_lets_in_as_many_every_second() {
        let mut control = control(AdmissionRate::Fixed(30));
        for _ in 0..5 {
            control.observe(at(0), LATE);
        }
        let granted: u32 = (1..=100).map(|tick| control.grant(at(tick * 100), ALL_WANT)).sum();
        assert!((299..=300).contains(&granted), "{granted}");
    }

    #[test]
    fn a_rate_of_nothing_lets_nobody_in() {
        let mut control = control(AdmissionRate::Fixed(0));
        assert_eq!((1..100).map(|second| control.grant(at(second * 1_000), ALL_WANT)).sum::<u32>(), 0);
        assert_eq!(control.estimate(0), None);
    }

    #[test]
    fn after_a_pause_no_more_than_a_second_is_made_up_for() {
        let mut control = control(AdmissionRate::Fixed(30));
        assert_eq!(control.grant(at(3_600_000), ALL_WANT), 30);
        assert_eq!(control.grant(at(3_600_000), ALL_WANT), 0);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_and_stops_nothing() {
        let mut control = control(AdmissionRate::Fixed(30));
        control.grant(at(10_000), ALL_WANT);
        assert_eq!(control.grant(at(0), ALL_WANT), 0);
        assert_eq!(control.grant(at(1_000), ALL_WANT), 30);
    }

    #[test]
    fn nobody_is_let_in_for_whom_there_is_no_piece() {
        let mut control = control(AdmissionRate::Fixed(1_000));
        let grant = |control: &mut AdmissionControl, second: i64, outstanding, remaining_pieces| {
            control.grant(at(second * 1_000), Demand { waiting: 500, outstanding, remaining_pieces })
        };
        assert_eq!(grant(&mut control, 1, 0, 10), 15);
        assert_eq!(grant(&mut control, 2, 15, 10), 0);
        assert_eq!(grant(&mut control, 3, 14, 9), 0, "9 pieces allow 14");
        assert_eq!(grant(&mut control, 4, 5, 9), 9);
        assert_eq!(grant(&mut control, 5, 0, 1), 2, "rounded up");
        assert_eq!(grant(&mut control, 6, 0, 0), 0);
        assert_eq!(grant(&mut control, 7, 0, u64::MAX), 500, "no more than wait");
    }

    /// Lets in and observes for a second.
    fn pass_second(control: &mut AdmissionControl, second: i64, load: OrderLoad) -> f64 {
        control.grant(at(second * 1_000), ALL_WANT);
        control.observe(at(second * 1_000), load);
        control.rate()
    }

    #[test]
    fn the_rate_grows_by_steps_and_shrinks_by_a_part() {
        let mut control = control(AdmissionRate::Automatic { least: 10, most: 210 });
        assert_eq!(control.rate(), 10.0);
        assert_eq!(pass_second(&mut control, 1, GOOD), 20.0);
        assert_eq!(pass_second(&mut control, 2, GOOD), 30.0);
        assert_eq!(pass_second(&mut control, 3, LATE), 21.0);
        assert_eq!(pass_second(&mut control, 4, DEEP), 14.7);
        for second in 5..60 {
            pass_second(&mut control, second, GOOD);
        }
        assert_eq!(control.rate(), 210.0);
        for second in 60..100 {
            pass_second(&mut control, second, DEEP);
        }
        assert_eq!(control.rate(), 10.0);
    }

    #[test]
    fn the_worst_of_a_second_counts_and_once() {
        let mut control = control(AdmissionRate::Automatic { least: 10, most: 210 });
        pass_second(&mut control, 1, GOOD);
        control.observe(at(1_100), LATE);
        control.observe(at(1_200), LATE);
        assert_eq!(control.rate(), 20.0);
        control.observe(at(2_000), GOOD);
        assert_eq!(control.rate(), 14.0);
        control.observe(at(3_000), GOOD);
        assert_eq!(control.rate(), 14.0, "the rate kept no customer waiting");
    }

    #[test]
    fn a_rate_that_nobody_needs_does_not_grow() {
        let mut control = control(AdmissionRate::Automatic { least: 10, most: 210 });
        for second in 1..60 {
            let few = Demand { waiting: 3, ..ALL_WANT };
            assert_eq!(control.grant(at(second * 1_000), few), 3);
            control.observe(at(second * 1_000), GOOD);
        }
        assert_eq!(control.rate(), 10.0);
    }

    #[test]
    fn the_rate_settles_around_what_can_be_served() {
        // A shop that serves 100 in a second and is late with more.
        let mut control = control(AdmissionRate::Automatic { least: 1, most: 401 });
        let rates: Vec<_> = (1..200)
            .map(|second| {
                let observed = if control.rate() > 100.0 { LATE } else { GOOD };
                pass_second(&mut control, second, observed)
            })
            .collect();
        assert!(rates[20..].iter().all(|rate| (70.0..=120.0).contains(rate)), "{rates:?}");
    }

    #[test]
    fn the_wait_is_told_from_the_recent_rate() {
        let mut control = control(AdmissionRate::Fixed(20));
        assert_eq!(control.estimate(100), None);
        let mut millis = 0;
        while millis < 5_000 {
            millis += 100;
            control.grant(at(millis), ALL_WANT);
        }
        let early = control.estimate(199).unwrap().as_secs_f64();
        assert!((9.0..11.0).contains(&early), "{early}");
        // For half a minute no customer could be admitted for want of pieces.
        while millis < 35_000 {
            millis += 100;
            control.grant(at(millis), Demand { remaining_pieces: 0, ..ALL_WANT });
        }
        let late = control.estimate(199).unwrap().as_secs_f64();
        assert!(late > 5.0 * early, "{late}");
        control.grant(at(3_600_000), Demand { remaining_pieces: 0, ..ALL_WANT });
        assert_eq!(control.estimate(199), None);
    }

    proptest! {
        #[test]
        fn no_demand_gets_more_in_than_the_rate_or_the_pieces_allow(
            rate in 1..50_u32, steps in prop::collection::vec((0..3_000_i64, 0..100_u32, 0..60_u64), 1..100)
        ) {
            let mut control = control(AdmissionRate::Fixed(rate));
            let (mut millis, mut total) = (0, 0_u32);
            let mut outstanding = 0;
            for (wait, waiting, remaining_pieces) in steps {
                millis += wait;
                let granted = control.grant(at(millis), Demand { waiting, outstanding, remaining_pieces });
                outstanding += granted;
                total += granted;
                prop_assert!(granted <= waiting);
                prop_assert!(granted == 0 || f64::from(outstanding) <= (remaining_pieces as f64 * 1.5).ceil());
                prop_assert!(f64::from(total) <= f64::from(rate) * millis as f64 / 1_000.0 + 0.001);
                outstanding /= 2;
            }
        }
    }
}
