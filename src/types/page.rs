//! Paged lists: a limit, an opaque cursor, a page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// The number of items of a page, 1 to [`Limit::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Limit(i64);

impl TryFrom<i64> for Limit {
    type Error = InvalidValue;

    fn try_from(items: i64) -> Result<Self, InvalidValue> {
        Self::new(items)
    }
}

impl From<Limit> for i64 {
    fn from(limit: Limit) -> Self {
        limit.0
    }
}

impl Limit {
    pub const MAX: i64 = 100;
    pub const DEFAULT: Limit = Limit(20);
    pub const LARGEST: Limit = Limit(Self::MAX);

    pub fn new(items: i64) -> Result<Self, InvalidValue> {
        if (1..=Self::MAX).contains(&items) {
            Ok(Self(items))
        } else {
            Err(InvalidValue::new("limit", format!("{items} is not between 1 and {}", Self::MAX)))
        }
    }

    pub const fn get(self) -> i64 {
        self.0
    }
}

/// The beginning of the next page: the last key of the page before, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    pub fn after(key: impl ToString) -> Self {
        Self(key.to_string())
    }

    /// Parses the key; refuses a cursor that was tampered with.
    pub fn key<T: std::str::FromStr>(&self) -> Result<T, InvalidValue> {
        self.0.parse().map_err(|_| Self::invalid())
    }

    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    pub fn decode(text: &str) -> Result<Self, InvalidValue> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Self::invalid())?;
        String::from_utf8(bytes).map(Self).map_err(|_| Self::invalid())
    }

    fn invalid() -> InvalidValue {
        InvalidValue::new("cursor", "was not given out by this shop")
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page from the rows of a query for `limit + 1`: the extra row only shows that there are more.
    pub fn from_rows(mut rows: Vec<T>, limit: Limit, key: impl Fn(&T) -> String) -> Self {
        let wanted = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let next = if more { rows.last().map(|last| Cursor::after(key(last))) } else { None };
        Self { items: rows, next }
    }
}
