//! The kit with page sets that the engine does not have: a shop at the root path, and pages of admins.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;

use super::layout::explain;
use super::translations::{assert_translated, coded_translations, translations};
use super::{Asset, HTMX, ICON, Link, PageSet, PageTexts};
use crate::actors::users::Role;
use crate::http::gateway::problem::Problem;

translations! {
    /// The texts of both page sets.
    pub struct SampleTexts {
        title: "Lamps & more", "ランプ";
    }
}

coded_translations! {
    SampleTexts {
        "sold-out": "all lamps are sold", "完売しました";
    }
}

impl PageTexts for SampleTexts {
    fn title(&self) -> &'static str {
        self.title
    }

    fn sign_in_lead(&self) -> &'static str {
        "lead"
    }

    fn not_admitted(&self) -> &'static str {
        "not admitted"
    }

    fn back_to_root(&self) -> &'static str {
        "back"
    }

    fn refusal(&self, code: &str) -> Option<&'static str> {
        self.coded(code)
    }
}

/// Pages at the root path that every user may enter.
pub struct Shop;

impl PageSet for Shop {
    const ROOT: &'static str = "/";
    const COOKIE: &'static str = "shop";
    const FORM_TOKENS: &'static str = "shop-form";
    const STYLESHEET: &'static str = "shop.css";
    const SCRIPT: &'static str = "shop.js";
    const ASSETS: &'static [Asset] = &[ICON, HTMX];

    type Texts = SampleTexts;

    fn may_enter(_: Role) -> bool {
        true
    }

    fn navigation(_: &'static SampleTexts) -> Vec<Link> {
        vec![Link { href: Self::path("/cart"), label: "Cart" }]
    }
}

/// Pages below a path that admins alone may enter.
pub struct Admin;

impl PageSet for Admin {
    const ROOT: &'static str = "/admin";
    const COOKIE: &'static str = "admin";
    const FORM_TOKENS: &'static str = "admin-form";
    const STYLESHEET: &'static str = "admin.css";
    const SCRIPT: &'static str = "admin.js";
    const ASSETS: &'static [Asset] = &[ICON, HTMX];

    type Texts = SampleTexts;

    fn may_enter(role: Role) -> bool {
        role.may(Role::Admin)
    }

    fn navigation(_: &'static SampleTexts) -> Vec<Link> {
        Vec::new()
    }
}

fn failed<S: PageSet>(problem: &Problem, language: &str) -> String {
    let request = TestRequest::default().insert_header(("accept-language", language)).to_http_request();
    let (page, _) = explain::<S>(problem, &request, "id-1").unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn a_page_set_has_its_own_paths_title_and_navigation() {
    let problem = Problem::new(409, "sold-out", "no lamps");
    let shop = failed::<Shop>(&problem, "en");
    for part in [
        r#"<html lang="en">"#,
        r#"href="/assets/shop.css""#,
        r#"src="/assets/shop.js""#,
        r#"<a class="brand" href="/">"#,
        r#"<nav><a href="/cart">Cart</a></nav>"#,
        "Lamps &#38; more",
        "all lamps are sold",
    ] {
        assert!(shop.contains(part), "{part} is not in {shop}");
    }
    assert!(!shop.contains("//assets") && !shop.contains("id-1"), "{shop}");

    let admin = failed::<Admin>(&problem, "ja");
    for part in [r#"<html lang="ja">"#, r#"href="/admin/assets/admin.css""#, r#"href="/admin""#, "ランプ"]
    {
        assert!(admin.contains(part), "{part} is not in {admin}");
    }
    assert!(!admin.contains("<nav>"), "{admin}");
}

#[test]
fn a_failure_shows_its_request_id_and_a_refusal_that_nothing_was_changed() {
    let failure = failed::<Admin>(&Problem::of_status(StatusCode::BAD_GATEWAY, || "down".to_owned()), "en");
    assert!(failure.contains("It is not known") && failure.contains("<code>id-1</code>"), "{failure}");
    let refusal = failed::<Admin>(&Problem::new(422, "unheard-of", "no"), "en");
    assert!(refusal.contains("so nothing was changed") && !refusal.contains("id-1"), "{refusal}");
}

#[test]
fn a_path_belongs_to_the_page_set_that_it_is_below() {
    assert!(Admin::contains("/admin") && Admin::contains("/admin/users"));
    assert!(!Admin::contains("/administration") && !Admin::contains("/"));
    assert!(Shop::contains("/") && Shop::contains("/cart"));
    assert_eq!((Shop::path("/cart"), Admin::path("/cart")), ("/cart".to_owned(), "/admin/cart".to_owned()));
    for texts in [SampleTexts::ALL, SampleTexts::CODED] {
        assert_translated(texts, &[]);
    }
}
