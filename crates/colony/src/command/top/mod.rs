//! `colony top`: the system at a glance, as it goes. What is shown is made of one JSON object of the node (`grid`) and of what the
//! user chose (`state`); here are the terminal and the clock.

mod grid;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::args::Top;
use crate::client::Client;
use crate::failure::Failure;
use crate::process::Signals;
use crate::terminal;
use state::{State, Tab, Then};

/// How often the node is asked: it looks itself every five seconds.
const EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer before that is said.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon the thread that reads keys sees that nobody wants any.
const KEYS_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: &Top, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let client = Client::find(data).await?;
    if args.json || args.once {
        let digest = client.call(Method::GET, "/api/top", None).await?;
        let text = if args.json { format!("{digest}\n") } else { once(&digest) };
        terminal::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let first = client.call(Method::GET, "/api/top", None).await?;
    let mut signals = Signals::new()?;
    let mut shown = ratatui::try_init().map_err(|error| {
        Failure::new(format!("this is no terminal that can be drawn on: {error}"))
            .hint("`colony top --once` prints it, `--json` for programs")
    })?;
    let outcome = live(&client, &mut shown, first, &mut signals).await;
    // Also where drawing has failed: the terminal is to be as it was.
    ratatui::restore();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// All views, one below the other.
fn once(digest: &Value) -> String {
    let mut text = format!("\n  {}\n", grid::headline(digest));
    for line in grid::alerts(digest) {
        text.push_str(&format!("  {line}\n"));
    }
    for tab in Tab::ALL {
        let grid = grid::of(tab, digest, usize::MAX);
        if !grid.rows.is_empty() {
            text.push('\n');
            text.push_str(&grid.table(terminal::colours()));
        }
    }
    text.push('\n');
    text
}

async fn live(
    client: &Client,
    shown: &mut DefaultTerminal,
    mut digest: Value,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let (mut state, mut trouble) = (State::default(), None);
    let mut keys = keys();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        let draw = |frame: &mut ratatui::Frame| view::draw(frame, &digest, &mut state, trouble.as_deref());
        shown.draw(draw).map_err(|error| Failure::new(format!("cannot draw: {error}")))?;
        tokio::select! {
            () = signals.next() => return Ok(()),
            event = keys.recv() => match event {
                Some(Event::Key(key)) if state.on_key(key) == Then::End => return Ok(()),
                // Of a new size, too, the next round draws everything.
                Some(_) => {}
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                match timeout(PATIENCE, client.call_quietly(Method::GET, "/api/top", None)).await {
                    Ok(Ok(new)) => (digest, trouble) = (new, None),
                    Ok(Err(failure)) => trouble = Some(failure.message),
                    Err(_) => trouble = Some("the node does not answer".to_owned()),
                }
            }
        }
    }
}

/// Keys, as they are pressed. The thread ends when nobody receives any more.
fn keys() -> mpsc::Receiver<Event> {
    let (send, receive) = mpsc::channel(64);
    std::thread::spawn(move || {
        while !send.is_closed() {
            let read = event::poll(KEYS_EVERY).and_then(|is_there| is_there.then(event::read).transpose());
            match read {
                Ok(None) => {}
                Ok(Some(event)) => drop(send.blocking_send(event)),
                // The terminal is gone.
                Err(_) => return,
            }
        }
    });
    receive
}
