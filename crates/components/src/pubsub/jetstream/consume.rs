//! Pulling messages for a group: as many as there is room for, and a word now and then that what is here is being dealt with.
//!
//! What comes is asked for by one request at a time, whose answers come to an inbox of the subscription's own. The inbox
//! stays when requests end, so that nothing falls between two; at the end it is drained, since what the server has sent by
//! then would else be with nobody until `ack_wait` has passed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use super::message::raise;
use super::{Inner, Link, WITHIN};
use crate::pubsub::consumer::{Consumer, Lender, Shared};
use crate::pubsub::lent::Lent;
use crate::pubsub::{Begin, Error, Options};

/// What pulls, and for whom.
struct Pulling {
    inner: Arc<Inner>,
    topic: String,
    group: String,
    begin: Begin,
    shared: Arc<Shared<Subject>>,
}

/// Where messages are answered.
pub(super) struct Lending {
    inner: Arc<Inner>,
    /// What was acknowledged last.
    last: Mutex<Option<Subject>>,
}

/// Why nothing more comes of a request.
enum Ended {
    /// It was answered, or its time is over.
    Over,
    /// The server said so.
    Refused(String),
}

/// Begins.
pub(super) async fn begin(
    inner: &Arc<Inner>,
    topic: &str,
    group: &str,
    options: &Options,
) -> Result<Consumer<Lending>, Error> {
    inner.up().await;
    let held_max = if inner.settings.single { 1 } else { options.held_max.max(1) };
    let begin = options.begin;
    let options = Options { held_max, ..options.clone() };
    let shared = Shared::new(Lent::new(&options, true, Arc::clone(&inner.failures)));
    let pulling = Pulling {
        inner: Arc::clone(inner),
        topic: topic.to_owned(),
        group: group.to_owned(),
        begin,
        shared: Arc::clone(&shared),
    };
    let found = inner.consumer(topic, group, begin).await?;
    let inbox = inner.client.new_inbox();
    let messages = inner.client.subscribe(inbox.clone()).await.map_err(|error| inner.failed(error))?;
    let task = tokio::spawn(pulling.run(inbox, messages, found));
    Ok(Consumer::new(Lending { inner: Arc::clone(inner), last: Mutex::default() }, shared, task))
}

impl Pulling {
    async fn run(self, inbox: String, mut messages: Subscriber, found: (String, String)) {
        tokio::select! {
            () = self.pull(&inbox, &mut messages, found) => {}
            () = self.keep() => {}
            () = self.shared.closed() => {}
        }
        let _ = timeout(WITHIN, self.give_back(&mut messages)).await;
    }

    async fn give_back(&self, messages: &mut Subscriber) {
        if messages.drain().await.is_ok() {
            while let Some(message) = messages.next().await {
                raise(message).into_iter().for_each(|arrived| self.shared.lent().add(arrived));
            }
        }
        let tokens = self.shared.lent().clear();
        say(&self.inner, &tokens, NOT_DONE).await;
        let _ = self.inner.client.flush().await;
    }

    /// Has the server know that what is here is being dealt with.
    async fn keep(&self) {
        let every = self.inner.settings.ack_wait / 3;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.inner.up().await;
            let tokens: Vec<Subject> = self.shared.lent().tokens().cloned().collect();
            say(&self.inner, &tokens, UNDER_WAY).await;
        }
    }

    async fn pull(&self, inbox: &str, messages: &mut Subscriber, found: (String, String)) {
        let mut found = Ok(found);
        let mut wait = WAIT_MIN;
        loop {
            match &found {
                Ok((stream, consumer)) => {
                    let subject =
                        format!("{}.CONSUMER.MSG.NEXT.{stream}.{consumer}", self.inner.settings.api_prefix);
                    let begun = Instant::now();
                    let why = self.requests(&subject, inbox, messages).await;
                    if begun.elapsed() > WAIT_MAX {
                        wait = WAIT_MIN;
                    }
                    self.shared.ill(self.inner.failed(why));
                }
                Err(error) => self.shared.ill(Error::clone(error)),
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
            let again = async {
                self.inner.up().await;
                self.inner.consumer(&self.topic, &self.group, self.begin).await
            };
            found = timeout(WITHIN, again).await.unwrap_or_else(|_| Err(self.inner.late()));
        }
    }

    /// One request after the other; why that does not go on.
    async fn requests(&self, subject: &str, inbox: &str, messages: &mut Subscriber) -> String {
        let mut link = self.inner.link.clone();
        loop {
            let room = self.room().await;
            if timeout(WITHIN, self.inner.up()).await.is_err() {
                return "the connection is lost".to_owned();
            }
            link.mark_unchanged();
            let asked = format!(r#"{{"batch":{room},"expires":{}}}"#, EXPIRES.as_nanos());
            let client = &self.inner.client;
            let sent = client.publish_with_reply(subject.to_owned(), inbox.to_owned(), asked.into()).await;
            if let Err(error) = sent {
                return error.to_string();
            }
            if let Ended::Refused(why) = self.answers(room, messages, &mut link).await {
                return why;
            }
        }
    }

    /// How many may come, as soon as any may.
    async fn room(&self) -> usize {
        loop {
            let (room, expired) = {
                let mut lent = self.shared.lent();
                (lent.room(), lent.expired())
            };
            say(&self.inner, &expired, DONE).await;
            if room > 0 {
                return room.min(BATCH_MAX);
            }
            // What waits makes room when it may, of which nobody tells.
            let _ = timeout(EXPIRES, self.shared.wanted()).await;
        }
    }

    async fn answers(
        &self,
        room: usize,
        messages: &mut Subscriber,
        link: &mut watch::Receiver<Link>,
    ) -> Ended {
        let until = Instant::now() + EXPIRES + GRACE;
        let mut wanted = room;
        while wanted > 0 {
            tokio::select! {
                message = messages.next() => match message {
                    None => return Ended::Refused("the connection is closed".to_owned()),
                    Some(message) => match message.status {
                        None | Some(StatusCode::OK) => {
                            if let Some(arrived) = raise(message) {
                                self.shared.well();
                                self.shared.add(arrived);
                            }
                            wanted -= 1;
                        }
                        Some(StatusCode::IDLE_HEARTBEAT) => {}
                        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                            self.shared.well();
                            return Ended::Over;
                        }
                        Some(status) => {
                            let why = message.description.unwrap_or_default();
                            return Ended::Refused(format!("nothing more comes: {status} {why}"));
                        }
                    },
                },
                () = self.shared.wanted() => {
                    let expired = self.shared.lent().expired();
                    say(&self.inner, &expired, DONE).await;
                }
                // Of another connection the server knows no request.
                _ = link.changed() => return Ended::Over,
                () = sleep_until(until) => return Ended::Over,
            }
        }
        Ended::Over
    }
}

impl Lender for Lending {
    type Token = Subject;

    async fn acknowledge(&self, tokens: Vec<Subject>) {
        say(&self.inner, &tokens, DONE).await;
        if let Some(last) = tokens.into_iter().next_back() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
    }

    async fn give_back(&self, tokens: Vec<Subject>) {
        say(&self.inner, &tokens, NOT_DONE).await;
    }

    /// The server answers an acknowledgement when it has dealt with those before.
    async fn settled(&self) -> Result<(), Error> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(last) = last else { return Ok(()) };
        let answered = self.inner.client.request(last, DONE.into()).await;
        answered.map(drop).map_err(|error| self.inner.failed(error))
    }
}

/// Says the same of messages. While there is no connection the client keeps a few such words for the next; what is not heard
/// is as if it had not been said: they come again.
async fn say(inner: &Inner, tokens: &[Subject], word: &'static str) {
    for token in tokens {
        let said = inner.client.publish(token.clone(), Bytes::from_static(word.as_bytes()));
        if timeout(WITHIN, said).await.is_err() {
            return;
        }
    }
}

/// The application is done with it.
const DONE: &str = "+ACK";
/// It is given back.
const NOT_DONE: &str = "-NAK";
/// It is being dealt with.
const UNDER_WAY: &str = "+WPI";
/// How long a request waits for messages at the server.
const EXPIRES: Duration = Duration::from_secs(5);
/// By how much its end may be late.
const GRACE: Duration = Duration::from_secs(2);
/// Most messages that are asked for at once.
const BATCH_MAX: usize = 1_024;
/// The first wait before it is asked again after a refusal.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(5);
