//! What processes that share a folder tell each other. Data only: how it travels is `wire`.
//!
//! A connection begins with a [`Request`], to which the listeners of the application are attached. After that the holder
//! tells of what becomes of it, and the guest may ask for its end. When a connection ends, so does what it was for: the
//! guest is gone, or the holder is.

use std::collections::BTreeMap;

use api::carried::Carried;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::files::Read;
use super::roster::About;
use crate::failure::Failure;

/// Who asks, and for what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request<A> {
    #[serde(flatten)]
    pub(super) asker: Asker,
    pub(super) what: What<A>,
}

/// Who asks. Is understood by any version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asker {
    /// Of the program: what is said below differs from version to version.
    pub(super) version: String,
    /// In which network it is, as the kernel names it: an address means the same only in one.
    pub(super) network: String,
}

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum What<A> {
    /// To serve an application, on as many listeners as are attached.
    Serve {
        application: A,
        /// How many of the listeners are HTTP's; these come first.
        http: usize,
        /// What stood with who served it before.
        carried: Vec<Carried>,
    },
    /// Who is served.
    List,
    /// That all instances of an application end.
    Stop { app_id: String },
}

/// What a guest says later.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromGuest {
    /// Finish what is in flight.
    End,
    /// This is declared from now on.
    Declared(Read),
    /// This is told of the application besides.
    Noted(BTreeMap<String, String>),
}

/// What the holder says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FromHolder {
    /// It is there.
    Alive,
    /// To be printed as it is.
    Print(String),
    /// The application is served.
    Ready { pid: u32 },
    /// The application has told it this, and whoever serves it next has to know.
    Carried(Carried),
    /// No more connections are taken.
    Closing,
    /// The application has ended as it was asked to.
    Ended,
    /// The holder ends: another may serve it.
    Moving,
    /// It will not be served.
    Failed(Refusal),
    /// These are served.
    Listed(Vec<About>),
    /// So many are being ended.
    Stopping(usize),
}

/// Why something is not done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    message: String,
    hints: Vec<String>,
    details: BTreeMap<String, Value>,
    code: u8,
}

impl Asker {
    /// Why an asker cannot be served by this one.
    pub(super) fn refuses(&self, asker: &Asker, pid: u32) -> Option<Failure> {
        if asker.version != self.version {
            let failure = Failure::new(format!(
                "the sidecar with pid {pid}, which has the data folder open, is of another version: {}, and this is {}",
                self.version, asker.version
            ));
            return Some(failure.hint("use the same program for all sidecars of a data folder: end the others first, or name another folder with --data"));
        }
        if asker.network != self.network {
            let failure = Failure::new(format!(
                "the sidecar with pid {pid}, which has the data folder open, is in another network namespace: it could not reach this application"
            ));
            return Some(failure.hint("give each container a data folder of its own with --data"));
        }
        None
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal {
            message: failure.message,
            hints: failure.hints,
            details: failure.details.into_iter().collect(),
            code: failure.code,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure {
            message: refusal.message,
            hints: refusal.hints,
            details: Map::from_iter(refusal.details),
            code: refusal.code,
        }
    }
}

/// A message in bytes: its length, and then JSON.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, message).map_err(|error| error.to_string())?;
    let length = frame.len() - LENGTH_BYTES;
    if length > FRAME_BYTES_MAX {
        return Err(format!("it has {length} bytes, and {FRAME_BYTES_MAX} are the most"));
    }
    frame[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(frame)
}

/// How many bytes a frame has behind its length.
pub(super) fn length(bytes: [u8; LENGTH_BYTES]) -> Result<usize, String> {
    let length = u32::from_be_bytes(bytes) as usize;
    match length <= FRAME_BYTES_MAX {
        true => Ok(length),
        false => Err(format!("a message of {length} bytes: {FRAME_BYTES_MAX} are the most")),
    }
}

/// The first message of what has been received so far, and how many bytes it took.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(received: &[u8]) -> Result<Option<(T, usize)>, String> {
    let Some((first, rest)) = received.split_first_chunk() else { return Ok(None) };
    let length = length(*first)?;
    let Some(json) = rest.get(..length) else { return Ok(None) };
    let message = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    Ok(Some((message, LENGTH_BYTES + length)))
}

/// How the length of a message is written: a number, its highest byte first.
pub(super) const LENGTH_BYTES: usize = 4;
/// Largest message: an application comes with all of its resource files, and with what it has told.
const FRAME_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(version: &str, network: &str) -> Asker {
        Asker { version: version.to_owned(), network: network.to_owned() }
    }

    #[test]
    fn messages_are_taken_from_bytes_as_they_come() {
        let said = [FromHolder::Alive, FromHolder::Print("ä\n".to_owned()), FromHolder::Ready { pid: 7 }];
        let bytes: Vec<u8> = said.iter().flat_map(|one| encode(one).unwrap()).collect();
        let (mut buffer, mut heard) = (Vec::new(), Vec::new());
        for byte in bytes {
            buffer.push(byte);
            if let Some((one, taken)) = decode::<FromHolder>(&buffer).unwrap() {
                heard.push(one);
                buffer.drain(..taken);
            }
        }
        assert_eq!((heard.as_slice(), buffer.len()), (&said[..], 0));
    }

    #[test]
    fn what_is_too_long_or_no_message_is_refused() {
        assert!(decode::<FromHolder>(&[255, 0, 0, 0]).is_err());
        assert!(decode::<FromHolder>(&[0, 0, 0, 1, b'x']).is_err());
        assert!(encode(&FromHolder::Print("x".repeat(FRAME_BYTES_MAX))).is_err());
    }

    #[test]
    fn another_version_or_network_is_refused() {
        let own = asker("1", "net:[1]");
        assert!(own.refuses(&own, 7).is_none());
        let other = own.refuses(&asker("2", "net:[1]"), 7).unwrap();
        assert!(other.message.ends_with("is of another version: 1, and this is 2"), "{other:?}");
        assert!(own.refuses(&asker("1", "net:[2]"), 7).unwrap().message.contains("network namespace"));
    }

    #[test]
    fn who_asks_is_understood_whatever_is_asked() {
        let bytes = br#"{"version":"9","network":"net:[1]","what":{"Dance":{}}}"#;
        assert_eq!(serde_json::from_slice::<Asker>(bytes).unwrap(), asker("9", "net:[1]"));
        assert!(serde_json::from_slice::<Request<u8>>(bytes).is_err());
    }

    #[test]
    fn a_failure_arrives_as_it_was() {
        let failure = Failure { code: 2, ..Failure::new("no").hint("do").detail("a", 1) };
        let there = Failure::from(Refusal::from(failure));
        assert_eq!(
            (there.message.as_str(), there.hints.len(), there.details.len(), there.code),
            ("no", 1, 1, 2)
        );
    }
}
