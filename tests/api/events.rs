//! What orders report to other services: every event as its schema says, in an envelope that can be published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shobai::actors::orders::{Confirmation, OrderEvent, OrderStatus, PlacedLine, PlacedOrder, StatusChange};
use shobai::events::{DomainEvent, Envelope, EventType, StoredEvent};
use shobai::types::{Currency, CustomerId, OrderId, Quantity};

use super::payments::{paid, report};
use crate::support::{TestEngine, eventually};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// A schema that also refuses members that it does not describe; consumers are meant to ignore them.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            let is_object = members.contains_key("properties") && members.contains_key("required");
            members.values_mut().for_each(|member| *member = closed(member.take()));
            if is_object {
                members.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        _ => {}
    }
    schema
}

/// What of the document is not as the schema in this file says.
fn problems(file: &Path, document: &Value) -> Vec<String> {
    let schema = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let schema = closed(serde_json::from_str(&schema).unwrap());
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

fn schema_of(event: EventType) -> PathBuf {
    schemas().join("events").join(event.schema_file())
}

fn payload(event: &OrderEvent) -> Value {
    serde_json::from_str(&event.payload().unwrap()).unwrap()
}

/// The types of every domain's events.
fn all_types() -> Vec<EventType> {
    [OrderEvent::TYPES].concat()
}

/// Every variant at least once, in each of its forms.
fn order_events() -> Vec<OrderEvent> {
    let order_id = OrderId::generate();
    let placed = |status| PlacedOrder {
        order_id,
        number: "04HMAS-W9NF6Y-7G28T5".into(),
        customer_id: CustomerId::generate(),
        status,
        total: 3_960,
        currency: Currency::Yen,
        lines: vec![PlacedLine {
            sku: "LAMP".parse().unwrap(),
            quantity: Quantity::new(2).unwrap(),
            unit_price: 1_980,
        }],
    };
    let change = |status| StatusChange { order_id, status, reason: "a reason".into() };
    use OrderStatus::*;
    vec![
        OrderEvent::Placed(placed(AwaitingPayment)),
        OrderEvent::Placed(placed(Confirmed)),
        OrderEvent::Confirmed(Confirmation::WhenPlaced(placed(Confirmed))),
        OrderEvent::Confirmed(Confirmation::Later(change(Confirmed))),
        OrderEvent::Cancelled(change(Cancelled)),
        OrderEvent::Expired(change(Expired)),
        OrderEvent::PaymentRefunded(change(Cancelled)),
        OrderEvent::PaymentRefunded(change(Expired)),
    ]
}

#[test]
fn every_event_is_serialised_as_its_schema_says() {
    let events = order_events();
    let seen: BTreeSet<_> = events.iter().map(OrderEvent::event_type).collect();
    assert_eq!(seen, OrderEvent::TYPES.iter().copied().collect());
    for event in events {
        assert_eq!(
            problems(&schema_of(event.event_type()), &payload(&event)),
            [] as [String; 0],
            "{event:?}"
        );
        // And it is refused with a member less or more.
        for member in payload(&event).as_object().unwrap().keys() {
            let mut without = payload(&event);
            without.as_object_mut().unwrap().remove(member);
            assert!(
                !problems(&schema_of(event.event_type()), &without).is_empty(),
                "{event:?} without {member}"
            );
        }
        let mut more = payload(&event);
        more["note"] = json!("new");
        assert!(!problems(&schema_of(event.event_type()), &more).is_empty(), "{event:?} with a note");
    }
}

#[test]
fn every_event_has_a_schema_and_every_schema_an_event() {
    let declared: BTreeMap<String, EventType> =
        all_types().into_iter().map(|event| (event.schema_file(), event)).collect();
    assert_eq!(declared.len(), all_types().len(), "two domains have an event of the same name");
    let files: BTreeSet<String> = std::fs::read_dir(schemas().join("events"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, declared.keys().cloned().collect());
    for (file, event) in declared {
        let text = std::fs::read_to_string(schemas().join("events").join(&file)).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["$id"], event.schema(), "{file}");
        assert_eq!(schema["title"], format!("{}, version {}", event.name, event.version), "{file}");
    }
}

/// The rows of `orders.events`, in the order in which they were written.
async fn stored_events(engine: &TestEngine) -> Vec<StoredEvent> {
    let connection = engine.engine.database().connection().await.unwrap();
    let rows = connection
        .query(
            "select id, name, version, order_id::text as key, at, payload::text as payload
               from orders.events order by position",
            &[],
        )
        .await
        .unwrap();
    rows.iter()
        .map(|row| StoredEvent {
            id: row.get("id"),
            name: row.get("name"),
            version: row.get("version"),
            key: row.get("key"),
            at: row.get("at"),
            payload: row.get("payload"),
        })
        .collect()
}

#[actix::test]
async fn the_events_of_real_orders_are_read_back_as_publishable_envelopes() {
    let engine = TestEngine::start().await;
    engine.sells("LAMP", 20).await;
    let customer = engine.customer().await;

    let card = customer.orders_by_card("LAMP", 1).await.expect(201);
    let konbini = customer.orders("LAMP", 1).await.expect(201);
    report(&engine, &paid(konbini.id(), 1_980)).await.expect(200);
    let cancelled = customer.orders("LAMP", 1).await.expect(201);
    customer.cancels(cancelled.id()).await.expect(200);
    let expired = customer.orders("LAMP", 1).await.expect(201);
    let sql = "update orders.orders set expires_at = now() - interval '1 second' where id =";
    engine.by_hand(&format!("{sql} '{}'", expired.id())).await;
    eventually("the order expires", async || {
        (customer.order(expired.id()).await.order_status() == "expired").then_some(())
    })
    .await;
    report(&engine, &paid(expired.id(), 1_980)).await.expect(200);

    let stored = stored_events(&engine).await;
    let names_of = |id: &str| -> Vec<&str> {
        stored.iter().filter(|event| event.key == id).map(|event| event.name.as_str()).collect()
    };
    assert_eq!(names_of(card.id()), ["order.created", "order.confirmed"]);
    assert_eq!(names_of(konbini.id()), ["order.created", "order.confirmed"]);
    assert_eq!(names_of(cancelled.id()), ["order.created", "order.cancelled"]);
    assert_eq!(names_of(expired.id()), ["order.created", "order.expired", "order.payment_refunded"]);
    let seen: BTreeSet<_> = stored.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(seen, OrderEvent::TYPES.iter().map(|event| event.name).collect());

    for row in stored.clone() {
        let event = OrderEvent::read(&row.name, row.version, &row.payload).unwrap();
        assert_eq!(event.key(), row.key);
        assert_eq!(payload(&event), serde_json::from_str::<Value>(&row.payload).unwrap());

        let envelope = serde_json::to_value(Envelope::of::<OrderEvent>(row.clone()).unwrap()).unwrap();
        assert_eq!(problems(&schemas().join("event-envelope.json"), &envelope), [] as [String; 0]);
        assert_eq!(problems(&schema_of(event.event_type()), &envelope["data"]), [] as [String; 0]);
        assert_eq!(envelope["source"], "/orders");
        assert_eq!(envelope["type"], row.name);
        assert_eq!(envelope["dataschema"], event.event_type().schema());
        assert_eq!((&envelope["subject"], &envelope["partitionkey"]), (&json!(row.key), &json!(row.key)));
    }
    // Read once more, an event has the same envelope.
    let again = stored_events(&engine).await;
    let ids: BTreeSet<_> = again.iter().map(|event| event.id).collect();
    assert_eq!((again == stored, ids.len()), (true, stored.len()));
    engine.stop().await;
}
