//! A run file, from its text to what is to be run.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use manifest::runfile::{Destination, Paths, RunApp};
use manifest::{RunFile, Source};

use super::job::Job;
use super::lines::{Lines, Out};
use super::name_of;
use crate::adapters::Surroundings;
use crate::args::Sidecar;
use crate::failure::Failure;
use crate::terminal;

/// What a file says is to be run, and the file's folder.
pub(super) fn jobs(path: &Path, json: bool) -> Result<(Vec<Job>, PathBuf), Failure> {
    let path = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", path.display()))
            .hint("-f names a run file, or a folder with a dapr.yaml in it")
    })?;
    let found = manifest::run_file(&Source { name: path.display().to_string(), text });
    if !json {
        terminal::out(&found.diagnostics.render(terminal::width(), terminal::colours()));
    }
    if found.diagnostics.errors() > 0 {
        return Err(Failure::new("the run file has errors; nothing was started")
            .hint("`colony explain CODE` says more about each")
            .detail("diagnostics", found.diagnostics.to_json()));
    }
    let absolute = std::path::absolute(&path).unwrap_or(path);
    let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let files = Files { found: &found, file: &absolute, base: &base };
    let named = found.apps.iter().map(|app| files.placed(app)).collect::<Result<Vec<_>, Failure>>()?;
    let ids: Vec<&str> = named.iter().map(|placed| placed.app_id.as_str()).collect();
    let lines = Arc::new(Lines::new(&ids, json));
    let jobs = named.iter().map(|placed| files.job(placed, &lines, json)).collect::<Result<_, _>>()?;
    Ok((jobs, base))
}

struct Files<'a> {
    found: &'a RunFile,
    file: &'a Path,
    base: &'a Path,
}

/// An app whose folder was found.
struct Placed<'a> {
    app: &'a RunApp,
    app_id: String,
    dir: PathBuf,
}

impl Files<'_> {
    fn placed<'a>(&self, app: &'a RunApp) -> Result<Placed<'a>, Failure> {
        let dir = self.base.join(from_home(&app.dir));
        let dir = dir.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
            let (line, column) = self.found.diagnostics.position(app.span);
            let place = format!("{}:{line}:{column}", self.file.display());
            Failure::new(format!("{place}: there is no folder {}", dir.display()))
                .hint("`appDirPath` is relative to the folder of the run file")
        })?;
        let app_id = app.app_id.clone().map_or_else(|| name_of(&dir), Ok)?;
        Ok(Placed { app, app_id, dir })
    }

    fn job(&self, placed: &Placed<'_>, lines: &Arc<Lines>, json: bool) -> Result<Job, Failure> {
        let Placed { app, app_id, dir } = placed;
        let mut surroundings = Surroundings::here()?;
        surroundings.folder.clone_from(dir);
        surroundings.variables.extend(app.env.clone());
        let mut notes = vec![
            ("runTemplatePath", self.file.display().to_string()),
            ("runTemplateName", self.file.file_name().unwrap_or_default().display().to_string()),
        ];
        let (own, own_file) = out(placed, app.sidecar_log, "daprd", lines)?;
        let (program, program_file) = out(placed, app.app_log, "app", lines)?;
        notes.extend(program_file.map(|path| ("appLogPath", path)));
        notes.extend(own_file.map(|path| ("daprdLogPath", path)));
        Ok(Job {
            sidecar: self.sidecar(app, app_id, dir, json)?,
            surroundings,
            env: app.env.clone(),
            command: app.command.clone(),
            app: program,
            own,
            notes,
        })
    }

    /// The command line of its sidecar.
    fn sidecar(&self, app: &RunApp, app_id: &str, dir: &Path, json: bool) -> Result<Sidecar, Failure> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: &str| words.push(format!("--{flag}={value}").into());
        add("app-id", app_id);
        for port in ["dapr-http-port", "dapr-grpc-port"] {
            if app.flags.iter().all(|(flag, _)| *flag != port) {
                add(port, "0");
            }
        }
        for (flag, value) in &app.flags {
            match *flag {
                "enable-app-health-check" => words.push(format!("--{flag}").into()),
                "unix-domain-socket" => {
                    words.push(format!("--{flag}={}", dir.join(from_home(value)).display()).into());
                }
                _ => words.push(format!("--{flag}={value}").into()),
            }
        }
        for (flag, paths, usual) in [
            ("resources-path", &app.resources, ".dapr/resources"),
            ("config", &app.config, ".dapr/config.yaml"),
        ] {
            let all = self.paths(paths, dir, usual);
            words.extend(all.iter().map(|path| OsString::from(format!("--{flag}={}", path.display()))));
        }
        if json {
            words.push("--log-as-json".into());
        }
        Sidecar::of(words).map_err(|why| Failure::new(format!("{}: {app_id}: {why}", self.file.display())))
    }

    /// Its own, else what is usually there, else what holds for all.
    fn paths(&self, paths: &Paths, dir: &Path, usual: &str) -> Vec<PathBuf> {
        let usual = dir.join(usual);
        match (paths.own.as_slice(), usual.exists()) {
            ([], true) => vec![usual],
            ([], false) => paths.common.iter().map(|path| self.base.join(from_home(path))).collect(),
            (own, _) => own.iter().map(|path| dir.join(from_home(path))).collect(),
        }
    }
}

/// Where lines go, and into which file.
fn out(
    placed: &Placed<'_>,
    to: Destination,
    what: &str,
    lines: &Arc<Lines>,
) -> Result<(Out, Option<String>), Failure> {
    let (lines, is_console) = (Arc::clone(lines), to != Destination::File);
    if to == Destination::Console {
        return Ok((Out::console(lines), None));
    }
    let folder = placed.dir.join(".dapr/logs");
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let path = folder.join(format!("{}_{what}_{seconds}.log", placed.app_id));
    let file = std::fs::create_dir_all(&folder).and_then(|()| File::create(&path));
    let file =
        file.map_err(|error| Failure::new(format!("cannot write the log {}: {error}", path.display())))?;
    Ok((Out::new(lines, is_console, Some(file)), Some(path.display().to_string())))
}

/// A path that may begin with `~/`.
fn from_home(path: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
    match path.strip_prefix("~/").zip(home()) {
        Some((rest, home)) => Path::new(&home).join(rest),
        None => PathBuf::from(path),
    }
}

/// What a run file is called where only its folder is named.
const NAME: &str = "dapr.yaml";
