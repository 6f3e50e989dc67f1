//! A stream of server-sent events, read as a browser reads it.

use std::time::Duration;

use serde_json::Value;

pub struct Events {
    stream: reqwest::Response,
    begun: String,
}

/// What a stream told; nothing in it but `retry` is the client's own business.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Comment,
    /// Its name, `message` where it has none, and its data.
    Named(String, Value),
}

impl Events {
    pub async fn open(request: reqwest::RequestBuilder) -> Self {
        let stream = request.send().await.expect("a stream");
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        assert_eq!(stream.headers()["cache-control"], "no-store");
        assert_eq!(stream.headers()["x-accel-buffering"], "no");
        Self { stream, begun: String::new() }
    }

    /// The next event; nothing when the stream has ended in order.
    pub async fn next(&mut self) -> Option<Event> {
        let wait = Duration::from_secs(30);
        loop {
            if let Some((event, rest)) = self.begun.split_once("\n\n") {
                let event = read(event);
                self.begun = rest.to_owned();
                return Some(event);
            }
            let chunk = tokio::time::timeout(wait, self.stream.chunk()).await.expect("something is told");
            let Some(chunk) = chunk.expect("the stream is not broken off") else {
                assert_eq!(self.begun, "", "a whole event");
                return None;
            };
            self.begun.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The data of the next event without a name.
    pub async fn message(&mut self) -> Value {
        loop {
            match self.next().await.expect("another event") {
                Event::Named(name, data) if name == "message" => return data,
                _ => {}
            }
        }
    }

    /// Everything until the end, which has to come.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

fn read(event: &str) -> Event {
    let field = |name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(": ").map(str::to_owned)
    };
    match field("data") {
        Some(data) => {
            let data = serde_json::from_str(&data).expect("json");
            Event::Named(field("event").unwrap_or_else(|| "message".to_owned()), data)
        }
        None => {
            assert!(event.starts_with(':'), "{event:?}");
            Event::Comment
        }
    }
}
