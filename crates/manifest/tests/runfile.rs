//! Run files: what is taken from them, and what is said about bad ones, drawn.

#![allow(clippy::disallowed_methods, reason = "the crate reads no files; its tests do")]

use std::path::Path;

use manifest::runfile::Destination;
use manifest::{RunFile, Source, run_file};

fn read(text: &str) -> RunFile {
    run_file(&Source { name: "dapr.yaml".to_owned(), text: text.to_owned() })
}

#[test]
fn bad_run_files_are_explained() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/runfile/wrong.yaml");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden/runfile");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    let found = read(&std::fs::read_to_string(path).unwrap());
    insta::assert_snapshot!("wrong", found.diagnostics.render(100, false));
}

#[test]
fn what_is_said_for_all_holds_where_an_app_says_nothing() {
    let found = read(
        "version: 1\ncommon:\n  env: { A: 1, B: 2 }\n  logLevel: warn\n  resourcesPaths: [all]\n  daprdLogDestination: console\n\
         apps:\n- appDirPath: one\n  env: { B: 3 }\n  logLevel: debug\n  appPort: 8000\n  resourcesPath: own\n  command: [a, 1]\n\
         - appID: second\n  appDirPath: ./two\n  appLogDestination: file\n",
    );
    assert_eq!((found.diagnostics.errors(), found.diagnostics.warnings()), (0, 0));
    let [one, two] = &found.apps[..] else { panic!("{found:?}") };
    let pairs = |app: &manifest::RunApp| -> Vec<String> {
        app.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(
        (pairs(one), pairs(two)),
        (vec!["A=1".into(), "B=3".into()], vec!["A=1".into(), "B=2".into()])
    );
    let flag = |name, value: &str| (name, value.to_owned());
    assert_eq!(one.flags, [flag("app-port", "8000"), flag("log-level", "debug")]);
    assert_eq!(two.flags, [flag("log-level", "warn")]);
    assert_eq!((one.app_id.as_deref(), two.app_id.as_deref()), (None, Some("second")));
    assert_eq!((one.command.join(" "), two.command.len()), ("a 1".to_owned(), 0));
    assert_eq!((one.resources.own.join(" "), two.resources.common.join(" ")), ("own".into(), "all".into()));
    assert_eq!((one.app_log, one.sidecar_log), (Destination::Both, Destination::Console));
    assert_eq!((two.app_log, two.sidecar_log), (Destination::File, Destination::Console));
}

#[test]
fn nothing_that_is_written_makes_it_fail() {
    for text in ["", "[]", "apps", "version: 1", "version: 1\napps: {}", "version: 1\napps: [1]", "a: b: c"] {
        assert!(read(text).diagnostics.errors() > 0 || text.is_empty(), "{text}");
    }
}
