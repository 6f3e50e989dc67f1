-- Sessions whose access tokens may be unexpired though the session has ended.
-- $1 ended since
select id from users.sessions where ended_at >= $1
