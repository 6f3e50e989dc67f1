//! The operators' page, asked as a browser asks it: cookies, forms, and a stream of figures.

use std::time::Duration;

use serde_json::Value;

use crate::dry_run::ENDED_WITHIN;
use crate::support::client::PASSWORD;
use crate::support::events::{Event, Events};
use crate::support::{Answer, Client, TestEngine, eventually, eventually_within};

/// A browser that keeps the cookies of the page by hand.
pub struct Browser {
    client: Client,
    cookies: Vec<(String, String)>,
    /// What the forms of the last page carry.
    token: String,
}

impl Browser {
    fn of(engine: &TestEngine) -> Self {
        Self { client: engine.visitor(), cookies: Vec::new(), token: String::new() }
    }

    /// Signed in as a member of staff.
    pub async fn of_staff(engine: &TestEngine) -> Self {
        let mut browser = Self::of(engine);
        let email = email_of(&engine.staff().await).await;
        browser.get("/ops").await.expect(200);
        let answer = browser.signs_in(&email, PASSWORD).await.expect(200);
        assert!(answer.text.contains(&email), "{answer:?}");
        browser
    }

    fn header(&self) -> String {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.client.request(reqwest::Method::GET, path).header("cookie", self.header());
        let answer = self.client.send(request.header("accept-language", "en")).await;
        self.keep(&answer);
        answer
    }

    /// Sends a form with the page's token; what leads elsewhere is answered as it is.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        self.send(path, &[&[("token", &*token)], fields].concat(), &[]).await
    }

    async fn send(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mut request = self
            .client
            .request(reqwest::Method::POST, path)
            .header("cookie", self.header())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept-language", "en");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // Without following, so that the cookies of the answer itself are seen.
        let request = request.body(body.join("&")).build().expect("a request");
        let alone = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let answer = alone.expect("a client").execute(request).await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.expect("a text");
        let answer = Answer { status, headers, body: Value::Null, text };
        self.keep(&answer);
        answer
    }

    /// Goes where an answer leads.
    pub async fn follow(&mut self, answer: Answer) -> Answer {
        let answer = answer.expect(303);
        let to = answer.header("location").expect("a place").to_owned();
        self.get(&to).await
    }

    async fn signs_in(&mut self, email: &str, password: &str) -> Answer {
        let fields = [("email", email), ("password", password), ("back", "/ops")];
        let answer = self.post("/ops/sign-in", &fields).await;
        if answer.status == 303 { self.follow(answer).await } else { answer }
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a text");
            let (name, value) = cookie.split(';').next().and_then(|it| it.split_once('=')).expect("a cookie");
            self.cookies.retain(|(other, _)| other != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if let Some((_, rest)) = answer.text.split_once(r#"name="token" value=""#) {
            self.token = rest.split('"').next().expect("a token").to_owned();
        }
    }

    /// Plans a sale of ten pieces of one SKU that may begin at once; answers with its id.
    async fn plans(&mut self, name: &str, sku: &str) -> String {
        let answer = self.post("/ops/sales", &plan(name, sku)).await.expect(303);
        let to = answer.header("location").expect("a place");
        let id = to.strip_prefix("/ops/sales/").and_then(|rest| rest.split('?').next());
        id.expect("an id").to_owned()
    }

    /// Does something to a sale.
    pub async fn moves(&mut self, sale: &str, action: &str) -> Answer {
        let fields = [("action", action), ("reason", "for a test")];
        let answer = self.post(&format!("/ops/sales/{sale}/move"), &fields).await;
        if answer.status == 303 { self.follow(answer).await } else { answer }
    }
}

pub async fn email_of(client: &Client) -> String {
    client.get("/v1/users/me").await.expect(200).body["email"].as_str().expect("an email").to_owned()
}

fn plan<'a>(name: &'a str, sku: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("name", name),
        ("opens_at", "2020-01-01T10:00"),
        ("closes_at", "2099-01-01T12:00"),
        ("sku", sku),
        ("price", "1,500"),
        ("allotment", "10"),
        ("limit", "2"),
        ("card", "600"),
        ("konbini", "3600"),
        ("konbini_allowed", "yes"),
        ("share", "100"),
        ("mode", "none"),
        ("per_second", ""),
    ]
}

/// The version that an editor was shown with.
fn version_of(editor: &Answer) -> String {
    let (_, rest) = editor.text.split_once(r#"name="version" value=""#).expect("a version");
    rest.split('"').next().expect("a version").to_owned()
}

fn status_of(page: &Answer) -> &str {
    let (_, rest) = page.text.split_once(r#"<p class="badges">"#).expect("badges");
    let (_, rest) = rest.split_once("<span class=\"badge ").expect("a badge");
    rest.split('"').next().expect("a status")
}

async fn sale_is(browser: &mut Browser, sale: &str) -> (String, bool) {
    let page = browser.get(&format!("/ops/sales/{sale}")).await.expect(200);
    (status_of(&page).to_owned(), page.text.contains("badge stopped"))
}

#[actix::test]
async fn only_staff_may_sign_in_and_no_script_can_read_the_token() {
    let engine = TestEngine::start().await;
    let mut browser = Browser::of(&engine);

    let page = browser.get("/ops").await.expect(200);
    assert!(page.text.contains(r#"name="password""#), "{page:?}");
    // Other pages lead to the sign-in, and back from there.
    let led = browser.client.request(reqwest::Method::GET, "/ops/sales/new");
    let led = browser.client.send(led).await.expect(200);
    assert!(led.text.contains(r#"name="back" value="/ops/sales/new""#), "{led:?}");

    let wrong = browser.signs_in("nobody@example.jp", PASSWORD).await.expect(401);
    assert!(wrong.text.contains("is wrong") && wrong.text.contains("nobody@example.jp"), "{wrong:?}");
    let customer = email_of(&engine.customer().await).await;
    let refused = browser.signs_in(&customer, PASSWORD).await.expect(403);
    assert!(refused.text.contains("not staff"), "{refused:?}");
    assert!(!browser.header().contains("shobai-ops="), "{}", browser.header());

    let staff = email_of(&engine.staff().await).await;
    let fields = [("email", &*staff), ("password", PASSWORD), ("back", "/ops/sales/new")];
    let answer = browser.post("/ops/sign-in", &fields).await.expect(303);
    assert_eq!(answer.header("location"), Some("/ops/sales/new"));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["shobai-ops=", "; Path=/ops;", "HttpOnly", "SameSite=Strict", "Max-Age=3600"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    let page = browser.follow(answer).await.expect(200);
    assert!(page.text.contains("New sale"), "{page:?}");

    let session = browser.cookies.clone();
    let answer = browser.post("/ops/sign-out", &[]).await.expect(303);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    // The token itself has stopped working, for every client that kept it.
    browser.cookies = session;
    let answer =
        browser.send("/ops/switch", &[("action", "kill")], &[("hx-request", "true")]).await.expect(200);
    assert_eq!(answer.header("hx-redirect"), Some("/ops?back=/ops"));
    assert!(browser.get("/ops").await.expect(200).text.contains(r#"name="password""#));
    engine.stop().await;
}

#[actix::test]
async fn a_session_is_renewed_while_it_is_used_until_its_maximum_age() {
    let engine = TestEngine::start_with(|config| {
        config.users.access_token_seconds = 4;
        config.users.page_session_seconds = 9;
    })
    .await;
    let browser = tokio::sync::Mutex::new(Browser::of_staff(&engine).await);
    let token = |browser: &Browser| browser.cookies.iter().find(|(name, _)| name == "shobai-ops").cloned();
    let first = token(&*browser.lock().await);
    let began = std::time::Instant::now();

    eventually("the session is longer than a token lives", async || {
        let mut browser = browser.lock().await;
        let page = browser.get("/ops").await.expect(200);
        assert!(!page.text.contains(r#"name="password""#), "{:?} {page:?}", began.elapsed());
        (began.elapsed() > Duration::from_secs(6)).then_some(())
    })
    .await;
    let renewed = token(&*browser.lock().await);
    assert!(renewed.is_some() && renewed != first);
    // The session is the same one: its form is the same.
    let mut used = browser.lock().await;
    used.post("/ops/language", &[("language", "en"), ("back", "/ops")]).await.expect(303);
    drop(used);
    eventually("the session is over though it is used", async || {
        let page = browser.lock().await.get("/ops").await.expect(200);
        page.text.contains(r#"name="password""#).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn the_page_shows_which_skus_are_ready_while_the_sale_needs_them() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 20).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    let path = format!("/ops/sales/{sale}");
    let (badge, ready) = (r#"data-figure="ready""#, r#"<span class="badge ready" data-figure="ready">"#);
    let draft = browser.get(&path).await.expect(200);
    assert!(!draft.text.contains(badge), "{}", draft.text);

    browser.moves(&sale, "schedule").await.expect(200);
    browser_sees(&mut browser, &sale, "open").await;

    for (language, word) in [("en", "Ready"), ("ja", "準備完了"), ("en", "Ready")] {
        browser.post("/ops/language", &[("language", language), ("back", &path)]).await.expect(303);
        let open = browser.get(&path).await.expect(200);
        assert!(open.text.contains(&format!("{ready}{word}</span>")), "{}", open.text);
    }
    browser.moves(&sale, "close").await.expect(200);
    let closed = browser.get(&path).await.expect(200);
    assert!(!closed.text.contains(badge), "{}", closed.text);
    engine.stop().await;
}

#[actix::test]
async fn an_operator_downloads_the_report_of_a_sale_that_is_over() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 20).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    browser.moves(&sale, "schedule").await.expect(200);
    browser_sees(&mut browser, &sale, "open").await;
    engine.customer().await.orders_by_card("LAMP", 2).await.expect(201);
    let page = browser.get(&format!("/ops/sales/{sale}")).await.expect(200);
    assert!(!page.text.contains("/report?form="), "{}", page.text);

    let page = browser.moves(&sale, "close").await.expect(200);

    assert!(page.text.contains("may be open until"), "{}", page.text);
    for (form, kind, part) in [
        ("json", "application/json", "\"signature\""),
        ("csv", "text/csv; charset=utf-8", "LAMP"),
        ("html", "text/html; charset=utf-8", "<html"),
    ] {
        assert!(page.text.contains(&format!("/ops/sales/{sale}/report?form={form}")), "{form}");
        let file = browser.get(&format!("/ops/sales/{sale}/report?form={form}")).await.expect(200);
        assert_eq!(file.header("content-type"), Some(kind));
        let name = format!("attachment; filename=\"sale-{sale}.{form}\"");
        assert_eq!(file.header("content-disposition"), Some(&*name));
        assert!(file.text.contains(part), "{form}: {}", file.text);
    }
    browser.get(&format!("/ops/sales/{sale}/report?form=pdf")).await.expect(422);
    browser.get(&format!("/ops/sales/{}/report?form=csv", uuid::Uuid::now_v7())).await.expect(404);
    // A visitor without a session does not get it.
    let mut stranger = Browser::of(&engine);
    let led = stranger.get(&format!("/ops/sales/{sale}/report?form=csv")).await.expect(200);
    assert!(led.text.contains(r#"name="password""#), "{led:?}");
    engine.stop().await;
}

#[actix::test]
async fn a_link_cannot_make_the_page_show_a_text_of_its_own() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    for place in ["/ops".to_owned(), format!("/ops/sales/{sale}")] {
        let page = browser.get(&format!("{place}?done=pause")).await.expect(200);
        assert!(page.text.contains("Done: Pause."), "{}", page.text);
        for text in ["call-0120", "Pause", "kill%20it", "%3Cb%3E", ""] {
            let page = browser.get(&format!("{place}?done={text}")).await.expect(200);
            assert!(page.text.contains(r#"tabindex="-1"></div>"#), "{text}: {}", page.text);
        }
    }
    engine.stop().await;
}

#[actix::test]
async fn a_cookie_that_was_set_over_https_is_sent_over_https_alone() {
    let engine = TestEngine::start().await;
    let mut browser = Browser::of(&engine);
    let staff = email_of(&engine.staff().await).await;
    browser.get("/ops").await;
    let token = browser.token.clone();
    let fields = [("token", &*token), ("email", &*staff), ("password", PASSWORD), ("back", "/ops")];
    let answer = browser.send("/ops/sign-in", &fields, &[("x-forwarded-proto", "https")]).await.expect(303);
    assert!(answer.header("set-cookie").unwrap().contains("; Secure"));
    engine.stop().await;
}

#[actix::test]
async fn pages_load_files_of_this_server_alone_and_have_no_inline_script() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;

    for path in [
        "/ops",
        "/ops/sales/new",
        &format!("/ops/sales/{sale}"),
        &format!("/ops/sales/{sale}/edit"),
        &format!("/ops/sales/{sale}/confirm?action=cancel"),
    ] {
        let page = browser.get(path).await.expect(200);
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        for inline in ["<script>", " style=", " onclick=", "://", "hx-on"] {
            assert!(!page.text.contains(inline), "{path} has {inline}");
        }
        let files: Vec<_> =
            page.text.split('"').filter(|part| part.starts_with("/ops/assets/")).map(str::to_owned).collect();
        assert!(files.len() >= 4, "{files:?}");
        for file in files {
            let name = file.rsplit('/').next().unwrap();
            let answer = browser.get(&format!("/ops/assets/{name}")).await.expect(200);
            assert!(!answer.text.is_empty(), "{file}");
        }
    }
    browser.get("/ops/assets/..%2fCargo.toml").await.expect(404);
    engine.stop().await;
}

#[actix::test]
async fn a_form_that_was_not_sent_from_the_page_changes_nothing() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    let token = browser.token.clone();
    let mut other = Browser::of_staff(&engine).await;
    other.get("/ops").await;
    let foreign = other.token.clone();
    let path = format!("/ops/sales/{sale}/move");
    let kill = [("action", "kill"), ("reason", "for a test")];

    let evil = [("origin", "https://evil.example")];
    for (token, headers) in [
        (None, &[][..]),
        (Some(""), &[]),
        (Some("ops-form:AAAAAAAAAAAAAAAAAAAAAA"), &[]),
        (Some(&*foreign), &[]),
        (Some(&*token), &evil),
        (Some(&*token), &[("origin", "null")]),
        (Some(&*token), &[("sec-fetch-site", "cross-site")]),
        (Some(&*token), &[("sec-fetch-site", "same-site")]),
    ] {
        let fields: Vec<_> = token.map(|token| ("token", token)).into_iter().chain(kill).collect();
        let answer = browser.send(&path, &fields, headers).await.expect(403);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{answer:?}");
        assert!(answer.text.contains("did not come from this page"), "{headers:?} {answer:?}");
        assert_eq!(sale_is(&mut browser, &sale).await, ("draft".to_owned(), false), "{fields:?} {headers:?}");
    }
    // A JSON body is no form, and a form with something added is refused as a whole.
    let json = browser.client.request(reqwest::Method::POST, &path).header("cookie", browser.header());
    browser.client.send(json.json(&serde_json::json!({"action": "kill"}))).await.expect(415);
    browser.post(&path, &[kill[0], kill[1], ("status", "open")]).await.expect(422);
    assert_eq!(sale_is(&mut browser, &sale).await, ("draft".to_owned(), false));

    // As the browser sends it, it is done.
    let fields = [("token", &*token), kill[0], kill[1]];
    let own = [("origin", &*engine.base()), ("sec-fetch-site", "same-origin")];
    browser.send(&path, &fields, &own).await.expect(303);
    assert_eq!(sale_is(&mut browser, &sale).await, ("draft".to_owned(), true));
    engine.stop().await;
}

#[actix::test]
async fn an_operator_plans_a_sale_and_changes_its_plan() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let mut browser = Browser::of_staff(&engine).await;

    let sale = browser.plans("<b>Night</b> & day", "LAMP").await;

    let list = browser.get("/ops").await.expect(200);
    assert!(list.text.contains("2020-01-01 10:00 to 2099-01-01 12:00"), "{}", list.text);
    assert!(!list.text.contains("<b>Night"), "{}", list.text);
    let editor = browser.get(&format!("/ops/sales/{sale}/edit")).await.expect(200);
    for value in [r#"value="2020-01-01T10:00""#, r#"value="LAMP""#, r#"value="1500""#, r#"value="100""#] {
        assert!(editor.text.contains(value), "{value}");
    }
    let version = version_of(&editor);
    let mut fields = plan("Day", "LAMP");
    fields.extend([
        ("version", &*version),
        ("sku", "VASE"),
        ("price", "700"),
        ("allotment", "3"),
        ("sku", ""),
        ("price", ""),
        ("allotment", ""),
    ]);
    let answer = browser.post(&format!("/ops/sales/{sale}/edit"), &fields).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(page.text.contains(r#"data-sku="VASE""#) && page.text.contains("<h1>Day</h1>"), "{}", page.text);
    // The catalogue has no vase, so it cannot be scheduled as it is.
    assert!(page.text.contains("row 2, SKU"), "{}", page.text);
    let refused = browser.moves(&sale, "schedule").await.expect(422);
    assert!(refused.text.contains("outcome refused"), "{}", refused.text);

    // A form that was shown before that does not undo it.
    let mut stale = plan("Dusk", "LAMP");
    stale.push(("version", &*version));
    let overtaken = browser.post(&format!("/ops/sales/{sale}/edit"), &stale).await.expect(409);
    assert!(overtaken.text.contains("Another operator changed"), "{}", overtaken.text);
    let version = version_of(&browser.get(&format!("/ops/sales/{sale}/edit")).await.expect(200));
    let mut fields = plan("Day", "LAMP");
    fields.push(("version", &*version));
    browser.post(&format!("/ops/sales/{sale}/edit"), &fields).await.expect(303);
    browser.moves(&sale, "schedule").await.expect(200);
    browser.get(&format!("/ops/sales/{sale}/edit")).await.expect(409);
    browser.post(&format!("/ops/sales/{sale}/edit"), &plan("Night", "LAMP")).await.expect(409);
    engine.stop().await;
}

#[actix::test]
async fn every_problem_is_shown_at_its_field_and_what_was_typed_is_kept() {
    let engine = TestEngine::start().await;
    let mut browser = Browser::of_staff(&engine).await;
    let mut fields = plan("", "a b");
    for (name, value) in [
        ("opens_at", "soon"),
        ("price", "free"),
        ("allotment", "0"),
        ("limit", "0"),
        ("card", "x"),
        ("share", "120"),
    ] {
        fields.iter_mut().filter(|field| field.0 == name).for_each(|field| field.1 = value);
    }

    let page = browser.post("/ops/sales", &fields).await.expect(422);

    let fields = ["name", "opens_at", "sku-0", "price-0", "allotment-0", "limit", "card", "share"];
    for id in fields {
        assert!(page.text.contains(&format!(r#"id="{id}-problem""#)), "{id}: {}", page.text);
        assert!(page.text.contains(&format!(r#"aria-describedby="{id}-problem""#)), "{id}");
    }
    assert_eq!(page.text.matches(r#"class="problem""#).count(), fields.len(), "{}", page.text);
    for typed in ["soon", "free", "a b", "120"] {
        assert!(page.text.contains(&format!(r#"value="{typed}""#)), "{typed}");
    }
    assert!(browser.get("/ops").await.text.contains("No sale has been planned yet"));
    // Without JavaScript, a row is added by the server.
    let more = browser
        .post("/ops/sales", &[plan("Night", "LAMP"), vec![("more", "row")]].concat())
        .await
        .expect(200);
    assert!(
        more.text.contains(r#"id="sku-1""#) && !more.text.contains(r#"class="problem""#),
        "{}",
        more.text
    );
    engine.stop().await;
}

#[actix::test]
async fn the_buttons_move_the_sale_and_the_history_shows_who_did_it_and_why() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 20).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    browser.moves(&sale, "schedule").await.expect(200);
    browser_sees(&mut browser, &sale, "open").await;

    // The question comes first, with what it will do.
    let question = browser.get(&format!("/ops/sales/{sale}/confirm?action=pause")).await.expect(200);
    assert!(
        question.text.contains("No new orders until it is resumed") && question.text.contains("required")
    );
    let page = browser.moves(&sale, "pause").await.expect(200);
    assert!(status_of(&page) == "paused" && page.text.contains("Done: Pause."), "{}", page.text);
    assert!(page.text.contains("for a test") && page.text.contains("Open → <strong>Paused"), "{}", page.text);
    let customer = engine.customer().await;
    customer.orders("LAMP", 1).await.expect_problem(409, "sale-paused");
    browser.moves(&sale, "resume").await.expect(200);
    customer.orders("LAMP", 1).await.expect(201);

    browser.moves(&sale, "kill").await.expect(200);
    customer.orders("LAMP", 1).await.expect_problem(409, "stopped");
    // A question ends what it was about, however often and late it is answered, and nothing else.
    browser.moves(&sale, "pause").await.expect(200);
    let page = browser.get(&format!("/ops/sales/{sale}")).await.expect(200);
    assert!(page.text.contains("/confirm?action=resume&#38;ends=pause"), "{}", page.text);
    let question =
        browser.get(&format!("/ops/sales/{sale}/confirm?action=resume&ends=pause")).await.expect(200);
    assert!(question.text.contains("The sale stays stopped by its switch"), "{}", question.text);
    assert!(question.text.contains(r#"name="ends" value="pause""#), "{}", question.text);
    let ends = [("action", "resume"), ("ends", "pause"), ("reason", "for a test")];
    for _ in 0..2 {
        browser.post(&format!("/ops/sales/{sale}/move"), &ends).await.expect(303);
    }
    customer.orders("LAMP", 1).await.expect_problem(409, "stopped");
    let question = browser.get(&format!("/ops/sales/{sale}/confirm?action=resume")).await.expect(200);
    assert!(question.text.contains(r#"name="ends" value="kill""#), "{}", question.text);
    browser.moves(&sale, "resume").await.expect(200);

    // One SKU, and its pieces.
    let switch = |action| [("action", action), ("sku", "LAMP"), ("reason", "for a test")];
    browser.post(&format!("/ops/sales/{sale}/switch"), &switch("kill")).await.expect(303);
    customer.orders("LAMP", 1).await.expect_problem(409, "stopped");
    browser.post(&format!("/ops/sales/{sale}/switch"), &switch("resume")).await.expect(303);
    let allot =
        |to, expected| [("sku", "LAMP"), ("expected", expected), ("allotment", to), ("reason", "more")];
    browser.post(&format!("/ops/sales/{sale}/allotment"), &allot("12", "10")).await.expect(303);
    let late = browser.post(&format!("/ops/sales/{sale}/allotment"), &allot("15", "10")).await.expect(409);
    assert!(late.text.contains("has changed meanwhile"), "{}", late.text);
    let page = browser.get(&format!("/ops/sales/{sale}")).await.expect(200);
    assert!(page.text.contains("10 → <strong>12"), "{}", page.text);

    // Without a reason nothing is done; nor what the status does not allow.
    let unsaid = browser
        .post(&format!("/ops/sales/{sale}/move"), &[("action", "close"), ("reason", " ")])
        .await
        .expect(422);
    assert!(unsaid.text.contains("A reason of 1 to 200"), "{}", unsaid.text);
    assert_eq!(status_of(&unsaid), "open");
    let refused = browser.moves(&sale, "settle").await.expect(409);
    assert!(refused.text.contains("cannot be told to"), "{}", refused.text);
    browser.moves(&sale, "open").await.expect(422);
    // A script is answered 200, with the same words.
    let token = browser.token.clone();
    let fields = [("token", &*token), ("action", "settle"), ("reason", "for a test")];
    let answer = browser
        .send(&format!("/ops/sales/{sale}/move"), &fields, &[("hx-request", "true")])
        .await
        .expect(200);
    assert!(answer.text.contains("cannot be told to"), "{}", answer.text);
    engine.stop().await;
}

async fn browser_sees(browser: &mut Browser, sale: &str, status: &str) {
    let browser = tokio::sync::Mutex::new(browser);
    eventually("the sale is in its status", async || {
        let mut browser = browser.lock().await;
        let (now, _) = sale_is(&mut browser, sale).await;
        (now == status).then_some(())
    })
    .await;
}

#[actix::test]
async fn everything_is_stopped_with_one_switch() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    engine.sells("VASE", 10).await;
    let mut browser = Browser::of_staff(&engine).await;
    browser.plans("Night", "LAMP").await;
    let customer = engine.customer().await;

    let question = browser.get("/ops/confirm?action=kill").await.expect(200);
    assert!(question.text.contains(r#"name="reason""#));
    let stop = [("action", "kill"), ("reason", "for a test")];
    let answer = browser.post("/ops/switch", &stop).await;
    let page = browser.follow(answer).await.expect(200);

    assert!(page.text.contains("All orders of customers are stopped"), "{}", page.text);
    customer.orders("VASE", 1).await.expect_problem(409, "stopped");
    browser.post("/ops/switch", &[("action", "resume"), ("reason", "for a test")]).await.expect(303);
    customer.orders("VASE", 1).await.expect(201);
    engine.stop().await;
}

#[actix::test]
async fn the_stream_sends_a_changed_figure_within_a_second() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    browser.moves(&sale, "schedule").await.expect(200);
    browser_sees(&mut browser, &sale, "open").await;
    let customer = engine.customer().await;

    let path = format!("/ops/sales/{sale}/events");
    let request = browser.client.request(reqwest::Method::GET, &path).header("cookie", browser.header());
    let mut stream = Events::open(request).await;
    let first = stream.message().await;
    assert_eq!(first["skus"][0]["figures"]["remaining"], 10, "{first}");

    customer.orders("LAMP", 2).await.expect(201);
    let changed = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            let view = stream.message().await;
            if view["skus"][0]["figures"]["remaining"] == 8 {
                return view;
            }
        }
    });
    let changed = changed.await.expect("within a second");
    assert_eq!(changed["skus"][0]["figures"]["held"], 2, "{changed}");
    assert_eq!(changed["totals"]["accepted"], 1, "{changed}");

    browser.post("/ops/sign-out", &[]).await.expect(303);
    let rest = stream.rest().await;
    assert!(matches!(rest.last(), Some(Event::Named(name, _)) if name == "ended"), "{rest:?}");
    // Without a session, the stream leads to the sign-in page.
    let answer = browser.get(&format!("/ops/sales/{sale}/events")).await.expect(200);
    assert!(answer.text.contains(r#"name="password""#), "{answer:?}");
    engine.stop().await;
}

#[actix::test]
async fn the_language_is_the_browsers_until_it_is_chosen() {
    let engine = TestEngine::start().await;
    let mut browser = Browser::of(&engine);
    let japanese =
        browser.client.request(reqwest::Method::GET, "/ops").header("accept-language", "ja,en;q=0.5");
    let page = browser.client.send(japanese).await.expect(200);
    assert!(page.text.contains(r#"<html lang="ja">"#) && page.text.contains("ログイン"), "{page:?}");

    let page = browser.get("/ops").await.expect(200);
    assert!(page.text.contains(r#"<html lang="en">"#));
    let answer = browser.post("/ops/language", &[("language", "ja"), ("back", "/ops")]).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(page.text.contains(r#"<html lang="ja">"#), "{page:?}");
    // The browser is not led away from the page.
    let away =
        browser.post("/ops/language", &[("language", "en"), ("back", "//evil.example")]).await.expect(303);
    assert_eq!(away.header("location"), Some("/ops"));
    engine.stop().await;
}

#[actix::test]
async fn an_unknown_sale_or_address_is_answered_with_a_page_that_says_so() {
    let engine = TestEngine::start().await;
    let mut browser = Browser::of_staff(&engine).await;
    let unknown = uuid::Uuid::now_v7();
    let page = browser.get(&format!("/ops/sales/{unknown}")).await.expect(404);
    assert!(page.text.contains("There is no such sale."), "{page:?}");
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    browser.get(&format!("/ops/sales/{unknown}/events")).await.expect(404);
    browser.get("/ops/sales/LAMP").await.expect(404);
    browser.get("/ops?nonsense=1").await.expect(422);
    browser.get("/ops/sign-in").await.expect(405);
    engine.stop().await;
}

#[actix::test]
async fn an_operator_starts_a_dry_run_from_the_page() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 100).await;
    let mut browser = Browser::of_staff(&engine).await;
    let sale = browser.plans("Night", "LAMP").await;
    let path = format!("/ops/sales/{sale}/dry-run");
    assert!(browser.get(&format!("/ops/sales/{sale}")).await.expect(200).text.contains(&path));

    for (fields, status, said) in [
        (&[("customers", "many"), ("seconds", ""), ("reason", "why not")][..], 422, "are whole numbers"),
        (&[("customers", ""), ("seconds", "0"), ("reason", "why not")], 422, "0 is not between 1 and"),
        (&[("customers", ""), ("seconds", ""), ("reason", " ")], 422, "outcome refused"),
    ] {
        let refused = browser.post(&format!("/ops/sales/{sale}/dry-run"), fields).await.expect(status);
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    let fields = [("customers", "40"), ("seconds", "5"), ("reason", "before the announcement")];
    let answer = browser.post(&format!("/ops/sales/{sale}/dry-run"), &fields).await;
    let running = browser.follow(answer).await.expect(200);
    assert!(running.text.contains(r#"hx-trigger="every 1s""#), "{}", running.text);

    let browser = tokio::sync::Mutex::new(browser);
    let page = eventually_within(ENDED_WITHIN, "the dry run has ended", async || {
        let page = browser.lock().await.get(&format!("/ops/sales/{sale}/dry-run")).await.expect(200);
        (!page.text.contains("hx-trigger")).then_some(page)
    })
    .await;
    for part in ["Nothing of the shop was touched", "Refusals by reason", "Orders placed", "LAMP"] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
    engine.stop().await;
}
