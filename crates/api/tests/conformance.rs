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

/// Configuration of either engine.
mod configuration {
    use api::configuration::Kept;
    use api::state::Engine;
    use components::Reply;
    use components::configuration::Store;
    use components::conformance::configuration::Subject;
    use engine::blocks::config::{Edit, Set};
    use engine::{Config, Embedded, InMemory};

    /// Sets an item, or takes it away.
    fn edit(key: &str, item: Option<(&str, &str)>) -> Vec<Edit> {
        let set = item.map(|(value, version)| Set {
            value: value.to_owned().into(),
            version: version.to_owned(),
            ..Set::default()
        });
        vec![Edit { key: key.to_owned(), only_if: None, set }]
    }

    macro_rules! subject {
        ($place:ident, $engine:path) => {
            impl $place {
                fn kept(&self) -> Kept<'_> {
                    Kept::new("limits", $engine(&self.0))
                }
            }

            impl Subject for $place {
                fn configuration(&self) -> Box<dyn Store + '_> {
                    Box::new(self.kept())
                }

                fn set<'a>(&'a self, key: &'a str, item: Option<(&'a str, &'a str)>) -> Reply<'a, ()> {
                    Box::pin(async move {
                        self.kept().write(edit(key, item), None).await.expect("it is written");
                    })
                }
            }
        };
    }

    struct Disk(
        Embedded,
        #[allow(dead_code, reason = "the folder is there as long as this")] tempfile::TempDir,
    );

    impl Disk {
        fn new() -> Disk {
            let folder = tempfile::tempdir().expect("a folder");
            Disk(Embedded::open_in(folder.path(), Config::default()).expect("it opens"), folder)
        }
    }

    struct Memory(InMemory);

    subject!(Disk, Engine::Disk);
    subject!(Memory, Engine::Memory);

    mod disk {
        components::configuration_conformance_tests!(super::Disk::new());
    }
    mod memory {
        use engine::{Config, InMemory};
        components::configuration_conformance_tests!(super::Memory(
            InMemory::open_empty(Config::default()).expect("it opens")
        ));
    }
}
