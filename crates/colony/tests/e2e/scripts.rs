//! What the console's pages compute apart from any page: the order of a trace's spans, cells of a map of heat, addresses, times.

use std::process::Command;

use crate::world::root;

#[test]
fn what_the_consoles_pages_compute_is_right() {
    let tests = root().join("crates/console/tests/assets");
    let mut files: Vec<_> = std::fs::read_dir(&tests)
        .expect("the tests of the assets")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "mjs"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no test in {}", tests.display());
    let done = Command::new("node")
        .args(["--test", "--test-reporter=tap"])
        .args(&files)
        .output()
        .expect("node is there");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("\n# tests ") && !said.contains("\n# tests 0\n"), "{said}");
}
