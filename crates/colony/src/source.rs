//! Manifests on disk: found, read together with their overlays and the environment, and checked.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::args;
use crate::failure::Failure;
use crate::sidecars;

/// Names looked for in a folder, in this order.
pub(crate) const NAMES: [&str; 2] = ["colony.yaml", "colony.yml"];

/// The data folder beside a manifest, unless another one is named.
pub(crate) const DATA: &str = ".colony";

/// Names the data folder where no `--data` does.
const DATA_VARIABLE: &str = "COLONY_DATA";

/// Names the node's zone where no `--zone` does.
const ZONE_VARIABLE: &str = "COLONY_ZONE";

/// Where a manifest and its overlays lie; reading it again reads what is there now.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As the user typed it, for messages.
    pub(crate) shown: String,
    pub(crate) file: PathBuf,
    pub(crate) overlays: Vec<PathBuf>,
    /// The manifest's folder, absolute.
    pub(crate) root: PathBuf,
    /// The zone that the node was told it is in.
    zone: Option<String>,
    /// Whether what components would keep in other servers is kept by Colony.
    pub(crate) embedded: bool,
    /// Where Colony keeps what belongs to it, absolute.
    data: PathBuf,
}

impl Source {
    /// Finds the manifest that the command line means, whose data are in the folder that it named.
    pub(crate) fn find(args: &args::Manifest, data: Option<&Path>) -> Result<Source, Failure> {
        let file = match args.path.is_dir() {
            false => args.path.clone(),
            true => NAMES.iter().map(|name| args.path.join(name)).find(|path| path.is_file()).ok_or_else(|| {
                Failure::new(format!("there is no colony.yaml in {}", shown(&args.path)))
                    .hint("`colony init --url http://127.0.0.1:3000` writes one for a program that runs already")
            })?,
        };
        let absolute = file.canonicalize().map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", file.display())).hint(
                "`colony init --url http://127.0.0.1:3000` writes a manifest for a program that runs already",
            )
        })?;
        let root = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        let file = file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
        Ok(Source {
            shown: file.display().to_string(),
            file: absolute,
            overlays: args.overlay.clone(),
            zone: zone(args.zone.clone())?,
            embedded: args.embedded,
            data: data.map_or_else(|| root.join(DATA), Path::to_owned),
            root,
        })
    }

    /// Reads and checks what is there now, with the resource files that the manifest names.
    pub(crate) fn check(&self) -> Result<manifest::Checked, Failure> {
        let input = self.read()?;
        let mut checked = manifest::check(&input);
        if let Some(manifest) = &checked.manifest {
            let [resources, configuration] = self.resources(manifest);
            let found = sidecars::check(&resources, &configuration, &input.env, self.embedded)?;
            let is_wrong = found.iter().any(|diagnostics| diagnostics.errors() > 0);
            found.into_iter().for_each(|diagnostics| checked.diagnostics.append(diagnostics));
            if is_wrong {
                checked.manifest = None;
            }
        }
        Ok(checked)
    }

    /// The folders of resources and the files of configuration that a manifest names.
    pub(crate) fn resources(&self, manifest: &manifest::valid::Manifest) -> [Vec<PathBuf>; 2] {
        [&manifest.resources, &manifest.configuration]
            .map(|paths| paths.iter().map(|path| self.root.join(path)).collect())
    }

    /// Reads what is there now.
    pub(crate) fn read(&self) -> Result<manifest::Input, Failure> {
        let base = manifest::Source { name: self.shown.clone(), text: read(&self.file)? };
        let mut overlays = Vec::new();
        for path in &self.overlays {
            overlays.push(manifest::Source { name: path.display().to_string(), text: read(path)? });
        }
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(manifest::Input { root: self.root.clone(), base, overlays, env, zone: self.zone.clone() })
    }

    /// Where Colony keeps what belongs to this manifest.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("{} is not UTF-8 text", path.display())))
}

fn shown(path: &Path) -> String {
    match path.as_os_str() == "." {
        true => "this folder".to_owned(),
        false => path.display().to_string(),
    }
}

/// The zone that the command line or else the environment names.
fn zone(given: Option<String>) -> Result<Option<String>, Failure> {
    let variable = || std::env::var(ZONE_VARIABLE).ok().filter(|zone| !zone.is_empty());
    let Some(zone) = given.or_else(variable) else { return Ok(None) };
    let named = manifest::zone_name(&zone);
    named.map(Some).map_err(|why| Failure::new(format!("{ZONE_VARIABLE}: {why}")))
}

/// The data folder that the command line or else the environment names; None: the one beside the
/// manifest. Absolute, and without links where it is there, so that who compares finds it the same.
pub(crate) fn data_dir(given: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    let variable = || std::env::var_os(DATA_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let Some(dir) = given.or_else(variable) else { return Ok(None) };
    let absolute = dir.canonicalize().or_else(|_| std::path::absolute(&dir));
    absolute
        .map(Some)
        .map_err(|error| Failure::new(format!("{} cannot be the data folder: {error}", dir.display())))
}

/// The data folder of programs that have no manifest: what was named, else that of this folder or of the nearest above it
/// that has one, else one in this folder.
pub(crate) fn shared_data(named: Option<&Path>) -> PathBuf {
    shared_data_from(named, &std::env::current_dir().unwrap_or_default())
}

/// The same, seen from another folder.
pub(crate) fn shared_data_from(named: Option<&Path>, from: &Path) -> PathBuf {
    let near = || from.ancestors().map(|folder| folder.join(DATA)).find(|folder| is_own(folder));
    let folder = named.map(Path::to_owned).or_else(near).unwrap_or_else(|| from.join(DATA));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Whether it is a folder of this user's: what another one has put above this folder is not meant.
fn is_own(folder: &Path) -> bool {
    let meta = std::fs::symlink_metadata(folder);
    meta.is_ok_and(|meta| meta.is_dir() && meta.uid() == nix::unistd::getuid().as_raw())
}
