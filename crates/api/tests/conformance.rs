//! The engine's stores keep the contract that stores outside keep: the same suite holds for both.

/// Items in the folder of the data.
mod disk {
    use api::state::{Engine, Kept};
    use components::conformance::Subject;
    use components::state::Store;
    use engine::{Config, Embedded};
    use tempfile::TempDir;

    struct Place {
        engine: Embedded,
        _folder: TempDir,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().expect("a folder");
            let engine = Embedded::open_in(folder.path(), Config::default()).expect("it opens");
            Place { engine, _folder: folder }
        }
    }

    impl Subject for Place {
        fn store(&self) -> Box<dyn Store + '_> {
            Box::new(Kept::new("carts", Engine::Disk(&self.engine)))
        }
    }

    impl components::conformance::lock::Subject for Place {
        fn locks(&self) -> Box<dyn components::lock::Store + '_> {
            Box::new(api::lock::Kept::new("locks", Engine::Disk(&self.engine)))
        }
    }

    components::conformance_tests!(Place::new());
    components::lock_conformance_tests!(Place::new());
}

/// Items in memory.
mod memory {
    use api::state::{Engine, Kept};
    use components::conformance::Subject;
    use components::state::Store;
    use engine::{Config, InMemory};

    struct Place(InMemory);

    impl Subject for Place {
        fn store(&self) -> Box<dyn Store + '_> {
            Box::new(Kept::new("carts", Engine::Memory(&self.0)))
        }
    }

    impl components::conformance::lock::Subject for Place {
        fn locks(&self) -> Box<dyn components::lock::Store + '_> {
            Box::new(api::lock::Kept::new("locks", Engine::Memory(&self.0)))
        }
    }

    components::conformance_tests!(Place(InMemory::open_empty(Config::default()).expect("it opens")));
    components::lock_conformance_tests!(Place(InMemory::open_empty(Config::default()).expect("it opens")));
}

/// Topics in the folder of the data.
mod topics_on_disk {
    use api::pubsub::{Prepared, Topics};
    use api::state::Engine;
    use components::pubsub::Broker;
    use components::pubsub::conformance::Subject;
    use engine::{Config, Embedded};
    use tempfile::TempDir;

    struct Place {
        engine: Embedded,
        prepared: Prepared,
        _folder: TempDir,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().expect("a folder");
            let engine = Embedded::open_in(folder.path(), Config::default()).expect("it opens");
            Place { engine, prepared: Prepared::default(), _folder: folder }
        }
    }

    impl Subject for Place {
        fn broker(&self) -> Box<dyn Broker + '_> {
            Box::new(Topics::new("messages", Engine::Disk(&self.engine), &self.prepared))
        }
    }

    components::pubsub_conformance_tests!(Place::new());
}

/// Topics in memory.
mod topics_in_memory {
    use api::pubsub::{Prepared, Topics};
    use api::state::Engine;
    use components::pubsub::Broker;
    use components::pubsub::conformance::Subject;
    use engine::{Config, InMemory};

    struct Place(InMemory, Prepared);

    impl Place {
        fn new() -> Place {
            Place(InMemory::open_empty(Config::default()).expect("it opens"), Prepared::default())
        }
    }

    impl Subject for Place {
        fn broker(&self) -> Box<dyn Broker + '_> {
            Box::new(Topics::new("messages", Engine::Memory(&self.0), &self.1))
        }
    }

    components::pubsub_conformance_tests!(Place::new());
}
