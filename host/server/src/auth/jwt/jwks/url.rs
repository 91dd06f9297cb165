//! A key set at the URL of its issuer, which a thread fetches: when its `max-age` has passed, and when a token has a `kid`
//! that is not in the set.

use super::{Current, MAX_BYTES};
use crate::auth::jwt::error::JwksError;
use crate::http_client::{self, NoRootCertificates};
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, Uri, header};

/// The time of a whole fetch, and of the fetch at startup.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two fetches because of a token. It bounds what a client with invented `kid`s can cause.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// The time after which a failed fetch is repeated. It doubles with each further failure, up to the default `max-age`.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The bounds of `max-age`, and its value if the issuer sends none.
const MIN_MAX_AGE: Duration = MIN_REFRESH_INTERVAL;
const DEFAULT_MAX_AGE: Duration = Duration::from_mins(5);
const MAX_MAX_AGE: Duration = Duration::from_hours(24);

/// The URL of a key set: HTTPS, without user and password.
#[derive(Clone)]
pub struct JwksUrl(Uri);

impl JwksUrl {
    /// Parses a URL; `None` if it is not one of HTTPS, or contains a user.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let is_valid = url.scheme_str() == Some("https") && !url.authority()?.as_str().contains('@');
        is_valid.then_some(Self(url))
    }
}

/// Without the query, which can contain a secret.
impl fmt::Display for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}{}", self.0.authority().map_or("", |host| host.as_str()), self.0.path())
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The thread that fetches a set, and its state.
pub(super) struct Fetcher {
    state: Arc<State>,
    /// Wakes the thread. The thread ends when this is dropped.
    wake: SyncSender<()>,
}

struct State {
    progress: Mutex<Progress>,
    /// Changes when a fetch is finished.
    finished: watch::Sender<()>,
}

struct Progress {
    is_fetching: bool,
    last_end: Instant,
}

impl State {
    /// A panic cannot leave it inconsistent, because each of its fields is valid alone.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetcher {
    /// Starts the thread, which begins with a fetch.
    pub(super) fn start(url: JwksUrl, current: &Arc<Current>) -> Result<Self, JwksError> {
        let agent = new_agent()?;
        let progress = Progress { is_fetching: true, last_end: Instant::now() };
        let state = Arc::new(State { progress: Mutex::new(progress), finished: watch::Sender::new(()) });
        let (wake, woken) = sync_channel(1);
        let (for_thread, weak) = (Arc::clone(&state), Arc::downgrade(current));
        thread::Builder::new()
            .name("jwks-fetch".to_owned())
            .spawn(move || run(&url, &agent, &weak, &for_thread, &woken))
            .map_err(JwksError::Thread)?;
        Ok(Self { state, wake })
    }

    /// Waits until the fetch that runs now is finished.
    pub(super) async fn finish_one(&self) {
        let mut finished = self.state.finished.subscribe();
        if self.state.progress().is_fetching {
            // The thread ends only after this value.
            let _ = finished.changed().await;
        }
    }

    /// Fetches the set, or waits for the fetch that runs now. Does nothing if the last one was a moment ago.
    pub(super) async fn refresh(&self) {
        let mut finished = self.state.finished.subscribe();
        {
            let mut progress = self.state.progress();
            if !progress.is_fetching {
                if progress.last_end.elapsed() < MIN_REFRESH_INTERVAL {
                    return;
                }
                progress.is_fetching = true;
                let _ = self.wake.try_send(());
            }
        }
        let _ = finished.changed().await;
    }
}

/// Fetches until the receiver is disconnected.
fn run(url: &JwksUrl, agent: &Agent, current: &Weak<Current>, state: &State, woken: &Receiver<()>) {
    let (mut last, mut retry) = (None, RETRY_INTERVAL);
    loop {
        let fetched = fetch(url, agent);
        let Some(current) = current.upgrade() else { return };
        let wait = match fetched {
            Ok((document, max_age)) => {
                retry = RETRY_INTERVAL;
                if last.as_ref() != Some(&document) {
                    current.reload(&document);
                    last = Some(document);
                }
                max_age
            }
            Err(error) => {
                let wait = retry;
                retry = retry.saturating_mul(2).min(DEFAULT_MAX_AGE);
                tracing::error!(origin = current.origin, %error, "cannot fetch the key set; the last good one stays");
                wait
            }
        };
        drop(current);
        *state.progress() = Progress { is_fetching: false, last_end: Instant::now() };
        state.finished.send_replace(());
        match woken.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => state.progress().is_fetching = true,
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Why a set could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] ureq::Error),
    /// A redirect is not followed, because the configured URL decides whose keys are trusted.
    #[error("the response is a redirect; configure the URL that it leads to")]
    Redirect,
    #[error("the response has the status {0}")]
    Status(StatusCode),
}

/// Fetches the document and the time for which it is fresh.
fn fetch(url: &JwksUrl, agent: &Agent) -> Result<(Vec<u8>, Duration), FetchError> {
    let mut response = agent.get(&url.0).call()?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(FetchError::Redirect),
        status => return Err(FetchError::Status(status)),
    }
    let max_age = max_age(response.headers());
    Ok((response.body_mut().with_config().limit(MAX_BYTES).read_to_vec()?, max_age))
}

/// Reads `max-age` of `Cache-Control` (RFC 9111, section 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let seconds = values
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok());
    seconds.map_or(DEFAULT_MAX_AGE, Duration::from_secs).clamp(MIN_MAX_AGE, MAX_MAX_AGE)
}

fn new_agent() -> Result<Agent, NoRootCertificates> {
    let config = http_client::tls_config()?
        .https_only(true)
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .accept("application/json")
        .user_agent("delete-learning")
        .build();
    Ok(config.into())
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_MAX_AGE, HeaderMap, JwksUrl, MAX_MAX_AGE, MIN_MAX_AGE, header, max_age};
    use std::time::Duration;

    #[test]
    fn only_https_without_user_is_a_url() {
        for url in ["https://issuer.example/keys?p=1", "https://127.0.0.1:8443/", "https://[::1]/keys"] {
            assert!(JwksUrl::parse(url).is_some(), "{url}");
        }
        for url in
            ["http://issuer.example/", "https://user:secret@issuer.example/", "issuer.example", "https://", "/", ""]
        {
            assert!(JwksUrl::parse(url).is_none(), "{url}");
        }
        let shown = JwksUrl::parse("https://issuer.example/keys?secret=1").map(|url| format!("{url} {url:?}"));
        assert_eq!(shown.as_deref(), Some("https://issuer.example/keys https://issuer.example/keys"));
    }

    #[test]
    fn max_age_is_bounded() {
        for (value, expected) in [
            (None, DEFAULT_MAX_AGE),
            (Some("public, max-age=600, must-revalidate"), Duration::from_secs(600)),
            (Some("Max-Age=\"600\""), Duration::from_secs(600)),
            (Some("s-maxage=5, max-age=0"), MIN_MAX_AGE),
            (Some("no-store"), DEFAULT_MAX_AGE),
            (Some("max-age=99999999999"), MAX_MAX_AGE),
            (Some("max-age=-1"), DEFAULT_MAX_AGE),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (header::CACHE_CONTROL, value.parse().expect("a value"))));
            assert_eq!(max_age(&headers), expected, "{value:?}");
        }
    }
}
