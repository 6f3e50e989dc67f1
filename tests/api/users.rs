//! Accounts and sessions: who may sign in, and when tokens stop working.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::client::PASSWORD;
use crate::support::{TestEngine, eventually};

fn account(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password, "name": "佐藤 花子"})
}

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

fn refresh(token: &str) -> Value {
    json!({"refresh_token": token})
}

#[actix::test]
async fn a_customer_who_registers_is_signed_in() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();

    let answer = visitor.post("/v1/auth/register", account("Hanako@Example.jp", PASSWORD)).await.expect(201);

    let body = &answer.body;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["user"]["email"], "hanako@example.jp");
    assert_eq!(body["user"]["name"], "佐藤 花子");
    assert_eq!(body["user"]["role"], "customer");
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "token_type", "user"]);
    assert!(!answer.text.contains(PASSWORD) && !answer.text.contains("argon2"));

    let me = visitor.with_token(body["access_token"].as_str().unwrap()).get("/v1/users/me").await.expect(200);
    assert_eq!(me.body, body["user"]);
    engine.stop().await;
}

#[actix::test]
async fn an_email_address_is_taken_once_however_it_is_written() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    visitor.registered("hanako@example.jp").await;

    for email in ["hanako@example.jp", "HANAKO@example.JP", " hanako@example.jp "] {
        let answer = visitor.post("/v1/auth/register", account(email, PASSWORD)).await;
        answer.expect_problem(409, "email-taken");
    }
    engine.stop().await;
}

#[actix::test]
async fn one_of_many_simultaneous_registrations_of_an_address_succeeds() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    let register = || visitor.post("/v1/auth/register", account("hanako@example.jp", PASSWORD));

    let answers = futures_util::future::join_all((0..6).map(|_| register())).await;

    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    engine.stop().await;
}

#[actix::test]
async fn a_weak_password_is_refused_with_its_reason() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    for password in ["", "short", "aaaaaaaaaaaaaa", "password1234", "hanako-likes-plums", &"x1y2z".repeat(26)]
    {
        let answer = visitor.post("/v1/auth/register", account("hanako@example.jp", password)).await;
        let answer = answer.expect_problem(422, "weak-password");
        assert!(answer.body["reason"].is_string(), "{answer:?}");
        assert!(password.len() < 12 || !answer.text.contains(password), "{answer:?}");
    }
    visitor.post("/v1/auth/login", credentials("hanako@example.jp", PASSWORD)).await.expect(401);
    engine.stop().await;
}

#[actix::test]
async fn an_unknown_email_and_a_wrong_password_get_the_same_answer() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    visitor.registered("hanako@example.jp").await;
    let sign_in = async |email: &str| {
        let began = Instant::now();
        let answer = visitor.post("/v1/auth/login", credentials(email, "not the right one")).await;
        let took = began.elapsed();
        (answer.expect_problem(401, "bad-credentials"), took)
    };

    let (wrong_password, _) = sign_in("hanako@example.jp").await;
    let (unknown_email, _) = sign_in("nobody@example.jp").await;

    let without_id = |mut body: Value| {
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    assert_eq!(without_id(wrong_password.body), without_id(unknown_email.body));
    // The fastest of some, because anything may delay one: both check a hash, which nothing else takes as long as. On a
    // busy machine it takes some tries until neither was delayed; without a hash it would never come true.
    let fastest = std::cell::Cell::new((0, [Duration::MAX; 2]));
    eventually("both take the same time", async || {
        let (tries, [wrong_password, unknown_email]) = fastest.get();
        let wrong_password = wrong_password.min(sign_in("hanako@example.jp").await.1);
        let unknown_email = unknown_email.min(sign_in("nobody@example.jp").await.1);
        fastest.set((tries + 1, [wrong_password, unknown_email]));
        let is_same = unknown_email * 2 > wrong_password && wrong_password * 2 > unknown_email;
        (tries >= 4 && is_same).then_some(())
    })
    .await;
    engine.stop().await;
}

#[actix::test]
async fn a_second_sign_in_begins_another_session_and_signing_out_ends_one() {
    let engine = TestEngine::start().await;
    let first = engine.visitor().registered("hanako@example.jp").await;
    let second = engine.visitor().signed_in("HANAKO@example.jp").await;

    let signed_out = first.send(first.request(reqwest::Method::POST, "/v1/auth/logout")).await.expect(204);

    assert_eq!(signed_out.text, "");
    first.get("/v1/users/me").await.expect_problem(401, "session-ended");
    first
        .send(first.request(reqwest::Method::POST, "/v1/auth/logout"))
        .await
        .expect_problem(401, "session-ended");
    let token = first.refresh_token.clone().unwrap();
    first.post("/v1/auth/refresh", refresh(&token)).await.expect_problem(401, "bad-refresh-token");
    second.get("/v1/users/me").await.expect(200);
    engine.stop().await;
}

#[actix::test]
async fn an_ended_session_stays_ended_after_a_restart() {
    let engine = TestEngine::start().await;
    let ended = engine.customer().await;
    let going_on = engine.customer().await;
    ended.send(ended.request(reqwest::Method::POST, "/v1/auth/logout")).await.expect(204);

    let engine = engine.restart().await;

    let as_before = |token: &Option<String>| engine.visitor().with_token(token.clone().unwrap());
    as_before(&ended.token).get("/v1/users/me").await.expect_problem(401, "session-ended");
    as_before(&going_on.token).get("/v1/users/me").await.expect(200);
    engine.stop().await;
}

#[actix::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let engine = TestEngine::start().await;
    let customer = engine.customer().await;
    let first = customer.refresh_token.clone().unwrap();

    let rotated = customer.post("/v1/auth/refresh", refresh(&first)).await.expect(200);
    let second = rotated.body["refresh_token"].as_str().unwrap();
    assert_ne!(second, first);
    let renewed = customer.with_token(rotated.body["access_token"].as_str().unwrap());
    renewed.get("/v1/users/me").await.expect(200);
    customer.get("/v1/users/me").await.expect(200);

    customer.post("/v1/auth/refresh", refresh(&first)).await.expect_problem(401, "bad-refresh-token");

    customer.post("/v1/auth/refresh", refresh(second)).await.expect_problem(401, "bad-refresh-token");
    customer.get("/v1/users/me").await.expect_problem(401, "session-ended");
    renewed.get("/v1/users/me").await.expect_problem(401, "session-ended");
    engine.stop().await;
}

#[actix::test]
async fn using_one_refresh_token_twice_at_once_ends_the_session() {
    let engine = TestEngine::start().await;
    let customer = engine.customer().await;
    let token = customer.refresh_token.clone().unwrap();
    let refresh = || customer.post("/v1/auth/refresh", refresh(&token));

    let answers = futures_util::future::join_all((0..4).map(|_| refresh())).await;

    assert!(answers.iter().filter(|answer| answer.status == 200).count() <= 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 401)), "{answers:?}");
    customer.get("/v1/users/me").await.expect_problem(401, "session-ended");
    for winner in answers.iter().filter(|answer| answer.status == 200) {
        let token = winner.body["refresh_token"].as_str().unwrap();
        customer
            .post("/v1/auth/refresh", self::refresh(token))
            .await
            .expect_problem(401, "bad-refresh-token");
    }
    engine.stop().await;
}

#[actix::test]
async fn an_invented_or_old_refresh_token_is_refused() {
    let engine = TestEngine::start_with(|config| config.users.refresh_token_seconds = 1).await;
    let customer = engine.customer().await;
    for token in ["", "x", "gWkO0m1bN1oY0t9E4cO3w0m2v0w6d3J1b5h0m3x9p5c", &"a".repeat(10_000)] {
        customer.post("/v1/auth/refresh", refresh(token)).await.expect_problem(401, "bad-refresh-token");
    }
    // A token that still works is exchanged for the next one, so each attempt needs a session of its own.
    let token = customer.refresh_token.clone().unwrap();
    let lapsed = Instant::now() + Duration::from_millis(1_100);
    eventually("the refresh token is too old", async || (Instant::now() > lapsed).then_some(())).await;
    customer.post("/v1/auth/refresh", refresh(&token)).await.expect_problem(401, "bad-refresh-token");
    customer.get("/v1/users/me").await.expect(200);
    engine.stop().await;
}

#[actix::test]
async fn an_expired_access_token_is_refused() {
    let engine = TestEngine::start_with(|config| config.users.access_token_seconds = 2).await;
    let answer =
        engine.visitor().post("/v1/auth/register", account("hanako@example.jp", PASSWORD)).await.expect(201);
    assert_eq!(answer.body["expires_in"], 2);
    let customer = engine.visitor().with_token(answer.body["access_token"].as_str().unwrap());

    let refused = eventually("the token has expired", async || {
        let answer = customer.get("/v1/users/me").await;
        (answer.status != 200).then_some(answer)
    })
    .await;

    refused.expect_problem(401, "token-expired");
    engine.stop().await;
}

#[actix::test]
async fn a_token_that_the_engine_did_not_issue_is_refused() {
    let engine = TestEngine::start().await;
    let customer = engine.customer().await;
    let token = customer.token.clone().unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let key = &engine.visitor().get("/.well-known/jwks.json").await.expect(200).body["keys"][0];
    let decoded =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());

    let promoted = {
        let mut claims = decoded(claims);
        assert_eq!(claims["role"], "customer");
        claims["role"] = json!("admin");
        claims
    };
    let mut headed = Header::new(Algorithm::EdDSA);
    headed.kid = key["kid"].as_str().map(str::to_owned);
    let other_key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).to_pkcs8_der().unwrap();
    let by_another_key =
        jsonwebtoken::encode(&headed, &promoted, &EncodingKey::from_ed_der(other_key.as_bytes())).unwrap();
    // The public key as the secret of an HMAC, which a careless verifier believes.
    headed.alg = Algorithm::HS256;
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let by_public_key = jsonwebtoken::encode(&headed, &promoted, &EncodingKey::from_secret(&public)).unwrap();
    let none = encoded(&json!({"alg": "none", "typ": "JWT", "kid": key["kid"]}));
    let mut turned = signature.to_owned();
    turned.replace_range(10..11, if &signature[10..11] == "A" { "B" } else { "A" });

    for (what, forged) in [
        ("another claim", format!("{header}.{}.{signature}", encoded(&promoted))),
        ("another signature", format!("{header}.{claims}.{turned}")),
        ("no signature", format!("{header}.{claims}.")),
        ("alg none", format!("{none}.{claims}.")),
        ("alg none, promoted", format!("{none}.{}.", encoded(&promoted))),
        ("alg none, signed", format!("{none}.{claims}.{signature}")),
        ("another key", by_another_key),
        ("another algorithm", by_public_key),
        ("two parts", format!("{header}.{claims}")),
        ("nonsense", "nonsense".to_owned()),
        ("endless", "a".repeat(3_000)),
    ] {
        for path in ["/v1/users/me", "/v1/orders", "/v1/admin/inventory/LAMP"] {
            let answer = customer.with_token(forged.clone()).get(path).await;
            let answer = answer.expect_problem(401, "token-malformed");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
        }
    }
    for authorization in
        ["", "Bearer", "Bearer ", "Basic aGFuYWtvOnBsdW0=", &token, &format!("Token {token}")]
    {
        let asked = engine.visitor().request(reqwest::Method::GET, "/v1/users/me");
        let answer = customer.send(asked.header("Authorization", authorization)).await;
        answer.expect_problem(401, "token-missing");
    }
    customer.get("/v1/users/me").await.expect(200);
    engine.stop().await;
}

#[actix::test]
async fn the_published_key_verifies_tokens_and_reveals_no_secret() {
    let engine = TestEngine::start().await;
    let customer = engine.customer().await;

    let answer = engine.visitor().get("/.well-known/jwks.json").await.expect(200);

    let key = &answer.body["keys"][0];
    let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    let decoding = jsonwebtoken::DecodingKey::from_ed_components(key["x"].as_str().unwrap()).unwrap();
    let validation = jsonwebtoken::Validation::new(Algorithm::EdDSA);
    let token = jsonwebtoken::decode::<Value>(customer.token.unwrap(), &decoding, &validation).unwrap();
    assert_eq!(token.header.kid.as_deref(), key["kid"].as_str());
    engine.stop().await;
}
