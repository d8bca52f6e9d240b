//! An application in this process that notes what it is asked.

use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, Mutex};

use crate::world::{listening, until};

/// It goes on to the end of the process.
pub struct Noting {
    pub port: u16,
    had: Arc<Mutex<Vec<Had>>>,
}

/// A request that it had.
#[derive(Clone, Debug, Default)]
pub struct Had {
    pub path: String,
    pub head: Vec<String>,
    pub body: String,
}

impl Had {
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ String| line.split_once(": ").map(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.iter().find(|line| named(line) == Some(true))?.split_once(": ").map(|(_, value)| value)
    }
}

impl Noting {
    /// One that subscribes to this.
    pub fn start(subscribes: &'static str) -> Noting {
        let had: Arc<Mutex<Vec<Had>>> = Arc::default();
        let noting = Arc::clone(&had);
        let address = listening(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
            while let Some(request) = read(&mut reader) {
                let body = if request.path == "/dapr/subscribe" { subscribes } else { "" };
                noting.lock().expect("lock").push(request);
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Noting { port: address.port(), had }
    }

    pub fn had(&self) -> Vec<Had> {
        self.had.lock().expect("lock").clone()
    }

    /// The first such request, when it has come.
    pub fn wait_for(&self, wanted: impl Fn(&Had) -> bool) -> Had {
        until("a request", || self.had().into_iter().find(|had| wanted(had)), || format!("{:#?}", self.had()))
    }
}

fn read(from: &mut impl BufRead) -> Option<Had> {
    let mut had = Had::default();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => had.head.push(line.to_owned()),
        }
    }
    had.path = had.head.first()?.split(' ').nth(1)?.to_owned();
    let length = had.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    had.body = String::from_utf8_lossy(&body).into_owned();
    Some(had)
}
