//! The outbox of a store of state: what is saved in a transaction is published in the same commit.
//!
//! That needs both in one engine. With state or messages elsewhere it is refused: what can fail in between would be
//! found out when it has.

use super::{Block, Component, Given, Keeper, Setting};
use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::yaml::clip;

/// Where what is saved in transactions is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Through which component.
    pub pubsub: String,
    /// To which topic.
    pub topic: String,
    /// Where the component is named.
    pub span: Span,
}

impl Outbox {
    /// What a store's settings say of it, which are taken from them; an error is reported.
    pub(super) fn take(settings: &mut Vec<Setting>, found: &mut Vec<Diagnostic>) -> Option<Outbox> {
        for name in NEEDLESS {
            let Some(setting) = taken(settings, name) else { continue };
            let message = format!("the setting `{name}` has no effect");
            found.push(
                Diagnostic::warning(codes::NO_EFFECT, setting.span, message)
                    .label("state and messages are one commit: nothing is looked for in between"),
            );
        }
        let [pubsub, topic] = [PUBSUB, TOPIC].map(|name| text(taken(settings, name), name, found));
        match (pubsub?, topic?) {
            (Some((pubsub, span)), Some((topic, _))) => Some(Outbox { pubsub, topic, span }),
            (None, None) => None,
            (Some((_, span)), None) => missing(TOPIC, span, found),
            (None, Some((_, span))) => missing(PUBSUB, span, found),
        }
    }
}

/// Refuses outboxes whose state and messages are not kept by one engine.
pub(super) fn check(components: &[Component], found: &mut Vec<Diagnostic>) {
    for store in components {
        let (Some(outbox), Block::State { keeper, .. }) = (&store.outbox, &store.block) else { continue };
        let pubsub = components.iter().find(|one| one.name == outbox.pubsub).map(|one| &one.block);
        let broker = match pubsub {
            // It is in the folder of the data.
            None => Keeper::Disk,
            Some(Block::PubSub(broker)) => *broker,
            Some(_) => {
                let message = format!(
                    "the outbox of `{}` publishes through `{}`, which is no pubsub",
                    clip(&store.name),
                    clip(&outbox.pubsub)
                );
                let help = "name a component of type `pubsub.colony` or `pubsub.in-memory`";
                found.push(Diagnostic::error(codes::CONTRADICTION, outbox.span, message).help(help));
                continue;
            }
        };
        if *keeper == broker && matches!(keeper, Keeper::Disk | Keeper::Memory) {
            continue;
        }
        let message =
            format!("the outbox of `{}` needs its state and its messages in one commit", clip(&store.name));
        let label = match keeper {
            Keeper::Redis | Keeper::Postgres => "the state is kept outside".to_owned(),
            _ => format!("`{}` keeps its messages elsewhere than the state is", clip(&outbox.pubsub)),
        };
        let help = "keep both in the folder of the data (`state.colony` with `pubsub.colony`), or both in memory \
                    (`state.in-memory` with `pubsub.in-memory`)";
        found.push(Diagnostic::error(codes::CONTRADICTION, outbox.span, message).label(label).help(help));
    }
}

fn taken(settings: &mut Vec<Setting>, name: &str) -> Option<Setting> {
    let at = settings.iter().position(|one| one.name.eq_ignore_ascii_case(name))?;
    Some(settings.remove(at))
}

/// None if it is wrong; reported. Nothing if it is not set.
#[allow(clippy::option_option, reason = "wrong and not set are two things")]
fn text(setting: Option<Setting>, name: &str, found: &mut Vec<Diagnostic>) -> Option<Option<(String, Span)>> {
    let Some(setting) = setting else { return Some(None) };
    match setting.value {
        Given::Text(text) => Some(Some((text, setting.span)).filter(|(text, _)| !text.is_empty())),
        Given::Secret { .. } => {
            let message = format!("`{name}` is to be taken from a secret, and is none");
            found.push(
                Diagnostic::error(codes::CONTRADICTION, setting.span, message).help("write it as `value`"),
            );
            None
        }
    }
}

fn missing(name: &str, span: Span, found: &mut Vec<Diagnostic>) -> Option<Outbox> {
    let message = format!("an outbox needs `{name}` as well");
    let help = format!("an outbox is `{PUBSUB}` and `{TOPIC}`: set both, or neither");
    found.push(Diagnostic::error(codes::MISSING_KEY, span, message).help(help));
    None
}

const PUBSUB: &str = "outboxPublishPubsub";
const TOPIC: &str = "outboxPublishTopic";
/// What is needed where state and messages are apart.
const NEEDLESS: [&str; 2] = ["outboxPubsub", "outboxDiscardWhenMissingState"];
