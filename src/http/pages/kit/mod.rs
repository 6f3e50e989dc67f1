//! What sets of pages are made of: layout, session, forms, protection against forged requests, translations, times.
//!
//! A page set declares itself with [`PageSet`]: its root path, navigation, texts and files, and who may sign in.
//! The kit knows no page set, and no domain but the users who sign in.

mod assets;
mod confirmation;
mod cookies;
mod csrf;
mod forms;
pub mod jst;
mod layout;
mod page_set;
mod session;
mod submitted;
#[cfg(test)]
mod tests;
mod texts;
mod translations;
mod visitor;

pub(super) use assets::web;
pub use assets::{Asset, HTMX, ICON, get_asset};
pub use confirmation::{Confirmation, Renewal};
pub use forms::{FieldProblems, Form, whole_number};
pub use layout::{Frame, Outcome, RenderedProblem, explain, refusal, see_other, show};
pub use page_set::{Link, PageSet, PageTexts};
pub use session::{sign_in, sign_in_page, sign_out, way_back};
pub use submitted::Submitted;
pub use texts::KitTexts;
#[cfg(test)]
pub use translations::assert_translated;
pub use translations::{Catalogue, Language, choose_language, fill};
pub(super) use translations::{coded_translations, translations};
pub use visitor::{SignedIn, Visitor, keep_session};
