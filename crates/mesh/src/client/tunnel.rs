//! Bytes of another protocol, carried both ways after an upgrade.

use std::io;
use std::task::{Context, Poll, ready};

use crate::client::wire::Wire;
use crate::io::{Io, Outbox};
use crate::request::answer::Tunnel;

/// Carries until both sides have ended, or one of them broke.
pub(crate) async fn run(client: &Wire, Tunnel { io: mut upstream, lease }: Tunnel) {
    let (mut up, mut down) = (Way::default(), Way::default());
    std::future::poll_fn(|cx| {
        client.with_io(|client| {
            let up = up.poll(cx, client, &mut upstream);
            let down = down.poll(cx, &mut upstream, client);
            match (up, down) {
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
    })
    .await;
    drop(lease);
}

/// One direction.
#[derive(Default)]
struct Way {
    outbox: Outbox,
    ended: bool,
    shut: bool,
}

impl Way {
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Io, to: &mut Io) -> Poll<io::Result<()>> {
        while !self.shut {
            if !from.inbox.is_empty() {
                self.outbox.bytes.extend_from_slice(&from.inbox);
                from.inbox.clear();
            }
            if !self.outbox.is_empty() {
                ready!(to.poll_send(cx, &mut self.outbox))?;
            }
            if self.ended {
                ready!(to.poll_shutdown(cx))?;
                self.shut = true;
            } else {
                self.ended = ready!(from.poll_fill(cx))? == 0;
            }
        }
        Poll::Ready(Ok(()))
    }
}
