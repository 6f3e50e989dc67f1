//! Faults that tests inject: a place in the engine panics once when a test has armed it. Nothing in a normal build.

#[cfg(feature = "faults")]
mod armed {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    static ARMED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

    /// Benchmarks are built with the faults too, and shall not measure them.
    static ANY: AtomicBool = AtomicBool::new(false);

    /// Makes the place panic the next time that it is reached.
    pub fn arm(place: impl Into<String>) {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).insert(place.into());
        ANY.store(true, Ordering::Release);
    }

    /// Whether the place has not panicked yet since it was armed.
    pub fn is_armed(place: &str) -> bool {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).contains(place)
    }

    pub(crate) fn strike(place: &str, about: impl std::fmt::Display) {
        if !ANY.load(Ordering::Acquire) {
            return;
        }
        let place = format!("{place} {about}");
        let struck = ARMED.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        assert!(!struck, "a fault was injected: {place}");
    }
}

#[cfg(feature = "faults")]
pub(crate) use armed::strike;
#[cfg(feature = "faults")]
pub use armed::{arm, is_armed};

/// Panics here if a test has armed this place for this subject.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn strike(_place: &str, _about: impl std::fmt::Display) {}
