//! The files of the repository as the rules see them: paths from its root, with forward slashes.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing that was written by hand.
const SKIPPED: [&str; 4] = [".git", ".colony", "target", "results"];
/// Endings of the files that people write and read.
const TEXTS: [&str; 12] = [
    ".rs",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".css",
    ".svg",
    ".sh",
    ".snap",
    ".gitignore",
    ".ci/run",
];

/// The working tree.
pub struct Tree {
    root: PathBuf,
    files: Vec<String>,
}

impl Tree {
    pub fn open() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        files.sort();
        assert!(files.iter().any(|file| file == "Cargo.toml"), "{} is the workspace", root.display());
        Tree { root, files }
    }

    /// A file's text; empty if there is no such file, which the rules then complain about.
    pub fn text(&self, path: &str) -> String {
        fs::read(self.root.join(path))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub fn with_endings(&self, endings: &[&str]) -> Vec<(String, String)> {
        let wanted = self.files.iter().filter(|file| endings.iter().any(|ending| file.ends_with(ending)));
        wanted.map(|file| (file.clone(), self.text(file))).collect()
    }

    pub fn texts(&self) -> Vec<(String, String)> {
        self.with_endings(&TEXTS)
    }

    /// Names of the folders in a folder.
    pub fn folders(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(path)).expect("a folder");
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> =
            folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        // A link is not followed: it may lead out of the repository.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            walk(root, &path, files);
        } else if kind.is_file()
            && let Ok(relative) = path.strip_prefix(root)
        {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
}
