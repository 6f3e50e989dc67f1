//! What a set of pages declares of itself, so that the kit can surround its pages without knowing them.

use super::assets::Asset;
use super::translations::Catalogue;
use crate::actors::users::Role;

/// Pages below one path, with one session and one catalogue of texts.
pub trait PageSet: Sized + 'static {
    /// The path of the first page: `/`, or a path without a slash at its end. Cookies are sent to the paths below it
    /// alone.
    const ROOT: &'static str;
    /// The name of the session's cookie. The other cookies are named after it.
    const COOKIE: &'static str;
    /// What form tokens are derived for: a token of another page set is not accepted.
    const FORM_TOKENS: &'static str;
    /// The files that every page loads, by their names among the assets.
    const STYLESHEET: &'static str;
    const SCRIPT: &'static str;
    /// The files that are served below `{ROOT}/assets/`.
    const ASSETS: &'static [Asset];

    type Texts: PageTexts;

    /// Whether a user of this role may sign in.
    fn may_enter(role: Role) -> bool;

    /// The links in the head of every page, beside the one to the first page.
    fn navigation(texts: &'static Self::Texts) -> Vec<Link>;

    /// A path below the root, for example `/assets/icon.svg`.
    fn path(below: &str) -> String {
        format!("{}{below}", Self::ROOT.trim_end_matches('/'))
    }

    /// Whether a path belongs to the page set.
    fn contains(path: &str) -> bool {
        let root = Self::ROOT.trim_end_matches('/');
        path == Self::ROOT || path.strip_prefix(root).is_some_and(|below| below.starts_with('/'))
    }
}

/// The texts that the kit shows and only the page set can word.
pub trait PageTexts: Catalogue {
    /// The name of the page set, at the top of every page and in its title.
    fn title(&self) -> &'static str;
    /// What the pages are for and who may enter, above the form to sign in.
    fn sign_in_lead(&self) -> &'static str;
    /// What the owner of an account that may not enter can do.
    fn not_admitted(&self) -> &'static str;
    /// The label of the link from a failed request to the first page.
    fn back_to_root(&self) -> &'static str;
    /// Why a request was refused, by the problem's code; `None` for a code that the page set does not word.
    fn refusal(&self, code: &str) -> Option<&'static str>;
}

/// A link of the navigation.
pub struct Link {
    pub href: String,
    pub label: &'static str,
}
