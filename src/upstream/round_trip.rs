//! One HTTP exchange with Google up to the head of the answer, and what its failures mean as a [`Fault`].

use super::error::{Fault, Refusal};
use super::{cancel, coding};
use crate::api::Call;
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ureq::http::{Request, Response};
use ureq::{Agent, Body, Error, Timeout};

/// No error body of Google's is longer; the rest of a page would not be read by anybody.
const MAX_ERROR_BODY: u64 = 256 << 10;

/// How long a model may think in silence where one answer may take many minutes (docs/gemini-4.md "Output limits").
const LONG_SILENCE: Duration = Duration::from_secs(15 * 60);

/// Sends a call as JSON.
pub(super) fn post(
    agent: &Agent,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    call: &Call,
) -> Result<Response<Body>, Fault> {
    let build = || {
        let request = headers.iter().fold(Request::post(url), |request, (name, value)| request.header(*name, *value));
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        request.map_err(|error| Fault::Connect(format!("request cannot be built: {error}")))
    };
    send(agent, build, call.long_decode.then_some(LONG_SILENCE))
}

/// Sends a request; `read` is another limit for silences. A kept connection that Google has just closed fails before any
/// byte of an answer: then the request is sent once more, on the same credential (docs/crates.md "ureq: stale connections"
/// measured 36 of 200).
pub(super) fn send<'a>(
    agent: &Agent,
    build: impl Fn() -> Result<Request<&'a [u8]>, Fault>,
    read: Option<Duration>,
) -> Result<Response<Body>, Fault> {
    let mut again = true;
    loop {
        let error = match run(agent, build()?, read) {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if cancel::cancelled() {
            return Err(Fault::Cancelled);
        }
        match error {
            Error::Io(error) if again && is_stale(&error) => {
                log::debug!("[ApiClient] Connection was closed before the answer ({error}). Sending once more.");
                again = false;
            }
            error => return Err(about_the_proxy(agent, &build()?, fault(error))),
        }
    }
}

fn run(agent: &Agent, request: Request<&[u8]>, read: Option<Duration>) -> Result<Response<Body>, Error> {
    if request.body().is_empty() && request.method().is_safe() {
        return agent.run(request.map(drop));
    }
    match read {
        Some(read) => agent.run(agent.configure_request(request).timeout_per_read(Some(read)).build()),
        None => agent.run(request),
    }
}

fn is_stale(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof | NotConnected)
}

/// Reads the body of an error answer.
pub(super) fn refusal(response: Response<Body>) -> Fault {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    // A body that breaks off is judged by what came, if only by the status.
    if let Ok(whole) = coding::undo(response) {
        let _ = whole.take(MAX_ERROR_BODY).read_to_end(&mut body);
    }
    if cancel::cancelled() {
        return Fault::Cancelled;
    }
    Refusal::read(status, &body, retry_after).fault()
}

/// `Retry-After` in seconds. Google writes no dates there.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// What went wrong before the head of the answer.
fn fault(error: Error) -> Fault {
    match error {
        Error::Timeout(Timeout::PerRead) => Fault::Timeout,
        Error::Timeout(Timeout::PerWrite) => Fault::Broken("timeout while sending".into()),
        Error::Timeout(which) => Fault::Connect(format!("timeout: {which}")),
        Error::Io(error) => match wrapped(error) {
            Ok(inner) => fault(inner),
            Err(error) if is_stale(&error) => Fault::Broken(error.to_string()),
            Err(error) => Fault::Connect(error.to_string()),
        },
        Error::Protocol(error) => Fault::Invalid(error.to_string()),
        error => Fault::Connect(error.to_string()),
    }
}

/// Where there is a proxy, no connection means that there was none to it.
fn about_the_proxy(agent: &Agent, request: &Request<&[u8]>, fault: Fault) -> Fault {
    let proxy = agent.config().proxy().filter(|proxy| !proxy.is_no_proxy(request.uri()));
    match (fault, proxy) {
        (Fault::Connect(why), Some(proxy)) => Fault::Proxy(format!("{}:{}", proxy.host(), proxy.port()), why),
        (fault, _) => fault,
    }
}

/// What went wrong in the body of the answer.
pub(super) fn body_fault(error: io::Error) -> Fault {
    if cancel::cancelled() {
        return Fault::Cancelled;
    }
    match wrapped(error) {
        Ok(Error::Timeout(_)) => Fault::Timeout,
        Ok(error) => Fault::Incomplete(error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Fault::Timeout,
        Err(error) => Fault::Incomplete(error.to_string()),
    }
}

/// ureq's own errors come out of readers, and out of TLS, inside an `io::Error`.
fn wrapped(error: io::Error) -> Result<Error, io::Error> {
    error.downcast::<Error>()
}
