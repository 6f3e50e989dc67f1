//! What pages are made of: layout, session, forms and their tokens, translations, times in Japan.

pub mod forms;
pub mod jst;
pub mod layout;
pub mod session;
pub mod translations;

/// Where the page begins, and the path of its cookies.
pub const HOME: &str = "/ops";
/// Holds the access token.
const SESSION_COOKIE: &str = "shobai-ops";
