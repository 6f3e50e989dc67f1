//! The few commands of WebDriver (W3C, 2018) that the tests need, and chromedriver's own for DevTools and logs.
//!
//! The clients that there are would change more than they save: `thirtyfour` makes `serde_json` keep the order of members
//! everywhere, in the engine that is tested too, and `fantoccini` brings some twenty crates.

use reqwest::Method;
use serde_json::{Value, json};

/// What stands for an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that are no characters, as they are typed.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";

/// A browser that does what it is told.
pub struct Session {
    http: reqwest::Client,
    url: String,
}

#[derive(Clone)]
pub struct Element(String);

/// Why a command was not carried out, in chromedriver's words.
type Refused = String;

impl Session {
    pub async fn begin(port: &str, capabilities: Value) -> Result<Self, Refused> {
        let all = Self { http: reqwest::Client::new(), url: format!("http://127.0.0.1:{port}/session") };
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let begun = all.tell(Method::POST, "", wanted).await?;
        let id = begun["sessionId"].as_str().ok_or("a session has an id")?;
        Ok(Self { url: format!("{}/{id}", all.url), ..all })
    }

    async fn tell(&self, method: Method, path: &str, body: Value) -> Result<Value, Refused> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_done = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if is_done { Ok(answer["value"].take()) } else { Err(answer["value"]["message"].to_string()) }
    }

    pub async fn goes_to(&self, url: &str) -> Result<(), Refused> {
        self.tell(Method::POST, "/url", json!({"url": url})).await.map(drop)
    }

    /// What a script returns.
    pub async fn executes(&self, script: &str) -> Result<Value, Refused> {
        self.tell(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await
    }

    /// The elements that a CSS selector chooses.
    pub async fn finds(&self, selector: &str) -> Result<Vec<Element>, Refused> {
        let found =
            self.tell(Method::POST, "/elements", json!({"using": "css selector", "value": selector})).await?;
        Ok(found.as_array().into_iter().flatten().filter_map(Element::of).collect())
    }

    /// The one that has the focus.
    pub async fn active(&self) -> Result<Element, Refused> {
        let active = self.tell(Method::GET, "/element/active", Value::Null).await?;
        Element::of(&active).ok_or_else(|| format!("no element: {active}"))
    }

    pub async fn is_shown(&self, element: &Element) -> Result<bool, Refused> {
        Ok(self.tell(Method::GET, &element.path("displayed"), Value::Null).await? == true)
    }

    pub async fn clicks(&self, element: &Element) -> Result<(), Refused> {
        self.tell(Method::POST, &element.path("click"), json!({})).await.map(drop)
    }

    pub async fn clears(&self, element: &Element) -> Result<(), Refused> {
        self.tell(Method::POST, &element.path("clear"), json!({})).await.map(drop)
    }

    pub async fn types(&self, element: &Element, text: &str) -> Result<(), Refused> {
        self.tell(Method::POST, &element.path("value"), json!({"text": text})).await.map(drop)
    }

    /// A command of the DevTools.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value, Refused> {
        let wanted = json!({"cmd": command, "params": parameters});
        self.tell(Method::POST, "/goog/cdp/execute", wanted).await
    }

    /// What was logged of a kind since this was asked last: entries with `level` and `message`.
    pub async fn log(&self, kind: &str) -> Result<Vec<Value>, Refused> {
        let log = self.tell(Method::POST, "/se/log", json!({"type": kind})).await?;
        Ok(log.as_array().cloned().unwrap_or_default())
    }

    pub async fn ends(self) -> Result<(), Refused> {
        self.tell(Method::DELETE, "", Value::Null).await.map(drop)
    }
}

impl Element {
    fn of(value: &Value) -> Option<Self> {
        value[ELEMENT].as_str().map(|id| Self(id.to_owned()))
    }

    fn path(&self, command: &str) -> String {
        format!("/element/{}/{command}", self.0)
    }
}
