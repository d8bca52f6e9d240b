//! A connection that speaks HTTP/2 by hand, both sides.

use super::frames::{ACK, Frame, GOAWAY, PING, PREFACE, SETTINGS, frame};
use super::soon;
use super::wire::Wire;

impl Wire {
    /// Says what a client says first, with these settings.
    pub async fn greet(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        self.send([PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
    }

    /// Takes what a client says first, and says what a server does.
    pub async fn welcome(&mut self) {
        self.take(PREFACE.len()).await;
        self.try_send(frame(SETTINGS, 0, 0, &[])).await;
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
