//! Failpoints for tests: a named place in the engine panics once after a test has armed it. Empty in a normal build.

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    static ARMED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

    /// Benchmarks are built with failpoints too and must not measure them.
    static ANY: AtomicBool = AtomicBool::new(false);

    /// Makes the failpoint panic the next time that it is reached.
    pub fn arm(failpoint: impl Into<String>) {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).insert(failpoint.into());
        ANY.store(true, Ordering::Release);
    }

    /// Whether the failpoint is armed and has not panicked yet.
    pub fn is_armed(failpoint: &str) -> bool {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).contains(failpoint)
    }

    pub(crate) fn hit(place: &str, subject: impl std::fmt::Display) {
        if !ANY.load(Ordering::Acquire) {
            return;
        }
        let failpoint = format!("{place} {subject}");
        let was_armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner).remove(&failpoint);
        assert!(!was_armed, "failpoint: {failpoint}");
    }
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::hit;
#[cfg(feature = "failpoints")]
pub use armed::{arm, is_armed};

/// Panics here if a test has armed this place for this subject.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn hit(_place: &str, _subject: impl std::fmt::Display) {}
