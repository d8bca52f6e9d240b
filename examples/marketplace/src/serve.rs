//! From a listening port to a clean end.

use std::io;
use std::net::Ipv4Addr;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::wiring::App;

/// Serves `app` on 127.0.0.1 until SIGTERM or SIGINT; then takes no more requests, finishes those under
/// way and returns. Port 0 lets the system choose; the line that is printed says which.
///
/// # Errors
/// When the port can't be listened on.
pub async fn serve(name: &str, app: App, port: u16) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cannot = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen on 127.0.0.1:{port}: {e}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(cannot)?;
    println!("marketplace {name} listens on http://{}", listener.local_addr()?);
    // Small answers must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    for work in app.background {
        tokio::spawn(work);
    }
    let asked_to_end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    axum::serve(listener, app.router).with_graceful_shutdown(asked_to_end).await?;
    if let Some(checkout) = app.checkout {
        checkout.finish().await;
    }
    Ok(())
}
