//! Fields and bodies between hyper's HTTP/2 and ours.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::message::fields::Fields;
use crate::message::framing::useful_trailers;
use crate::request::body::Broken;

/// Passes something of a body on; false: that was all, and what came after it is in `trailers`.
pub(crate) fn poll(
    incoming: &mut Incoming,
    cx: &mut Context<'_>,
    out: &mut Vec<u8>,
    trailers: &mut Option<Fields>,
) -> Poll<Result<bool, Broken>> {
    loop {
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            // Hyper takes some resets for an end of the body.
            None if incoming.is_end_stream() => return Poll::Ready(Ok(false)),
            None => return Poll::Ready(Err(Broken::Peer)),
            Some(Err(_)) => return Poll::Ready(Err(Broken::Peer)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    out.extend_from_slice(&data);
                    return Poll::Ready(Ok(true));
                }
                Err(frame) => {
                    *trailers = frame.into_trailers().ok().and_then(|map| useful_trailers(&from_map(&map)))
                }
            },
        }
    }
}

/// Fields as we have them.
pub(crate) fn from_map(map: &HeaderMap) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in map {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    fields
}

/// Fields as HTTP/2 wants them; what is not valid there is left out.
pub(crate) fn to_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.iter().count());
    for (_, name, value) in fields.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}
