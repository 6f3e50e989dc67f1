//! The envelope that every published event travels in: the JSON format of CloudEvents 1.0.
//!
//! | attribute         | value                                                                                  |
//! |-------------------|----------------------------------------------------------------------------------------|
//! | `id`              | of the event's row, so it is the same whenever the event is published again            |
//! | `source`          | of the domain, such as `/orders`; `source` and `id` together are unique                |
//! | `type`            | the event's name, such as `order.created`                                              |
//! | `subject`         | the key: what the event is about, such as the order's id                               |
//! | `time`            | of the change that the event reports                                                   |
//! | `dataschema`      | `urn:shobai:event:<name>:<version>`: the `$id` of the payload's schema, with its version |
//! | `partitionkey`    | the key again; CloudEvents' extension for the key of a Kafka record                    |
//!
//! `schemas/event-envelope.json` describes it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::domain_event::{DomainEvent, EventError};

const SPEC_VERSION: &str = "1.0";
const CONTENT_TYPE: &str = "application/json";

/// An event as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: Uuid,
    pub name: String,
    pub version: i16,
    /// What the event is about, in text.
    pub key: String,
    pub at: Timestamp,
    /// JSON.
    pub payload: String,
}

/// An event as it is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    pub specversion: Cow<'static, str>,
    pub id: Uuid,
    pub source: Cow<'static, str>,
    #[serde(rename = "type")]
    pub event_type: Cow<'static, str>,
    pub subject: String,
    pub time: Timestamp,
    pub datacontenttype: Cow<'static, str>,
    pub dataschema: String,
    pub partitionkey: String,
    /// The payload, character for character as it is stored.
    pub data: Box<RawValue>,
}

impl Envelope {
    /// Wraps a stored event of the domain whose events are `E`; the payload is not looked into.
    ///
    /// Refuses with `UnknownType` or, when the payload is not JSON, with `Malformed`.
    pub fn of<E: DomainEvent>(stored: StoredEvent) -> Result<Self, EventError> {
        let StoredEvent { id, name, version, key, at, payload } = stored;
        let known = E::TYPES.iter().find(|known| known.name == name && known.version == version);
        let known = *known.ok_or_else(|| EventError::unknown_type(&name, version))?;
        let data = RawValue::from_string(payload)
            .map_err(|problem| EventError::malformed(known.name, version, &problem))?;
        Ok(Self {
            specversion: SPEC_VERSION.into(),
            id,
            source: E::SOURCE.into(),
            event_type: known.name.into(),
            subject: key.clone(),
            time: at,
            datacontenttype: CONTENT_TYPE.into(),
            dataschema: known.schema(),
            partitionkey: key,
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::events::{EventData, EventType, NewEvent, domain_events};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct CouponGiven {
        coupon: String,
    }

    impl EventData for CouponGiven {
        fn key(&self) -> String {
            self.coupon.clone()
        }
    }

    domain_events! {
        enum CouponEvent from "/coupons" {
            Given(CouponGiven) = "coupon.given", version 2;
        }
    }

    fn given() -> CouponEvent {
        CouponEvent::Given(CouponGiven { coupon: "SUMMER".into() })
    }

    fn stored(event: NewEvent) -> StoredEvent {
        StoredEvent {
            id: event.id,
            name: event.name.into(),
            version: event.version,
            key: given().key(),
            at: "2026-12-01T00:00:00Z".parse().unwrap(),
            payload: event.payload,
        }
    }

    #[test]
    fn an_envelope_has_the_attributes_of_cloudevents_and_the_stored_payload() {
        let event = NewEvent::of(&given()).unwrap();
        let envelope = Envelope::of::<CouponEvent>(stored(event.clone())).unwrap();
        assert_eq!(
            serde_json::to_value(&envelope).unwrap(),
            json!({
                "specversion": "1.0",
                "id": event.id,
                "source": "/coupons",
                "type": "coupon.given",
                "subject": "SUMMER",
                "time": "2026-12-01T00:00:00Z",
                "datacontenttype": "application/json",
                "dataschema": "urn:shobai:event:coupon.given:2",
                "partitionkey": "SUMMER",
                "data": {"coupon": "SUMMER"},
            })
        );
        let read: Envelope = serde_json::from_str(&serde_json::to_string(&envelope).unwrap()).unwrap();
        assert_eq!(read.data.get(), envelope.data.get());
    }

    #[test]
    fn a_stored_event_is_read_back_as_it_was_written() {
        let event = NewEvent::of(&given()).unwrap();
        assert_eq!(CouponEvent::TYPES, [EventType { name: "coupon.given", version: 2 }]);
        assert_eq!(CouponEvent::read(event.name, event.version, &event.payload), Ok(given()));
        // A field that was added since is no obstacle.
        let newer = r#"{"coupon": "SUMMER", "value": 500}"#;
        assert_eq!(CouponEvent::read("coupon.given", 2, newer), Ok(given()));
    }

    #[test]
    fn an_event_of_another_domain_or_version_and_a_defective_payload_are_refused() {
        for (name, version) in [("coupon.given", 1), ("order.created", 2)] {
            let refused = Err(EventError::unknown_type(name, version));
            assert_eq!(CouponEvent::read(name, version, "{}"), refused);
        }
        assert!(matches!(CouponEvent::read("coupon.given", 2, "{}"), Err(EventError::Malformed { .. })));
        let mut unknown = stored(NewEvent::of(&given()).unwrap());
        unknown.version = 1;
        assert!(matches!(Envelope::of::<CouponEvent>(unknown), Err(EventError::UnknownType { .. })));
        let mut defective = stored(NewEvent::of(&given()).unwrap());
        defective.payload = "{".into();
        assert!(matches!(Envelope::of::<CouponEvent>(defective), Err(EventError::Malformed { .. })));
        assert!(serde_json::from_value::<Envelope>(Value::Null).is_err());
    }
}
