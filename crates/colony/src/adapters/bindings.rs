//! Bindings, opened as they are declared: both ends, or the one that is used.

use std::sync::Arc;

use api::config::{Adapter, Binding, Input, check_route};
use components::binding::{Cron, Direction, Http, LocalStorage, Postgres};
use components::properties::Invalid;
use components::{Properties, binding};
use manifest::resources::{BindingKind, Component, Resources};

use super::{Adapters, Unopened, unused, wrong};

/// What a binding has of both ways.
struct Ends {
    output: Option<Arc<dyn binding::Output>>,
    input: Option<Arc<dyn binding::Input>>,
}

impl Adapters {
    pub(super) async fn binding(
        &self,
        kind: BindingKind,
        component: &Component,
        found: &mut Resources,
    ) -> Result<Binding, Unopened> {
        let set = self.set(component).await?;
        let binding =
            opened(kind, &component.name, &set).await.map_err(|invalid| wrong(&invalid, component))?;
        unused(&set, component, found);
        Ok(binding)
    }
}

async fn opened(kind: BindingKind, name: &str, set: &Properties) -> Result<Binding, Invalid> {
    let direction = Direction::new(set)?;
    let Ends { output, input } = ends(kind, set).await?;
    let direction = direction.of(input.is_some(), output.is_some())?;
    // What is only sent to has none, and is told that it has no effect.
    let route = input.as_ref().and_then(|_| set.text("route")).unwrap_or(name);
    check_route(route).map_err(|why| Invalid::of("route", format!("is no route: {why}")))?;
    Ok(Binding {
        output: output.filter(|_| direction.output).map(Adapter),
        input: input.filter(|_| direction.input != Some(false)).map(|source| Input {
            source: Adapter(source),
            route: route.to_owned(),
            asked: direction.input.is_none(),
        }),
    })
}

async fn ends(kind: BindingKind, set: &Properties) -> Result<Ends, Invalid> {
    let output = |output: Arc<dyn binding::Output>| Ends { output: Some(output), input: None };
    Ok(match kind {
        BindingKind::Cron => Ends { output: None, input: Some(Arc::new(Cron::new(set)?)) },
        BindingKind::Http => output(Arc::new(Http::new(set)?)),
        BindingKind::Postgres => output(Arc::new(Postgres::connect(set).await?)),
        BindingKind::LocalStorage => output(Arc::new(LocalStorage::new(set)?)),
    })
}
