//! Texts in two languages: one typed catalogue for each page set, and the language that a visitor sees.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;

use super::layout::see_other;
use super::session::way_back;
use super::visitor::Visitor;
use super::{PageSet, Submitted, cookies};
use crate::http::gateway::answer::Answer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Japanese,
}

impl Language {
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::English, Self::Japanese].into_iter().find(|language| language.code() == code)
    }

    pub const fn other(self) -> Self {
        match self {
            Self::English => Self::Japanese,
            Self::Japanese => Self::English,
        }
    }

    /// The language that was chosen, else the one that the browser prefers.
    pub fn of<S: PageSet>(request: &HttpRequest) -> Self {
        let chosen = cookies::read(request, &cookies::language_cookie::<S>());
        chosen.and_then(|code| Self::from_code(&code)).unwrap_or_else(|| {
            let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            Self::preferred(accepted.unwrap_or_default())
        })
    }

    /// The language with the highest weight in an `Accept-Language` (RFC 9110, 12.5.4), the first among equals.
    fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in accepted.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight: f64 =
                weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(0.0);
            if let Some(language) = Self::from_code(&primary)
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// Texts that exist in every language; [`translations!`] declares them.
pub trait Catalogue: 'static {
    fn of(language: Language) -> &'static Self;
}

/// Declares a catalogue: a struct with a field for each text, whose English and Japanese stand side by side.
macro_rules! translations {
    (
        $(#[$attribute:meta])*
        pub struct $Texts:ident { $($name:ident: $english:literal, $japanese:literal;)* }
    ) => {
        $(#[$attribute])*
        pub struct $Texts {
            pub language: $crate::http::pages::kit::Language,
            $(pub $name: &'static str,)*
        }

        impl $crate::http::pages::kit::Catalogue for $Texts {
            fn of(language: $crate::http::pages::kit::Language) -> &'static Self {
                use $crate::http::pages::kit::Language;
                static ENGLISH: $Texts = $Texts { language: Language::English, $($name: $english,)* };
                static JAPANESE: $Texts = $Texts { language: Language::Japanese, $($name: $japanese,)* };
                match language {
                    Language::English => &ENGLISH,
                    Language::Japanese => &JAPANESE,
                }
            }
        }

        #[cfg(test)]
        impl $Texts {
            /// Each text with its name.
            const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $japanese),)*];
        }
    };
}
pub(in crate::http::pages) use translations;

/// Gives a catalogue the texts of things that are named by a code, such as `status draft` or `not-found`.
macro_rules! coded_translations {
    ($Texts:ident { $($code:literal: $english:literal, $japanese:literal;)* }) => {
        impl $Texts {
            /// The text of a code; `None` for a code without one.
            fn coded(&self, code: &str) -> Option<&'static str> {
                let (english, japanese) = match code {
                    $($code => ($english, $japanese),)*
                    _ => return None,
                };
                Some(match self.language {
                    $crate::http::pages::kit::Language::English => english,
                    $crate::http::pages::kit::Language::Japanese => japanese,
                })
            }
        }

        #[cfg(test)]
        impl $Texts {
            /// Each text with its code.
            const CODED: &[(&str, &str, &str)] = &[$(($code, $english, $japanese),)*];
        }
    };
}
pub(in crate::http::pages) use coded_translations;

/// Puts values in the places of a text that are marked `{}`.
pub fn fill(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        filled.push_str(values.get(index).copied().unwrap_or_default());
        filled.push_str(part);
    }
    filled
}

/// Keeps the choice of a language.
pub async fn choose_language<S: PageSet>(submitted: Submitted<Visitor<S>>) -> Answer {
    let Submitted { sender: visitor, form } = submitted;
    form.check(&["language", "back"], &[])?;
    let language = Language::from_code(form.text("language")).unwrap_or(Language::English);
    let mut answer = see_other(way_back::<S>(form.text("back")));
    let cookie = visitor.cookie(cookies::language_cookie::<S>(), language.code(), cookies::YEAR_SECONDS);
    cookies::set(&mut answer, &cookie)?;
    Ok(answer)
}

/// Fails unless every text exists in both languages, with as many places to fill in; `same` are names and signs.
#[cfg(test)]
pub fn assert_translated(texts: &[(&str, &str, &str)], same: &[&str]) {
    assert!(!texts.is_empty());
    for (name, english, japanese) in texts {
        assert!(!english.trim().is_empty() && !japanese.trim().is_empty(), "{name}");
        let places = |text: &str| text.matches("{}").count();
        assert_eq!(places(english), places(japanese), "{name}");
        assert_eq!(english == japanese, same.contains(name), "{name}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_the_browser_prefers() {
        assert_eq!(Language::preferred("ja"), Language::Japanese);
        assert_eq!(Language::preferred("fr, ja-JP;q=0.8, en;q=0.5"), Language::Japanese);
        assert_eq!(Language::preferred("en-GB,en;q=0.9,ja;q=0.8"), Language::English);
        for other in ["", "*", "fr", "ja;q=0", "ja;q=x"] {
            assert_eq!(Language::preferred(other), Language::English, "{other}");
        }
    }

    #[test]
    fn a_text_is_filled_in_its_places() {
        assert_eq!(fill("{}: {}", &["a", "b"]), "a: b");
        assert_eq!(fill("{}: {}.", &["{}"]), "{}: .");
    }
}
