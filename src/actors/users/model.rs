//! The parts of an account, and the rules for each.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr};

use crate::error::{Fault, Kind};
use crate::types::{CustomerId, InvalidValue};

/// An address as it is compared: trimmed, in lower case, at most 254 characters (RFC 5321, 4.5.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for Email {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A password that was strong enough to be chosen; never shown.
///
/// It is serialised only to travel in a message, and is checked again where it arrives, except for the rule that needs
/// the address: that one is checked where the password is chosen.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
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

    /// The text as the password of the account with this address, if it is strong enough.
    pub fn choose(text: SecretString, email: &Email) -> Result<Self, WeakPassword> {
        let lower_case = Self::check(&text)?;
        let local_part = email.local_part();
        if local_part.len() >= Self::LOCAL_PART_MIN && lower_case.contains(local_part) {
            return Err(WeakPassword::ContainsEmail);
        }
        Self::check_common(&lower_case)?;
        Ok(Self(text))
    }

    /// The rules about length and variety; the text in lower case if it keeps them.
    fn check(text: &SecretString) -> Result<String, WeakPassword> {
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
        Ok(lower_case)
    }

    fn check_common(lower_case: &str) -> Result<(), WeakPassword> {
        if Self::COMMONEST.contains(&lower_case) { Err(WeakPassword::Common) } else { Ok(()) }
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl TryFrom<SecretString> for Password {
    type Error = WeakPassword;

    fn try_from(text: SecretString) -> Result<Self, Self::Error> {
        let lower_case = Self::check(&text)?;
        Self::check_common(&lower_case)?;
        Ok(Self(text))
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        expose(&self.0, serializer)
    }
}

/// Serialises a secret for a message to another process, where it is a secret again.
pub(super) fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "kebab-case")]
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

impl Fault for WeakPassword {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn code(&self) -> &'static str {
        "weak-password"
    }

    fn details(&self) -> Map<String, Value> {
        let reason: &'static str = self.into();
        Map::from_iter([("reason".to_owned(), Value::from(reason))])
    }
}

/// The name that a user goes by: 1 to 100 characters, trimmed, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for PersonName {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a user may do; each role may do what the roles before it may.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    Customer,
    Staff,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether this role may do what `needed` may.
    pub fn may(self, needed: Role) -> bool {
        self >= needed
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: CustomerId,
    pub email: Email,
    pub name: PersonName,
    pub role: Role,
    pub created_at: Timestamp,
}

/// What a new or refreshed session gives its user.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    pub user: User,
    pub access_token: String,
    /// Works once.
    #[serde(serialize_with = "expose")]
    pub refresh_token: SecretString,
    /// Seconds for which the access token works.
    pub expires_in: u64,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Anyone who holds the tokens can act as the user, so they stay out of every log.
        formatter.debug_struct("SignedIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Another access token of a session.
#[derive(Clone, Serialize, Deserialize)]
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
    fn a_text_that_is_no_email_is_refused() {
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
    fn a_password_that_was_serialised_is_checked_when_it_is_read() {
        let password = Password::choose("plum rain in june".into(), &email("hanako@example.jp")).unwrap();
        let form = serde_json::to_value(&password).unwrap();
        assert_eq!(form, "plum rain in june");
        let read: Password = serde_json::from_value(form).unwrap();
        assert_eq!(read.secret().expose_secret(), "plum rain in june");
        for weak in ["short", "password1234", "aaaaaaaaaaaaaaaa"] {
            assert!(serde_json::from_value::<Password>(weak.into()).is_err(), "{weak}");
        }
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
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().is_err());
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
