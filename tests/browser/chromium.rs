//! A Chromium that ends with its test however the test ends, driven through chromedriver (WebDriver and DevTools).

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use serde_json::{Value, json};
use shobai::actors::users::Role;

use crate::support::client::PASSWORD;
use crate::support::{TestEngine, eventually};
use crate::webdriver::{ENTER, Element, Session};

/// Where pictures of the page are left: `make pictures` takes those of the README from there.
const PICTURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/browser");

pub struct Chromium {
    session: Option<Session>,
    process: Child,
    /// Closed, it ends chromedriver and all that it started.
    leash: Option<ChildStdin>,
    root: PathBuf,
    /// Of the engine: the only one that anything may be asked of.
    base: String,
}

impl Chromium {
    /// A browser with English as its language, before the page of an engine.
    pub async fn open(engine: &TestEngine) -> Self {
        Self::open_at(engine.base()).await
    }

    pub async fn open_at(base: String) -> Self {
        for program in ["chromium", "chromedriver"] {
            let is_there = Command::new(program).arg("--version").stderr(Stdio::null()).output().is_ok();
            assert!(is_there, "there is no {program}; `dev/setup tests` installs it");
        }
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("shobai-browser-{}-{number}", std::process::id()));
        std::fs::create_dir_all(root.join("files")).expect("a directory");
        std::fs::create_dir_all(PICTURES).expect("a directory");
        let (process, leash, port) = start_chromedriver();
        let mut chromium = Self { session: None, process, leash: Some(leash), root, base };

        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--accept-lang=en".to_owned(),
            "--force-color-profile=srgb".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--user-data-dir={}", chromium.root.join("profile").display()),
        ];
        if nix::unistd::geteuid().is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let wanted = json!({
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        chromium.session = Some(Session::begin(&port, wanted).await.expect("a session"));
        let files = json!({"behavior": "allow", "downloadPath": chromium.files()});
        chromium.devtools("Browser.setDownloadBehavior", files).await;
        chromium.is_a_desk().await;
        chromium
    }

    fn session(&self) -> &Session {
        self.session.as_ref().expect("a session")
    }

    /// Where files are put that were taken along.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.session().devtools(method, parameters).await.expect(method)
    }

    pub async fn goes_to(&self, path: &str) {
        self.session().goes_to(&format!("{}{path}", self.base)).await.expect("a page");
    }

    /// The value of an expression in the page.
    pub async fn value(&self, expression: &str) -> Value {
        let found = self.session().executes(&format!("return ({expression});")).await;
        found.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression is true in the page.
    pub async fn sees(&self, what: &str, expression: &str) {
        eventually(what, async || {
            (self.value(&format!("Boolean({expression})")).await == true).then_some(())
        })
        .await;
    }

    /// The element of a selector, if it is the only one that is shown.
    async fn only(&self, selector: &str) -> Option<Element> {
        let mut shown = Vec::new();
        for element in self.session().finds(selector).await.ok()? {
            if self.session().is_shown(&element).await.ok()? {
                shown.push(element);
            }
        }
        (shown.len() == 1).then(|| shown.remove(0))
    }

    /// Clicks on an element as soon as that can be done: parts of the page are loaded anew at any time.
    pub async fn clicks(&self, selector: &str) {
        eventually(selector, async || self.session().clicks(&self.only(selector).await?).await.ok()).await;
    }

    pub async fn types(&self, selector: &str, text: &str) {
        eventually(selector, async || {
            let field = self.only(selector).await?;
            self.session().clears(&field).await.ok()?;
            self.session().types(&field, text).await.ok()
        })
        .await;
    }

    /// Presses a key wherever the focus is.
    pub async fn presses(&self, key: &str) {
        let focused = self.session().active().await.expect("a focus");
        self.session().types(&focused, key).await.expect("a key");
    }

    /// Signs in as a new member of staff, in whatever language the page is.
    pub async fn signs_in(&self, engine: &TestEngine) {
        let staff = engine.staff().await.get("/v1/users/me").await.expect(200);
        assert_eq!(staff.body["role"], Role::Staff.as_str());
        self.goes_to("/ops").await;
        self.types("#email", staff.body["email"].as_str().expect("an email")).await;
        self.types("#password", PASSWORD).await;
        self.presses(ENTER).await;
        self.sees("the list of sales", "document.querySelector('.calendar')").await;
    }

    pub async fn is_a_desk(&self) {
        self.is_as_wide_as(1280, 900, false).await;
    }

    pub async fn is_a_telephone(&self) {
        self.is_as_wide_as(360, 740, true).await;
    }

    async fn is_as_wide_as(&self, width: u32, height: u32, is_mobile: bool) {
        let device = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", device).await;
    }

    /// A picture of the page's first pixels from above, left for people to look at.
    pub async fn takes_a_picture(&self, name: &str, height: u32) {
        let width = self.value("document.documentElement.clientWidth").await;
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let wanted = json!({"format": "png", "clip": clip, "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        let picture = picture["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture).expect("a picture");
        std::fs::write(Path::new(PICTURES).join(format!("{name}.png")), bytes).expect("a file");
    }

    /// Ends it, after a look at what it has to say.
    pub async fn closes(mut self) {
        self.was_quiet().await;
        self.session.take().expect("a session").ends().await.expect("its end");
    }

    /// No error, no warning, and no request to another server.
    pub async fn was_quiet(&self) {
        let said = self.session().log("browser").await.expect("its log");
        let bad: Vec<_> =
            said.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING").collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let events = self.session().log("performance").await.expect("its log");
        let asked: Vec<String> = events
            .iter()
            .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok())
            .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|event| event["message"]["params"]["request"]["url"].as_str().map(str::to_owned))
            .collect();
        assert!(asked.len() > 5, "{asked:?}");
        // The browser's own first page is not ours.
        let own = [&*format!("{}/ops", self.base), "data:", "chrome://"];
        let foreign: Vec<_> =
            asked.iter().filter(|url| !own.iter().any(|own| url.starts_with(own))).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Starts chromedriver on a free port, in a group of processes that ends when its input does: with the test, or with the
/// process that runs it.
fn start_chromedriver() -> (Child, ChildStdin, String) {
    let script = "chromedriver --port=0 & read -r _; kill -KILL 0";
    let mut process = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell");
    let leash = process.stdin.take().expect("its input");
    let said = BufReader::new(process.stdout.take().expect("its output"));
    let mut lines = said.lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    // What it says later is of no interest, but must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (process, leash, port.expect("chromedriver says its port"))
}

/// The text of a file that is taken along, once it is whole.
pub async fn file_in(folder: &Path, end: &str) -> String {
    eventually(end, async || {
        let found = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        let whole = found.into_iter().find(|path| path.to_string_lossy().ends_with(end))?;
        std::fs::read_to_string(whole).ok()
    })
    .await
}
