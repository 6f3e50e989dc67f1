//! Open files: every connection is one, and a shell's own bound is often 1,024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Takes as many as the system allows this process; answers how many that are, where it can be told.
pub fn take_all() -> Option<u64> {
    let (taken, most) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        Ok(()) => Some(most),
        Err(_) => Some(taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_taken() {
        let most = take_all().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (most, most));
    }
}
