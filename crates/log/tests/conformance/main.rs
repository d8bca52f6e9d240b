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
