//! The REST API: a file per resource with its bodies, views and handlers, the routes of staff beside those of customers.

pub mod docs;
pub mod dry_run;
pub mod inventory;
mod money;
pub mod orders;
pub mod products;
pub mod proposals;
pub mod report;
pub mod sale_snapshot;
pub mod sales;
pub mod users;
pub mod vitals;
pub mod waiting_room;
pub mod webhooks;
pub mod why;
