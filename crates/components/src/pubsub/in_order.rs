//! Publishing several messages in their order, with more than one on its way.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::{Error, Message};

/// An answer that comes.
pub(super) type Confirmed = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Sends messages one after the other, and gathers what came of each. Where an answer does not come `within` a time, those
/// behind are not waited for as long, and what was not sent is not.
pub(super) async fn in_order<F>(
    messages: Vec<Message>,
    within: Duration,
    mut send: impl FnMut(Message) -> F,
) -> Vec<Result<(), Error>>
where
    F: Future<Output = Result<Confirmed, Error>>,
{
    let mut outcomes = Vec::with_capacity(messages.len());
    let mut under_way: VecDeque<Confirmed> = VecDeque::with_capacity(UNDER_WAY_MAX.min(messages.len()));
    let mut broken: Option<Error> = None;
    for message in messages {
        if under_way.len() == UNDER_WAY_MAX
            && let Some(oldest) = under_way.pop_front()
        {
            outcomes.push(answer(oldest, within, &mut broken).await);
        }
        let sent: Confirmed = match &broken {
            Some(error) => Box::pin(std::future::ready(Err(error.clone()))),
            None => send(message).await.unwrap_or_else(|error| {
                note(&error, &mut broken);
                Box::pin(std::future::ready(Err(error)))
            }),
        };
        under_way.push_back(sent);
    }
    for waiting in under_way {
        outcomes.push(answer(waiting, within, &mut broken).await);
    }
    outcomes
}

async fn answer(waiting: Confirmed, within: Duration, broken: &mut Option<Error>) -> Result<(), Error> {
    let outcome = match broken {
        Some(error) => waiting.now_or_never().unwrap_or_else(|| Err(error.clone())),
        None => timeout(within, waiting)
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("no answer within {within:?}")))),
    };
    outcome.inspect_err(|error| note(error, broken))
}

fn note(error: &Error, broken: &mut Option<Error>) {
    if matches!(error, Error::Unavailable(_)) {
        broken.get_or_insert_with(|| error.clone());
    }
}

/// Most messages that are on their way at once.
const UNDER_WAY_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    fn messages() -> Vec<Message> {
        (0..1_000_u32).map(|n| Message::new(n.to_string())).collect()
    }

    #[tokio::test]
    async fn each_is_answered_in_its_place() {
        let outcomes = in_order(messages(), WITHIN, |message| async move {
            match &message.data[..] {
                b"7" => Err(Error::Invalid("seven".to_owned())),
                b"8" => Ok(Box::pin(async { Err(Error::Invalid("eight".to_owned())) }) as Confirmed),
                _ => Ok(Box::pin(tokio::task::yield_now().map(Ok)) as Confirmed),
            }
        });
        let failed: Vec<_> =
            outcomes.await.into_iter().enumerate().filter(|(_, outcome)| outcome.is_err()).collect();
        let invalid = |why: &str| Err(Error::Invalid(why.to_owned()));
        assert_eq!(failed, [(7, invalid("seven")), (8, invalid("eight"))]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_each_of_many_that_are_not_answered() {
        let begun = tokio::time::Instant::now();
        let outcomes =
            in_order(messages(), WITHIN, |_| async { Ok(Box::pin(std::future::pending()) as Confirmed) });
        let outcomes = outcomes.await;
        assert!(outcomes.len() == 1_000 && outcomes.iter().all(Result::is_err));
        assert_eq!(begun.elapsed().as_secs(), WITHIN.as_secs());
    }

    #[tokio::test]
    async fn where_one_cannot_be_sent_those_behind_are_not_tried() {
        let sent = Cell::new(0);
        let outcomes = in_order(messages(), WITHIN, |_| {
            sent.set(sent.get() + 1);
            async { Err(Error::Unavailable("away".to_owned())) }
        });
        assert!(outcomes.await.len() == 1_000 && sent.get() == 1);
    }
}
