//! The suite for every log, run against those of this crate.

mod memory {
    //! The one in memory.

    use log::Memory;
    use log::conformance::Subject;

    struct InMemory(Memory);

    impl Subject for InMemory {
        type Log = Memory;

        fn open(&self) -> Memory {
            self.0.clone()
        }

        fn record_bytes_max(&self) -> usize {
            1 << 16
        }

        fn oldest_bytes(&self) -> usize {
            1 << 17
        }
    }

    log::conformance_tests!(InMemory(Memory::with_record_bytes_max(1 << 16)));
}

mod embedded {
    //! The embedded one, on a real disk.

    use log::conformance::Subject;
    use log::disk::RealDisk;
    use log::{Config, Embedded, Upkeep};
    use tempfile::TempDir;

    struct OnDisk {
        directory: TempDir,
        config: Config,
    }

    impl OnDisk {
        fn new(config: Config) -> OnDisk {
            OnDisk { directory: TempDir::new().expect("there is room"), config }
        }
    }

    impl Subject for OnDisk {
        type Log = Embedded<RealDisk>;

        fn open(&self) -> Embedded<RealDisk> {
            let disk = RealDisk::new(self.directory.path()).expect("there is a directory");
            Embedded::open(disk, self.config.clone()).expect("it opens")
        }

        fn record_bytes_max(&self) -> usize {
            self.config.record_bytes_max as usize
        }

        fn oldest_bytes(&self) -> usize {
            2 * self.config.segment_bytes as usize
        }
    }

    fn small() -> Config {
        Config {
            segment_bytes: 64 << 10,
            record_bytes_max: 20 << 10,
            cache_bytes: 16 << 10,
            ..Config::default()
        }
    }

    mod background {
        //! As it runs in a node.
        log::conformance_tests!(super::OnDisk::new(super::small()));
    }

    mod inline {
        //! As it runs in a simulation, and without a cache.
        log::conformance_tests!(super::OnDisk::new(log::Config {
            upkeep: super::Upkeep::Inline,
            cache_bytes: 0,
            ..super::small()
        }));
    }
}

mod simulated {
    //! The embedded one, on a simulated disk.

    use log::conformance::Subject;
    use log::disk::Simulated;
    use log::{Config, Embedded, Upkeep};

    struct OnSimulated(Simulated, Config);

    impl Subject for OnSimulated {
        type Log = Embedded<Simulated>;

        fn open(&self) -> Embedded<Simulated> {
            Embedded::open(self.0.clone(), self.1.clone()).expect("it opens")
        }

        fn record_bytes_max(&self) -> usize {
            self.1.record_bytes_max as usize
        }

        fn oldest_bytes(&self) -> usize {
            2 * self.1.segment_bytes as usize
        }
    }

    log::conformance_tests!(OnSimulated(
        Simulated::new(1),
        Config {
            segment_bytes: 32 << 10,
            record_bytes_max: 8 << 10,
            cache_bytes: 10 << 10,
            upkeep: Upkeep::Inline,
            ..Config::default()
        }
    ));
}
