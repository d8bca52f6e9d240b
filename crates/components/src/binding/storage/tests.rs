//! Files are where they were put, and nowhere else.

use std::os::unix::fs::symlink;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

struct Place {
    folder: TempDir,
    storage: LocalStorage,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("a/root").display().to_string();
        let storage = LocalStorage::new(&Properties::from_iter([("rootPath", root)])).expect("it is right");
        Place { folder, storage }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("a/root")
    }

    fn ask(&self, operation: &str, data: &'static str, metadata: &[(&str, &str)]) -> Result<Response, Error> {
        let metadata = metadata.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        self.storage.0.invoke(&Request { operation: operation.to_owned(), data: data.into(), metadata })
    }

    fn list(&self) -> Value {
        serde_json::from_slice(&self.ask("list", "", &[]).expect("it is listed").data).expect("JSON")
    }
}

#[test]
fn what_is_created_is_got_listed_and_deleted() {
    let place = Place::new();
    let name = [("fileName", "sub/folder/a.txt")];
    let created = place.ask("create", "\"Hello, \\u00fc!\"", &name).expect("it is created");
    assert_eq!(created.data, r#"{"fileName":"sub/folder/a.txt"}"#);
    assert_eq!(place.ask("get", "", &name).expect("it is there").data, "Hello, ü!");
    place.ask("create", "{\"b\": 2}", &[("fileName", "/b.json")]).expect("it is created");
    let root = place.root().canonicalize().expect("it is there");
    let path = |name: &str| Value::from(root.join(name).display().to_string());
    assert_eq!(place.list(), Value::from(vec![path("b.json"), path("sub/folder/a.txt")]));
    assert_eq!(place.ask("delete", "", &name), Ok(Response::default()));
    assert_eq!(place.list(), Value::from(vec![path("b.json")]));
    let gone = place.ask("get", "", &name).expect_err("it is gone");
    assert_eq!(gone.why, "file not found: sub/folder/a.txt");
    assert!(place.ask("delete", "", &name).is_err());
    assert!(place.ask("delete", "", &[("fileName", "new/a")]).is_err() && !root.join("new").exists());
}

#[test]
fn what_has_no_name_is_given_one() {
    let place = Place::new();
    let created = || {
        let response = place.ask("create", "x", &[]).expect("it is created");
        let told: Value = serde_json::from_slice(&response.data).expect("JSON");
        told["fileName"].as_str().expect("a name").to_owned()
    };
    let (first, second) = (created(), created());
    assert_ne!(first, second);
    assert!(first.len() == 36 && first.as_bytes()[14] == b'4', "{first}");
    assert!(["get", "delete"].iter().all(|operation| place.ask(operation, "", &[]).is_err()));
}

#[test]
fn base64_is_decoded_unless_it_is_not_to_be() {
    let place = Place::new();
    let wrote = |data, more: &[(&str, &str)]| {
        let metadata = [&[("fileName", "f")][..], more].concat();
        place.ask("create", data, &metadata).map(|_| place.ask("get", "", &metadata).expect("there").data)
    };
    assert_eq!(wrote("\"/w8=\"", &[]).expect("written"), &b"\xff\x0f"[..]);
    assert_eq!(wrote("/w8=", &[]).expect("written"), &b"\xff\x0f"[..]);
    assert_eq!(wrote("\"plain text\"", &[]).expect("written"), "plain text");
    assert_eq!(wrote("\"/w8=\"", &[("decodeBase64", "false")]).expect("written"), "/w8=");
    assert!(wrote("x", &[("decodeBase64", "perhaps")]).is_err());
}

#[test]
fn no_name_leads_out() {
    let place = Place::new();
    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).expect("it is made");
    fs::write(outside.join("secret"), "hush").expect("it is written");
    symlink(&outside, place.root().join("link")).expect("a link");
    symlink(outside.join("secret"), place.root().join("file")).expect("a link");
    symlink(outside.join("new"), place.root().join("dangling")).expect("a link");
    for name in
        ["../outside/secret", "sub/../../outside/secret", "..", "link/secret", "link/new/deep", "link"]
    {
        let name = [("fileName", name)];
        for operation in ["create", "get", "list"] {
            assert!(place.ask(operation, "x", &name).is_err(), "{operation} {name:?}");
        }
    }
    for name in ["../outside/secret", "link/secret"] {
        assert!(place.ask("delete", "", &[("fileName", name)]).is_err());
    }
    assert!(place.ask("get", "", &[("fileName", "file")]).is_err());
    for name in ["file", "dangling"] {
        place.ask("create", "\"ours!\"", &[("fileName", name)]).expect("the link is replaced");
        assert_eq!(place.ask("get", "", &[("fileName", name)]).expect("it is there").data, "ours!");
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("it is there"), "hush");
    assert_eq!(fs::read_dir(&outside).expect("it is read").count(), 1);
}

#[test]
fn the_folder_itself_is_no_file() {
    let place = Place::new();
    fs::create_dir(place.root().join("sub")).expect("it is made");
    for (operation, name) in
        [("delete", "."), ("delete", "/"), ("create", "/"), ("create", "sub"), ("get", "sub")]
    {
        assert!(place.ask(operation, "x", &[("fileName", name)]).is_err(), "{operation} {name}");
    }
    assert!(place.root().is_dir());
    assert_eq!(place.list(), Value::from(Vec::<Value>::new()), "nothing unfinished is left");
}

#[test]
fn nothing_is_kept_where_the_system_keeps_its_own() {
    for path in ["/proc/x", "/sys", "/var/run/secrets/x", ""] {
        assert!(LocalStorage::new(&Properties::from_iter([("rootPath", path)])).is_err(), "{path}");
    }
    let link = tempfile::tempdir().expect("a folder");
    symlink("/proc", link.path().join("p")).expect("a link");
    let path = link.path().join("p/self").display().to_string();
    assert!(LocalStorage::new(&Properties::from_iter([("rootPath", path)])).is_err());
}
