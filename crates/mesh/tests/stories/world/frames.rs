//! HTTP/2 by hand: frames are sent as the story says, whether they are right or not.

use super::soon;
use super::wire::Wire;

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET http://a/`, by HPACK's static table.
pub const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
/// `POST http://a/`, the same way.
pub const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The reason in a RST_STREAM or a GOAWAY.
    pub fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A whole request without a body.
pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)
}

pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// A field that is not indexed.
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| match text.len() {
        short @ 0..127 => vec![short as u8],
        long => {
            let (mut rest, mut bytes) = (long - 127, vec![127]);
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
            bytes
        }
    };
    [&[0][..], &length(name), name, &length(value), value].concat()
}

impl Wire {
    /// Says what a client says first, with these settings.
    pub async fn greet(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        self.send([PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
    }

    /// The next frame. None: the connection ended.
    pub async fn frame(&mut self) -> Option<Frame> {
        let head = self.take(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.take(length).await?;
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind and stream.
    pub async fn await_frame(&mut self, kind: u8, stream: u32) -> Frame {
        soon("a frame", async {
            loop {
                let frame = self.frame().await.expect("a frame before the end");
                if (frame.kind, frame.stream) == (kind, stream) {
                    return frame;
                }
            }
        })
        .await
    }

    /// Has the peer read all that was sent so far.
    pub async fn settle(&mut self) {
        self.send(frame(PING, 0, 0, b"settling")).await;
        soon("a pong", async {
            while let Some(frame) = self.frame().await {
                if frame.kind == PING && frame.flags == ACK {
                    return;
                }
            }
        })
        .await;
    }

    /// Why the peer ended the connection, if it said.
    pub async fn goaway(&mut self) -> Option<u32> {
        soon("the end of the connection", async {
            let mut reason = None;
            while let Some(frame) = self.frame().await {
                if frame.kind == GOAWAY {
                    reason = Some(frame.reason());
                }
            }
            reason
        })
        .await
    }
}
