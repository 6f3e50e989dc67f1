//! The question before something is done: what it will do, and the reason that the history keeps.

use super::forms::Form;

const REASON_CHARACTERS_MAX: usize = 200;

/// What `kit/confirm.html` asks. Its page also has the fields `renewal` and `has_own_field`, which says whether the
/// page's own template asks for more than a reason: then that field gets the focus.
pub struct Confirmation {
    pub title: String,
    /// What will happen, in a sentence.
    pub effect: &'static str,
    /// The style of the button: `primary`, `danger` or `plain`.
    pub tone: &'static str,
    /// The text of the button.
    pub label: String,
    pub send_to: String,
    /// The page to go back to without an answer.
    pub back: String,
    pub hidden: Vec<(&'static str, String)>,
}

/// The parts of a page that are replaced after an answer in a dialog above it, as CSS selectors.
pub struct Renewal {
    pub replaced: &'static str,
    /// A list of further parts.
    pub also: &'static str,
}

impl Form {
    /// The reason for what is asked; `None` when it is missing, too long, or has control characters.
    pub fn reason(&self) -> Option<String> {
        let reason = self.text("reason");
        let is_given = (1..=REASON_CHARACTERS_MAX).contains(&reason.chars().count());
        (is_given && !reason.chars().any(char::is_control)).then(|| reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_1_to_200_characters_and_no_control_characters() {
        let reason = |text: &str| Form::parse(format!("reason={text}").as_bytes()).unwrap().reason();
        assert_eq!(reason("+for+a+test+").as_deref(), Some("for a test"));
        assert_eq!(reason(&"x".repeat(200)).map(|it| it.len()), Some(200));
        for text in ["", "+", "%07", "a%0ab", &"x".repeat(201)] {
            assert_eq!(reason(text), None, "{text}");
        }
    }
}
