//! Tells the data plane which instances the supervisor has ready.

use mesh::Mesh;
use supervisor::{Endpoint, Routing};

use super::apis::Apis;

/// The data plane, and the application API beside it, as the supervisor sees them.
pub(super) struct MeshRouting {
    pub(super) mesh: Mesh,
    pub(super) apis: Apis,
}

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
        self.mesh.publish(service, &endpoints);
        self.apis.open(service, instances);
    }

    fn in_flight(&self, service: &str, id: &str) -> usize {
        self.mesh.in_flight(service, id) + self.apis.in_flight(service)
    }
}
