//! Reading what forms send (`application/x-www-form-urlencoded`), strictly, and what is wrong with each field.
//!
//! A form that no page could have sent is refused as a whole. What a user typed wrongly becomes a [`FieldProblems`].

use crate::http::gateway::problem::Problem;

/// The fields of a form in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let body = std::str::from_utf8(body).map_err(|_| invalid("it is not text"))?;
        let fields = body.split('&').filter(|field| !field.is_empty()).map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        let fields: Option<Vec<_>> = fields.collect();
        Ok(Self { fields: fields.ok_or_else(|| invalid("it is not encoded as a form is"))? })
    }

    /// Refuses fields of other names, and a second value of a field that may be there once.
    pub fn check(&self, once: &[&str], repeated: &[&str]) -> Result<(), Problem> {
        for (index, (name, _)) in self.fields.iter().enumerate() {
            let is_first = !self.fields[..index].iter().any(|(other, _)| other == name);
            if !(repeated.contains(&&**name) || (once.contains(&&**name) && is_first)) {
                return Err(invalid("it has a field that does not belong to it"));
            }
        }
        Ok(())
    }

    /// The value without the white space around it; empty for a field that is not there.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value as it was sent, for fields in which white space matters.
    pub fn raw(&self, name: &str) -> &str {
        self.fields.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other == name)
    }

    /// All values of a repeated field.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.trim())
    }

    /// The first value of a field, which is not among the fields any more; empty for a field that is not there.
    pub(super) fn take(&mut self, name: &str) -> String {
        let index = self.fields.iter().position(|(other, _)| other == name);
        index.map_or_else(String::new, |index| self.fields.remove(index).1)
    }
}

fn invalid(why: &'static str) -> Problem {
    Problem::new(422, "invalid-form", format!("the form cannot be understood: {why}"))
}

/// `None` when a percent sign does not begin two hexadecimal digits, or when the bytes are not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A whole number, whose digits may be grouped by commas.
pub fn whole_number(text: &str) -> Option<i64> {
    text.replace(',', "").parse().ok()
}

/// What is wrong with the fields of a form, to be shown beside each of them (`kit/parts.html`).
#[derive(Debug, Default)]
pub struct FieldProblems(Vec<(String, String)>);

impl FieldProblems {
    /// The problems of one field; `None` when there are none.
    pub fn of(&self, field: &str) -> Option<String> {
        let found: Vec<&str> =
            self.0.iter().filter(|(other, _)| other == field).map(|(_, problem)| &**problem).collect();
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// Of pairs of a field's name and a problem.
impl FromIterator<(String, String)> for FieldProblems {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form =
            Form::parse("name=%E7%A6%8F%E8%A2%8B+2026&sku=A&sku=B&empty=&reason=+a%26b+".as_bytes()).unwrap();
        assert_eq!(form.text("name"), "福袋 2026");
        assert_eq!(form.texts("sku").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!((form.text("empty"), form.has("empty"), form.has("other")), ("", true, false));
        assert_eq!((form.text("reason"), form.raw("reason")), ("a&b", " a&b "));
    }

    #[test]
    fn a_form_that_no_browser_writes_is_refused() {
        for body in [&b"a=%"[..], b"a=%4", b"a=%zz", b"%ff=1", b"a=%ff", b"a=\xff"] {
            assert_eq!(Form::parse(body).unwrap_err().code(), "invalid-form", "{body:?}");
        }
    }

    #[test]
    fn a_field_that_does_not_belong_to_a_form_is_refused() {
        let form = |body: &str| Form::parse(body.as_bytes()).unwrap();
        assert!(form("a=1&s=1&s=2").check(&["a"], &["s"]).is_ok());
        assert!(form("").check(&[], &[]).is_ok());
        assert!(form("a=1&a=2").check(&["a"], &["s"]).is_err());
        assert!(form("b=1").check(&["a"], &["s"]).is_err());
    }

    #[test]
    fn a_field_that_is_taken_twice_still_counts_as_one_too_many() {
        let mut form = Form::parse(b"token=1&a=2&token=3").unwrap();
        assert_eq!(form.take("token"), "1");
        assert!(form.check(&["a"], &[]).is_err());
        assert_eq!((form.take("token"), form.take("token")), ("3".to_owned(), String::new()));
        assert!(form.check(&["a"], &[]).is_ok());
    }

    #[test]
    fn all_problems_of_a_field_are_shown_beside_it() {
        let problems = [("a", "one"), ("b", "two"), ("a", "three")];
        let problems: FieldProblems =
            problems.map(|(field, problem)| (field.to_owned(), problem.to_owned())).into_iter().collect();
        assert_eq!(problems.of("a").as_deref(), Some("one; three"));
        assert_eq!(problems.of("c"), None);
    }
}
