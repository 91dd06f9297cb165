//! The metrics, in the text format of Prometheus.
//!
//! Counting is cheap: a handle that exists already and an atomic addition, without a lock and without an allocation. Values
//! that exist elsewhere, such as connections in use, are read when the metrics are scraped, through what [`Sources`]
//! collects.
//!
//! No label has a value of a request, except the rule that decided, of which a limited number is distinguished.
//!
//! | what | file |
//! |---|---|
//! | counters by a fixed list of names | `counters.rs` |
//! | histograms | `histogram.rs` |
//! | counters by rule | `rules.rs` |
//! | what is counted of requests, stores and caches | `requests.rs`, `storage.rs`, `credentials.rs` |
//! | the state of other parts, and the text | `sources.rs`, `exposition/`, `families.rs` |

mod config;
mod counters;
mod credentials;
mod exposition;
mod families;
mod histogram;
mod requests;
mod rules;
mod sources;
mod storage;

pub use config::MetricsConfig;
pub use credentials::CacheMetrics;
pub use exposition::CONTENT_TYPE;
pub use requests::{REQUEST_FAILED_RULE, RequestMetrics};
pub use sources::{
    AuditState, DatabaseSource, InUse, PolicyState, PoolState, ReadyState, Sources, StoreState, WalSize,
};
pub use storage::{Operation, PoolMetrics, StorageMetrics};
