//! An engine that is there and says nothing: the page says so, and goes on when it does.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::chromium::Chromium;
use crate::support::{TestEngine, eventually};
use crate::webdriver::ENTER;

/// The way to an engine, on which everything can be held up.
struct Line {
    base: String,
    is_held: watch::Sender<bool>,
}

impl Line {
    async fn to(engine: &TestEngine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (is_held, looked_at) = watch::channel(false);
        let engine = engine.engine.http_address();
        actix_rt::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(engine).await else { continue };
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                actix_rt::spawn(pass(from_near, to_far, looked_at.clone()));
                actix_rt::spawn(pass(from_far, to_near, looked_at.clone()));
            }
        });
        Self { base, is_held }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_held: watch::Receiver<bool>) {
    let mut bytes = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_held.wait_for(|is_held| !is_held).await.is_err() || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
}

#[actix::test]
async fn a_page_says_that_its_engine_is_silent_and_recovers_with_it() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 10).await;
    let staff = engine.staff().await;
    let plan = json!({
        "name": "Midnight", "opens_at": jiff::Timestamp::now(), "closes_at": "2099-01-01T00:00:00Z",
        "items": [{"sku": "LAMP", "price": 500, "allotment": 5}],
    });
    let sale = staff.post("/v1/admin/sales", plan).await.expect(201).id().to_owned();
    for action in ["schedule", "arm"] {
        staff
            .post(&format!("/v1/admin/sales/{sale}/{action}"), json!({"reason": "a test"}))
            .await
            .expect(200);
    }
    eventually("it is open", async || {
        let sale = staff.get(&format!("/v1/admin/sales/{sale}")).await.expect(200).body;
        (sale["status"] == "open").then_some(())
    })
    .await;
    let line = Line::to(&engine).await;
    let page = Chromium::open_at(line.base.clone()).await;
    page.signs_in(&engine).await;
    page.goes_to(&format!("/ops/sales/{sale}")).await;
    page.sees("it is live", "document.querySelector('#link.is-live')").await;
    page.sees("the green light", "document.querySelector('#light[data-is=true]:not([hidden])')").await;
    page.clicks("#control-pause").await;
    page.sees("a question", "document.activeElement.id === 'reason'").await;
    page.types("#reason", "who knows").await;

    line.is_held.send_replace(true);

    page.presses(ENTER).await;
    page.sees("it is lost", "document.querySelector('#link.is-lost')").await;
    page.sees("no light", "document.querySelector('#light[data-is=false]')").await;
    let told = "document.querySelector('dialog[open] [role=alert]')?.textContent";
    page.sees("no answer", &format!("{told}?.includes('did not answer')")).await;

    line.is_held.send_replace(false);

    page.sees("it is live again", "document.querySelector('#link.is-live')").await;
    page.sees("the green light", "document.querySelector('#light[data-is=true]')").await;
    engine.stop().await;
}
