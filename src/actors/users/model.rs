//! What an account is made of, and what it refuses to be made of.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::error::{Fault, Kind};
use crate::types::{CustomerId, InvalidValue};

/// An address as it is compared: trimmed, in lower case, at most 254 characters (RFC 5321, 4.5.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    const LENGTH_MAX: usize = 254;
    const LOCAL_PART_MAX: usize = 64;
    const LABEL_MAX: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    fn is_local_part(text: &str) -> bool {
        // The atoms of RFC 5322, 3.2.3; quoted local parts exist in the standard only.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        text.len() <= Self::LOCAL_PART_MAX
            && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
    }

    fn is_domain(text: &str) -> bool {
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= Self::LABEL_MAX
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        text.contains('.') && text.split('.').all(is_label)
    }
}

impl FromStr for Email {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > Self::LENGTH_MAX {
            let problem = format!("must have at most {} characters", Self::LENGTH_MAX);
            return Err(InvalidValue::new("email", problem));
        }
        match text.split_once('@') {
            Some((local, domain)) if Self::is_local_part(local) && Self::is_domain(domain) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(InvalidValue::new("email", "is not an address like name@example.jp")),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A password that was strong enough to be chosen; never shown.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl Password {
    /// Characters, not bytes.
    pub const LENGTH_MIN: usize = 12;
    pub const LENGTH_MAX: usize = 128;
    const DISTINCT_MIN: usize = 5;
    /// A shorter local part, such as that of `a@example.jp`, is in many passwords by chance.
    const LOCAL_PART_MIN: usize = 3;
    /// The commonest of those that are long enough (from lists of leaked passwords), in lower case.
    const COMMONEST: &[&str] = &[
        "012345678910",
        "1234567891011",
        "123456789012",
        "1234567890123",
        "123456789abc",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "abc123456789",
        "abcdefghijkl",
        "administrator",
        "adminadmin123",
        "changeme1234",
        "correcthorsebatterystaple",
        "iloveyou1234",
        "letmein12345",
        "password1234",
        "password12345",
        "password123!",
        "passwordpassword",
        "p@ssw0rd1234",
        "qazwsxedcrfv",
        "qwerty123456",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "unbelievable",
        "welcome12345",
    ];

    /// Takes what somebody wants as the password of the account with this address.
    pub fn choose(text: SecretString, email: &Email) -> Result<Self, WeakPassword> {
        let characters = text.expose_secret().chars().count();
        if characters < Self::LENGTH_MIN {
            return Err(WeakPassword::TooShort);
        }
        if characters > Self::LENGTH_MAX {
            return Err(WeakPassword::TooLong);
        }
        let lower_case = text.expose_secret().to_lowercase();
        if lower_case.chars().collect::<HashSet<_>>().len() < Self::DISTINCT_MIN {
            return Err(WeakPassword::FewCharacters);
        }
        let local_part = email.local_part();
        if local_part.len() >= Self::LOCAL_PART_MIN && lower_case.contains(local_part) {
            return Err(WeakPassword::ContainsEmail);
        }
        if Self::COMMONEST.contains(&lower_case.as_str()) {
            return Err(WeakPassword::Common);
        }
        Ok(Self(text))
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    #[error("the password has fewer than {} characters", Password::LENGTH_MIN)]
    TooShort,
    #[error("the password has more than {} characters", Password::LENGTH_MAX)]
    TooLong,
    #[error("the password has fewer than {} different characters", Password::DISTINCT_MIN)]
    FewCharacters,
    #[error("the password contains the name in the email address")]
    ContainsEmail,
    #[error("the password is one of the commonest")]
    Common,
}

impl WeakPassword {
    const fn reason(self) -> &'static str {
        match self {
            WeakPassword::TooShort => "too-short",
            WeakPassword::TooLong => "too-long",
            WeakPassword::FewCharacters => "few-characters",
            WeakPassword::ContainsEmail => "contains-email",
            WeakPassword::Common => "common",
        }
    }
}

impl Fault for WeakPassword {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn code(&self) -> &'static str {
        "weak-password"
    }

    fn details(&self) -> Map<String, Value> {
        Map::from_iter([("reason".to_owned(), Value::from(self.reason()))])
    }
}

/// How somebody wants to be called: 1 to 100 characters, trimmed, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    pub const LENGTH_MAX: usize = 100;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > Self::LENGTH_MAX {
            let problem = format!("must have 1 to {} characters", Self::LENGTH_MAX);
            return Err(InvalidValue::new("name", problem));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidValue::new("name", "may not have control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What somebody may do; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Customer,
    Staff,
    Admin,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Staff => "staff",
            Role::Admin => "admin",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Role::Customer, Role::Staff, Role::Admin].into_iter().find(|role| role.as_str() == name)
    }

    /// Whether this role may do what `needed` may.
    pub fn may(self, needed: Role) -> bool {
        self >= needed
    }
}

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: CustomerId,
    pub email: Email,
    pub name: PersonName,
    pub role: Role,
    pub created_at: Timestamp,
}

/// What a new or refreshed session gives its user.
#[derive(Clone)]
pub struct SignedIn {
    pub user: User,
    pub access_token: String,
    /// Works once.
    pub refresh_token: SecretString,
    /// Seconds for which the access token works.
    pub expires_in: u64,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever holds the tokens is the user, so they stay out of every log.
        formatter.debug_struct("SignedIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What goes on with a session.
#[derive(Clone)]
pub struct Renewed {
    pub access_token: String,
    /// Seconds for which it works.
    pub expires_in: u64,
}

impl fmt::Debug for Renewed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Renewed").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    fn chosen(text: &str) -> Result<(), WeakPassword> {
        Password::choose(text.into(), &email("hanako.sato@example.jp")).map(drop)
    }

    #[test]
    fn an_email_is_trimmed_and_in_lower_case() {
        assert_eq!(email("  Hanako.Sato+Shop@Example.JP ").as_str(), "hanako.sato+shop@example.jp");
    }

    #[test]
    fn what_is_not_an_email_is_refused() {
        let long = format!("{}@example.jp", "a".repeat(65));
        let longest = format!("a@{}.jp", "example.".repeat(40));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.jp",
            "a@b",
            "a@@b.jp",
            "a@b@c.jp",
            "a b@c.jp",
            ".a@b.jp",
            "a..b@c.jp",
            "a.@b.jp",
            "a@.jp",
            "a@b..jp",
            "a@-b.jp",
            "a@b-.jp",
            "a@b.jp.",
            "a\0@b.jp",
            "ａ@b.jp",
            "a@日本.jp",
            "\"a b\"@c.jp",
            &long,
            &longest,
        ] {
            assert!(text.parse::<Email>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_weak_password_is_refused_with_its_reason() {
        assert_eq!(chosen("short-Pass1"), Err(WeakPassword::TooShort));
        assert_eq!(chosen(&"ab1-xyz".repeat(19)), Err(WeakPassword::TooLong));
        assert_eq!(chosen("aaaaaaAAAAAAbbbb"), Err(WeakPassword::FewCharacters));
        assert_eq!(chosen("my-HANAKO.sato-2026"), Err(WeakPassword::ContainsEmail));
        assert_eq!(chosen("Password1234"), Err(WeakPassword::Common));
        assert_eq!(chosen("plum rain in june"), Ok(()));
        assert_eq!(chosen("梅雨の雨が降り続く六月の朝"), Ok(()));
    }

    #[test]
    fn a_password_and_tokens_are_not_shown() {
        let password = Password::choose("plum rain in june".into(), &email("hanako@example.jp")).unwrap();
        assert!(!format!("{password:?}").contains("plum"));
    }

    #[test]
    fn every_common_password_would_pass_the_other_rules() {
        for text in Password::COMMONEST {
            assert_eq!(chosen(text), Err(WeakPassword::Common), "{text}");
        }
    }

    #[test]
    fn a_role_may_do_what_lower_roles_may() {
        assert!(
            Role::Admin.may(Role::Staff) && Role::Staff.may(Role::Customer) && Role::Staff.may(Role::Staff)
        );
        assert!(!Role::Customer.may(Role::Staff) && !Role::Staff.may(Role::Admin));
        for role in [Role::Customer, Role::Staff, Role::Admin] {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
    }

    #[test]
    fn a_name_has_letters_and_no_control_characters() {
        assert_eq!(" 佐藤 花子 ".parse::<PersonName>().unwrap().as_str(), "佐藤 花子");
        for text in ["", "   ", "a\0b", "a\nb", &"あ".repeat(101)] {
            assert!(text.parse::<PersonName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_email_parses_to_itself(text in "\\PC{0,40}|[a-zA-Z.+-]{1,10}@[a-zA-Z.-]{1,12}\\.[a-z]{2}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>().unwrap(), email.clone());
                prop_assert_eq!(email.as_str().to_lowercase(), email.as_str());
            }
        }
    }
}
