//! The pages are accessible: by keyboard, on a telephone, in dark mode, in English and in Japanese.

use serde_json::json;

use crate::chromium::Chromium;
use crate::support::{Client, TestEngine, eventually};
use crate::webdriver::{ESCAPE, TAB};

/// Texts whose colour is too near to that of their ground (WCAG 2.2, 1.4.3, level AA), each with its ratio.
const TOO_FAINT: &str = r#"(() => {
  const parts = (colour) => { const found = colour.match(/[\d.]+/g).map(Number); return found.length < 4 ? [...found, 1] : found; };
  const over = (upper, lower) => [...upper.slice(0, 3).map((part, index) => part * upper[3] + lower[index] * (1 - upper[3])), 1];
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(parts(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((lower, upper) => over(upper, lower), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const tells = (element) => element.value || [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const isShown = (element) => { const { width, height } = element.getBoundingClientRect(); return width > 1 && height > 1 && element.checkVisibility(); };
  return [...document.body.querySelectorAll("*")].filter((element) => tells(element) && isShown(element)).map((element) => {
    const style = getComputedStyle(element);
    const under = ground(element);
    const [dark, bright] = [light(over(parts(style.color), under)), light(under)].sort((one, other) => one - other);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (bright + 0.05) / (dark + 0.05);
    return ratio < (isLarge ? 3 : 4.5) ? `${element.tagName} "${element.textContent.trim().slice(0, 40)}" ${ratio.toFixed(2)}` : null;
  }).filter(Boolean);
})()"#;

/// Gives every control a number, and notes those that get the focus, with whether it is seen there.
const NUMBER_CONTROLS: &str = r#"(() => {
  const controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter((control) =>
    control.checkVisibility() && control.tabIndex >= 0 && !control.disabled && control.type !== "hidden");
  window.missing = new Set(controls);
  window.unseen = [];
  document.addEventListener("focusin", ({ target }) => {
    missing.delete(target);
    if (target.matches(":focus-visible") && getComputedStyle(target).outlineStyle === "none") unseen.push(target.outerHTML);
  });
  document.activeElement.blur();
  return controls.length;
})()"#;

/// More presses of the tabulator than the longest page takes: a date has six fields and a button.
const PRESSES_MAX: usize = 120;

async fn a_draft(staff: &Client, sku: &str) -> String {
    let plan = json!({
        "name": "Midnight", "opens_at": "2099-01-01T00:00:00Z", "closes_at": "2099-01-02T00:00:00Z",
        "items": [{"sku": sku, "price": 500, "allotment": 10}], "limit_per_customer": 2,
    });
    staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned()
}

/// Every page with controls of its own.
async fn pages(engine: &TestEngine) -> Vec<String> {
    let staff = engine.staff().await;
    let draft = a_draft(&staff, "LAMP").await;
    let running = a_draft(&staff, "A-SKU-WITH-A-NAME-AS-LONG-AS-ONE-MAY-BE-0123456789-0123456789-01").await;
    for action in ["schedule", "arm", "kill"] {
        let reason = json!({"reason": "a reason that tells at some length why it was done"});
        staff.post(&format!("/v1/admin/sales/{running}/{action}"), reason).await.expect(200);
    }
    vec![
        "/ops?month=2099-01".to_owned(),
        "/ops/sales/new".to_owned(),
        format!("/ops/sales/{draft}"),
        format!("/ops/sales/{draft}/edit"),
        format!("/ops/sales/{draft}/dry-run"),
        format!("/ops/sales/{running}"),
        format!("/ops/sales/{running}/confirm?action=cancel"),
    ]
}

async fn engine_with_stock() -> TestEngine {
    let engine = TestEngine::start().await;
    for sku in ["LAMP", "A-SKU-WITH-A-NAME-AS-LONG-AS-ONE-MAY-BE-0123456789-0123456789-01"] {
        engine.sells(sku, 100).await;
    }
    engine
}

#[actix::test]
async fn every_control_is_reached_by_keyboard_and_the_focus_is_seen() {
    let engine = engine_with_stock().await;
    let paths = pages(&engine).await;
    let browser = Chromium::open(&engine).await;
    browser.goes_to("/ops").await;
    tab_through(&browser, "the sign-in").await;
    browser.signs_in(&engine).await;
    for path in &paths {
        browser.goes_to(path).await;
        tab_through(&browser, path).await;
    }
    // A question takes the focus, keeps it, and gives it back.
    browser.goes_to(&paths[2]).await;
    browser.clicks(".controls a[href$='action=schedule']").await;
    browser.sees("a question", "document.activeElement.id === 'reason'").await;
    browser.presses(ESCAPE).await;
    browser.sees("the page", "document.activeElement.href.endsWith('action=schedule')").await;
    browser.closes().await;
    engine.stop().await;
}

async fn tab_through(browser: &Chromium, path: &str) {
    let controls = browser.value(NUMBER_CONTROLS).await;
    assert!(controls.as_i64() > Some(3), "{path}: {controls}");
    for _ in 0..PRESSES_MAX {
        browser.presses(TAB).await;
        if browser.value("missing.size").await == 0 {
            break;
        }
    }
    let missing = browser.value("[...missing].map((control) => control.outerHTML)").await;
    assert_eq!(missing, json!([]), "{path}");
    assert_eq!(browser.value("unseen").await, json!([]), "{path}");
}

#[actix::test]
async fn every_page_is_readable_on_a_telephone_in_light_and_dark_in_both_languages() {
    let engine = engine_with_stock().await;
    let paths = pages(&engine).await;
    let browser = Chromium::open(&engine).await;
    browser.goes_to("/ops").await;
    browser.is_a_telephone().await;
    look_at(&browser, "the sign-in").await;
    browser.signs_in(&engine).await;
    for language in ["en", "ja"] {
        for path in &paths {
            browser.goes_to(path).await;
            assert_eq!(browser.value("document.documentElement.lang").await, language);
            look_at(&browser, path).await;
        }
        browser.goes_to("/ops").await;
        browser.clicks(".top button[lang]").await;
        browser.sees("the other language", &format!("document.documentElement.lang !== '{language}'")).await;
    }
    browser.closes().await;
    engine.stop().await;
}

async fn look_at(browser: &Chromium, path: &str) {
    for scheme in ["light", "dark"] {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        let is_dark = format!("matchMedia('(prefers-color-scheme: {scheme})').matches");
        browser.sees(scheme, &is_dark).await;
        assert_eq!(browser.value(TOO_FAINT).await, json!([]), "{path} {scheme}");
    }
    for is_telephone in [false, true] {
        if is_telephone {
            browser.is_a_telephone().await
        } else {
            browser.is_a_desk().await
        }
        let wide = "[document.documentElement.scrollWidth, innerWidth]";
        let fits = eventually("a width", async || {
            let widths = browser.value(wide).await;
            (widths[1] == if is_telephone { 360 } else { 1280 }).then_some(widths)
        })
        .await;
        assert!(fits[0].as_i64() <= fits[1].as_i64(), "{path}: {fits}");
    }
}
