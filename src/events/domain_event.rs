//! What every event can say about itself, and the macro that declares a domain's events.

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The name and version of an event on the wire, such as version 1 of `order.created`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType {
    /// `<noun>.<past participle>`.
    pub name: &'static str,
    /// Counted from 1, anew for each name.
    pub version: i16,
}

impl EventType {
    /// The name of the event's JSON Schema: the `$id` in it, and `dataschema` in the envelope.
    pub fn schema(self) -> String {
        format!("urn:shobai:event:{}:{}", self.name, self.version)
    }

    /// The file with the event's JSON Schema under `schemas/events/`.
    pub fn schema_file(self) -> String {
        format!("{}.v{}.json", self.name, self.version)
    }
}

/// All events of one domain; implemented by `domain_events!`.
pub trait DomainEvent: Sized {
    /// Where the events come from: `source` in the envelope.
    const SOURCE: &'static str;
    /// The types of all variants, in the order of their declaration.
    const TYPES: &'static [EventType];

    fn event_type(&self) -> EventType;

    /// What it is about, in text. Events with the same key are published in the order in which they were written.
    fn key(&self) -> String;

    /// The payload as JSON.
    fn payload(&self) -> Result<String, serde_json::Error>;

    /// The event in a stored row. Refuses with `UnknownType` or `Malformed`.
    fn read(name: &str, version: i16, payload: &str) -> Result<Self, EventError>;
}

/// The payload of an event.
pub trait EventData: Serialize + DeserializeOwned {
    /// See [`DomainEvent::key`].
    fn key(&self) -> String;
}

/// Why a stored row is not an event of a domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("there is no event {name} of version {version}")]
    UnknownType { name: String, version: i16 },
    #[error("the payload of {name} of version {version} is defective: {problem}")]
    Malformed { name: String, version: i16, problem: String },
}

impl EventError {
    pub(crate) fn unknown_type(name: &str, version: i16) -> Self {
        Self::UnknownType { name: name.to_owned(), version }
    }

    pub(crate) fn malformed(name: &str, version: i16, problem: &serde_json::Error) -> Self {
        Self::Malformed { name: name.to_owned(), version, problem: problem.to_string() }
    }
}

/// An event as the row that reports it: everything but what the table itself knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Stays with the row, so that consumers recognise an event that is published twice.
    pub id: Uuid,
    pub name: &'static str,
    pub version: i16,
    /// JSON.
    pub payload: String,
}

impl NewEvent {
    pub fn of(event: &impl DomainEvent) -> Result<Self, serde_json::Error> {
        let EventType { name, version } = event.event_type();
        Ok(Self { id: Uuid::now_v7(), name, version, payload: event.payload()? })
    }
}

/// Declares a domain's events: an enum that implements [`DomainEvent`], with a payload in each variant.
///
/// ```text
/// domain_events! {
///     /// What becomes of coupons.
///     pub enum CouponEvent from "/coupons" {
///         /// A coupon was given to a customer.
///         Given(CouponGiven) = "coupon.given", version 1;
///     }
/// }
/// ```
macro_rules! domain_events {
    (
        $(#[$doc:meta])*
        $vis:vis enum $event:ident from $source:literal {
            $($(#[$variant_doc:meta])* $variant:ident($data:ty) = $name:literal, version $version:literal;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $event {
            $($(#[$variant_doc])* $variant($data),)+
        }

        impl $crate::events::DomainEvent for $event {
            const SOURCE: &'static str = $source;
            const TYPES: &'static [$crate::events::EventType] =
                &[$($crate::events::EventType { name: $name, version: $version }),+];

            fn event_type(&self) -> $crate::events::EventType {
                match self {
                    $(Self::$variant(_) => $crate::events::EventType { name: $name, version: $version },)+
                }
            }

            fn key(&self) -> String {
                match self {
                    $(Self::$variant(data) => $crate::events::EventData::key(data),)+
                }
            }

            fn payload(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$variant(data) => serde_json::to_string(data),)+
                }
            }

            fn read(name: &str, version: i16, payload: &str) -> Result<Self, $crate::events::EventError> {
                let event = match (name, version) {
                    $(($name, $version) => serde_json::from_str::<$data>(payload).map(Self::$variant),)+
                    _ => return Err($crate::events::EventError::unknown_type(name, version)),
                };
                event.map_err(|problem| $crate::events::EventError::malformed(name, version, &problem))
            }
        }
    };
}

pub(crate) use domain_events;
