//! A domain's contract, declared once: the messages that it answers, and those that it asks of others.
//!
//! [`contract!`] makes the ports of a domain from one line for each message; [`needs!`] makes what a domain asks of the
//! others from their contracts. The holder of a port cannot tell whether an actor of this process answers it, another
//! process, or a test's fake. A gRPC client and server need no more than the same lines: a name, a message that can be
//! serialised, and the reply and the error that follow from it.

use actix::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::AskError;
#[cfg(test)]
use super::port::Port;
use crate::error::Fault;

/// A message that another domain, or another process, may ask: it, its reply and its error own their data and can be
/// serialised.
pub trait Question:
    Message<Result = Result<Self::Reply, Self::Error>> + Serialize + DeserializeOwned + Send + 'static
{
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    type Error: Fault + From<AskError> + Serialize + DeserializeOwned + Send + 'static;
}

impl<M, T, E> Question for M
where
    M: Message<Result = Result<T, E>> + Serialize + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Fault + From<AskError> + Serialize + DeserializeOwned + Send + 'static,
{
    type Reply = T;
    type Error = E;
}

/// A port for a test: every question is refused with the same error.
#[cfg(test)]
pub(crate) fn refusing<M: Question>(error: &M::Error) -> Port<M>
where
    M::Error: Clone + Sync,
{
    let error = error.clone();
    Port::new(move |_| Box::pin(std::future::ready(Err(error.clone()))))
}

/// Compiles only for a message that may leave the process, and is refused with the domain's own error.
pub(crate) const fn is_a_question<M: Question<Error = E>, E>() {}

/// Declares the ports of a domain: `contract! { pub struct NamePorts of Actor, Error { method: Message, … } }`.
///
/// Messages under `beside the mailbox` are answered without the actor's turn; their ports are given to `of`.
macro_rules! contract {
    (
        $(#[$doc:meta])*
        pub struct $Ports:ident of $Actor:ty, $Error:ty {
            $($method:ident: $Message:ty,)*
        }
        $(beside the mailbox {
            $($direct:ident: $Direct:ty,)*
        })?
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $Ports {
            $(pub $method: $crate::actors::runtime::Port<$Message>,)*
            $($(pub $direct: $crate::actors::runtime::Port<$Direct>,)*)?
        }

        impl $Ports {
            /// The ports that the running actor answers.
            pub(crate) fn of(
                handle: &$crate::actors::runtime::Handle<$Actor>,
                $($($direct: $crate::actors::runtime::Port<$Direct>,)*)?
            ) -> Self {
                Self { $($method: handle.port(),)* $($($direct,)*)? }
            }

            /// Ports that refuse every question with the same error, for a test to replace those that it is about.
            #[cfg(test)]
            #[allow(dead_code, reason = "no test fakes every domain")]
            pub(crate) fn refusing(error: $Error) -> Self {
                use $crate::actors::runtime::contract::refusing;
                Self { $($method: refusing(&error),)* $($($direct: refusing(&error),)*)? }
            }
        }

        const _: () = {
            $($crate::actors::runtime::contract::is_a_question::<$Message, $Error>();)*
            $($($crate::actors::runtime::contract::is_a_question::<$Direct, $Error>();)*)?
        };
    };
}

/// Declares what a domain asks of others, taken from their contracts:
/// `needs! { pub struct NameNeeds { other: OtherPorts { method: Message, … } } }`.
macro_rules! needs {
    (
        $(#[$doc:meta])*
        pub struct $Needs:ident {
            $($domain:ident: $Ports:ty {
                $($method:ident: $Message:ty,)*
            })*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $Needs {
            $($(pub $method: $crate::actors::runtime::Port<$Message>,)*)*
        }

        impl $Needs {
            pub fn from($($domain: &$Ports),*) -> Self {
                Self { $($($method: $domain.$method.clone(),)*)* }
            }
        }
    };
}

pub(crate) use {contract, needs};
