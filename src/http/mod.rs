//! The only folder that knows sockets of clients. It accepts, frames, limits, queues and writes; it knows no route.
//!
//! One front thread (`front`) owns every connection that is not being answered and hands complete requests to worker
//! threads (`workers`), once the program has judged their heads ([`Judge`]); a worker answers through a [`Responder`],
//! after which the connection goes back to the front. docs/http.md has the states of a connection, who writes to its
//! socket in each, and the limits; docs/crates.md lists what this must survive.

mod accept;
mod caller;
mod cancel;
mod chunked;
mod connection;
mod counters;
mod date;
mod event_writer;
mod exchange;
mod front;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head;
mod incoming;
mod keep_alive;
mod opening;
mod proxy_protocol;
mod pulse;
mod query;
mod refusal;
mod request;
mod responder;
mod response;
mod seldom;
mod server;
mod socket;
mod stay;
mod stop;
mod target;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod wire;
mod workers;

pub use caller::Caller;
pub use cancel::{CancelToken, Leave};
pub use event_writer::{EventWriter, Pings};
pub use pulse::{answers, closes};
pub use query::{query_value, query_values};
pub use refusal::Refusal;
pub use request::{Headers, Request};
pub use responder::Responder;
pub use response::Response;
pub use server::{Admitted, Gauge, Judge, Lane, Limits, Running, Server, Snapshot, Trusts};
pub use tls::Certificates;
