//! The sessions that ended before their access tokens expire: published by users, kept as a replica by who checks tokens.

use std::time::Duration;

use jiff::Timestamp;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::error::UsersError;
use super::messages::ListEndedSessions;
use crate::actors::runtime::{Feed, Port};
use crate::types::SessionId;

/// A token may be signed a moment after its session ended, when both happen at the same time.
const SIGNED_LATE_MAX: Duration = Duration::from_secs(60);

/// A session has ended: none of its access tokens is valid any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    pub session: SessionId,
}

/// How long after its end a session may have unexpired access tokens.
const fn matters_for(access_lifetime: Duration) -> Duration {
    access_lifetime.saturating_add(SIGNED_LATE_MAX)
}

/// Sessions that ended before this time have no unexpired access tokens.
pub(super) fn earliest_end(now: Timestamp, access_lifetime: Duration) -> Timestamp {
    now.checked_sub(matters_for(access_lifetime)).unwrap_or(Timestamp::MIN)
}

/// A replica of the set of ended sessions, in the memory of who checks access tokens; all clones share it.
#[derive(Clone)]
pub struct EndedSessions {
    ended: Cache<SessionId, ()>,
}

impl EndedSessions {
    /// An empty replica. Access tokens live as long as `access_lifetime`.
    pub fn new(access_lifetime: Duration) -> Self {
        Self { ended: Cache::builder().time_to_live(matters_for(access_lifetime)).build() }
    }

    /// Follows users: all sessions that ended before are known when this returns, and every later one when its end is
    /// answered.
    pub async fn follow(
        &self,
        changes: &Feed<SessionEnded>,
        snapshot: &Port<ListEndedSessions>,
    ) -> Result<(), UsersError> {
        let replica = self.clone();
        changes.subscribe(move |change| replica.apply(change));
        snapshot.ask(ListEndedSessions {}).await?.iter().for_each(|change| self.apply(change));
        Ok(())
    }

    pub fn apply(&self, change: &SessionEnded) {
        self.ended.insert(change.session, ());
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_replica_knows_the_sessions_that_ended_before_and_after_it_was_made() {
        let [before, meanwhile, after, never] = [(); 4].map(|()| SessionId::generate());
        let feed = Feed::default();
        let changes = feed.clone();
        let snapshot = Port::new(move |ListEndedSessions {}| {
            // One ends while the snapshot is on its way.
            changes.publish(&SessionEnded { session: meanwhile });
            Box::pin(async move { Ok(vec![SessionEnded { session: before }]) })
        });
        let replica = EndedSessions::new(Duration::from_secs(60));

        replica.follow(&feed, &snapshot).await.unwrap();
        feed.publish(&SessionEnded { session: after });

        assert!([before, meanwhile, after].into_iter().all(|session| replica.contains(session)));
        assert!(!replica.contains(never));
    }
}
