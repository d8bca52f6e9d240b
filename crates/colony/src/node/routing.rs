//! Tells the data plane which instances the supervisor has ready.

use mesh::Mesh;
use supervisor::{Endpoint, Routing};

/// The data plane, as the supervisor sees it.
pub(crate) struct MeshRouting(pub(crate) Mesh);

impl Routing for MeshRouting {
    fn publish(&self, service: &str, instances: &[Endpoint]) {
        let endpoints: Vec<mesh::Endpoint> = instances
            .iter()
            .map(|instance| mesh::Endpoint {
                place: instance.authority.clone().unwrap_or_default(),
                slot: format!("{service}-{}", instance.slot),
                ..mesh::Endpoint::new(instance.id.clone(), instance.address)
            })
            .collect();
        self.0.publish(service, &endpoints);
    }

    fn in_flight(&self, service: &str, id: &str) -> usize {
        self.0.in_flight(service, id)
    }
}
