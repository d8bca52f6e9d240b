//! Run files (`dapr.yaml`): several programs with a sidecar each, as `colony run -f` starts them.
//!
//! What is set for a sidecar becomes a flag of its command line, which is where its meaning is. Paths stay as they are
//! written: what they are relative to, and whether something is there, is the caller's to know.

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::nearest;
use crate::typed::{AsWritten, At, Bool, Cx, Field, List, Map, Text, Typed, keys};
use crate::units::Wrong;
use crate::yaml::{self, clip};
use crate::{Mask, Source};

/// What [`run_file`] found.
#[derive(Clone, Debug)]
pub struct RunFile {
    /// The programs, in order; not to be relied on if there are errors.
    pub apps: Vec<RunApp>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// A program and its sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunApp {
    /// Its id, if it is named; else it is called as its folder.
    pub app_id: Option<String>,
    /// The folder that it works in, relative to the file's.
    pub dir: String,
    /// Where that is written.
    pub span: Span,
    /// The program and its arguments; a sidecar alone if there are none.
    pub command: Vec<String>,
    /// Variables, those for all programs included.
    pub env: BTreeMap<String, String>,
    /// Folders with resource files.
    pub resources: Paths,
    /// A configuration file.
    pub config: Paths,
    /// Flags of its sidecar and their values.
    pub flags: Vec<(&'static str, String)>,
    /// Where what it writes goes.
    pub app_log: Destination,
    /// Where what its sidecar says goes.
    pub sidecar_log: Destination,
}

/// What is named for one program, and what for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Relative to the program's folder.
    pub own: Vec<String>,
    /// Relative to the file's folder; counts where nothing of its own is there.
    pub common: Vec<String>,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into a file.
    File,
    /// To the terminal.
    Console,
    /// To both.
    Both,
}

keys! {
    /// A run file.
    File, "a run file";
    /// `1`.
    "version" => version: AsWritten = required,
    /// What holds for all programs that say nothing else.
    "common" => common: Common,
    /// The programs.
    "apps" => apps: List<App> = required,
}

keys! {
    /// What holds for all programs.
    Common, "`common`";
    /// Variables.
    "env" => env: Map<AsWritten>,
    ..shared: Shared,
}

keys! {
    /// A program.
    App, "an app";
    /// The folder that it works in, relative to this file.
    "appDirPath" => dir: Text = required,
    /// Its id. Default: the name of its folder.
    "appID" => app_id: AsWritten,
    /// The program and its arguments.
    "command" => command: List<AsWritten>,
    /// The port that it listens on.
    "appPort" => app_port: AsWritten,
    /// Port of the HTTP API. Default: one that is free.
    "daprHTTPPort" => http_port: AsWritten,
    /// Port of the gRPC API. Default: one that is free.
    "daprGRPCPort" => grpc_port: AsWritten,
    /// Has no effect here.
    "daprInternalGRPCPort" => internal_port: AsWritten,
    /// Has no effect here.
    "metricsPort" => metrics_port: AsWritten,
    /// Has no effect here.
    "profilePort" => profile_port: AsWritten,
    /// Variables.
    "env" => env: Map<AsWritten>,
    /// Has no effect here.
    "containerImage" => image: AsWritten,
    /// Has no effect here.
    "containerImagePullPolicy" => pull: AsWritten,
    ..shared: Shared,
}

keys! {
    /// What can be set for one program and for all.
    Shared, "an app";
    /// A folder with resource files.
    "resourcesPath" => resources: Text,
    /// Folders with resource files.
    "resourcesPaths" => more_resources: List<Text>,
    /// A configuration file.
    "configFilePath" => config: Text,
    /// `http`, `grpc`, `https`, `grpcs` or `h2c`.
    "appProtocol" => protocol: Text,
    /// The program's host.
    "appChannelAddress" => channel: AsWritten,
    /// A folder for sockets in place of ports.
    "unixDomainSocket" => socket: Text,
    /// `fileAndConsole`, `file` or `console`. Default: fileAndConsole.
    "appLogDestination" => app_log: Text,
    /// `fileAndConsole`, `file` or `console`. Default: file.
    "daprdLogDestination" => sidecar_log: Text,
    /// `debug`, `info`, `warn`, `error` or `fatal`.
    "logLevel" => log_level: Text,
    /// Most calls into the program at a time.
    "appMaxConcurrency" => concurrency: AsWritten,
    /// Largest body of a request.
    "maxBodySize" => body: AsWritten,
    /// How much of a request's head is read at a time.
    "readBufferSize" => head_size: AsWritten,
    /// Whether the program is asked for its health.
    "enableAppHealthCheck" => health: Bool,
    /// Where.
    "appHealthCheckPath" => health_path: Text,
    /// How often, in seconds.
    "appHealthProbeInterval" => health_every: AsWritten,
    /// How long an answer may take, in milliseconds.
    "appHealthProbeTimeout" => health_timeout: AsWritten,
    /// How many failures count.
    "appHealthThreshold" => health_threshold: AsWritten,
    /// Addresses to listen on.
    "apiListenAddresses" => listen: AsWritten,
    /// Has no effect here.
    "enableApiLogging" => api_log: Bool,
    /// Has no effect here.
    "runtimePath" => runtime: Text,
    /// Has no effect here.
    "placementHostAddress" => placement: AsWritten,
    /// Has no effect here.
    "schedulerHostAddress" => scheduler: AsWritten,
}

/// Reads a run file.
pub fn run_file(file: &Source) -> RunFile {
    let mut reader = Reader::default();
    let documents = yaml::parse_all(&file.text, 0, &mut reader.found);
    if let Some(node) = documents.first() {
        let mut cx = Cx::default();
        let typed = File::decode(node, &mut cx);
        reader.found.append(&mut cx.found);
        if let Some(typed) = typed {
            reader.file(&typed);
        }
    }
    if let Some(second) = documents.get(1) {
        reader.found.push(
            Diagnostic::error(codes::CONTRADICTION, second.head(), "a run file is one document")
                .label("this is a second one: take the `---` out"),
        );
    }
    let sources = std::slice::from_ref(file);
    RunFile { apps: reader.apps, diagnostics: Diagnostics::of(reader.found, sources, &Mask::default()) }
}

#[derive(Default)]
struct Reader {
    found: Vec<Diagnostic>,
    apps: Vec<RunApp>,
}

impl Reader {
    fn file(&mut self, file: &File) {
        if let Some(at) = file.version.get().filter(|at| at.value.0 != "1") {
            self.wrong(
                at.span,
                Wrong::new(format!("there is no version `{}`", clip(&at.value.0))).help("write `1`"),
            );
        }
        let common = file.common.value();
        if let Some(common) = common {
            self.without_effect(&common.shared);
        }
        let apps = file.apps.value().map_or(&[][..], |apps| &apps.items);
        if apps.is_empty() && !file.apps.is_absent() && !file.apps.is_broken() {
            let span = file.apps.key().unwrap_or_default();
            self.wrong(span, Wrong::new("there are no apps").help("list one with its `appDirPath` at least"));
        }
        for app in apps {
            self.app(&app.value, common);
        }
    }

    fn app(&mut self, app: &App, common: Option<&Common>) {
        self.without_effect(&app.shared);
        for field in [&app.internal_port, &app.metrics_port, &app.profile_port, &app.image, &app.pull] {
            self.no_effect(field);
        }
        let Some(dir) = app.dir.get() else { return };
        let mut flags = Vec::new();
        for (field, flag) in [
            (&app.app_port, "app-port"),
            (&app.http_port, "dapr-http-port"),
            (&app.grpc_port, "dapr-grpc-port"),
        ] {
            flags.extend(self.checked(field, port).map(|text| (flag, text)));
        }
        let own = self.shared(&app.shared);
        let for_all = common.map_or_else(Vec::new, |common| self.shared_quietly(&common.shared));
        let inherited: Vec<_> =
            for_all.into_iter().filter(|(flag, _)| own.iter().all(|(known, _)| known != flag)).collect();
        flags.extend(own);
        flags.extend(inherited);
        let shared = |of: fn(&Shared) -> &Field<Text>| {
            of(&app.shared).get().or_else(|| of(&common?.shared).get()).cloned()
        };
        let app_log = self.destination(shared(|shared| &shared.app_log), Destination::Both);
        let sidecar_log = self.destination(shared(|shared| &shared.sidecar_log), Destination::File);
        let app_id = app.app_id.value().map(|text| text.0.clone());
        if let (Some(id), Some(at)) = (&app_id, app.app_id.get())
            && self.apps.iter().any(|other| other.app_id.as_ref() == Some(id))
        {
            self.found.push(
                Diagnostic::error(codes::NAME_TAKEN, at.span, format!("two apps are called `{}`", clip(id)))
                    .label("the name is taken")
                    .help("give each its own `appID`; instances of one app are started by commands of their own"),
            );
        }
        let mut env = common.map_or_else(BTreeMap::new, |common| variables(&common.env));
        env.extend(variables(&app.env));
        self.apps.push(RunApp {
            app_id,
            dir: dir.value.0.clone(),
            span: dir.span,
            command: app
                .command
                .value()
                .map_or_else(Vec::new, |words| words.items.iter().map(|word| word.value.0.clone()).collect()),
            env,
            resources: Paths {
                own: folders(&app.shared),
                common: common.map_or_else(Vec::new, |common| folders(&common.shared)),
            },
            config: Paths {
                own: texts(&app.shared.config),
                common: common.map_or_else(Vec::new, |common| texts(&common.shared.config)),
            },
            flags,
            app_log,
            sidecar_log,
        });
    }

    /// The flags of what is set, where it may be set for all.
    fn shared(&mut self, shared: &Shared) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        for (field, flag, known) in [
            (&shared.protocol, "app-protocol", &["http", "grpc", "https", "grpcs", "h2c"][..]),
            (&shared.log_level, "log-level", &["debug", "info", "warn", "error", "fatal"]),
        ] {
            let Some(at) = field.get() else { continue };
            match known.contains(&at.value.0.as_str()) {
                true => flags.push((flag, at.value.0.clone())),
                false => self.wrong(at.span, no_word(&at.value.0, known)),
            }
        }
        for (field, flag) in
            [(&shared.socket, "unix-domain-socket"), (&shared.health_path, "app-health-check-path")]
        {
            flags.extend(field.value().map(|text| (flag, text.0.clone())));
        }
        for (field, flag, check) in [
            (&shared.channel, "app-channel-address", any as Check),
            (&shared.listen, "dapr-listen-addresses", any),
            (&shared.body, "max-body-size", size),
            (&shared.head_size, "read-buffer-size", size),
            (&shared.concurrency, "app-max-concurrency", whole),
            (&shared.health_every, "app-health-probe-interval", above_zero),
            (&shared.health_timeout, "app-health-probe-timeout", above_zero),
            (&shared.health_threshold, "app-health-threshold", above_zero),
        ] {
            flags.extend(self.checked(field, check).map(|text| (flag, text)));
        }
        if shared.health.value().is_some_and(|on| on.0) {
            flags.push(("enable-app-health-check", "true".to_owned()));
        }
        flags
    }

    /// The same, of what was complained about before.
    fn shared_quietly(&mut self, shared: &Shared) -> Vec<(&'static str, String)> {
        let so_far = self.found.len();
        let first = self.apps.is_empty();
        let flags = self.shared(shared);
        if !first {
            self.found.truncate(so_far);
        }
        flags
    }

    fn checked(&mut self, field: &Field<AsWritten>, check: Check) -> Option<String> {
        let at = field.get()?;
        match check(&at.value.0) {
            Ok(()) => Some(at.value.0.clone()),
            Err(wrong) => {
                self.wrong(at.span, wrong);
                None
            }
        }
    }

    fn destination(&mut self, at: Option<At<Text>>, default: Destination) -> Destination {
        let Some(at) = at else { return default };
        match at.value.0.as_str() {
            "file" => Destination::File,
            "console" => Destination::Console,
            "fileAndConsole" => Destination::Both,
            other => {
                let wrong = no_word(other, &["file", "console", "fileAndConsole"]);
                // Said for all, it is said once.
                if !self.found.iter().any(|one| one.span == at.span) {
                    self.wrong(at.span, wrong);
                }
                default
            }
        }
    }

    fn without_effect(&mut self, shared: &Shared) {
        self.no_effect(&shared.runtime);
        self.no_effect(&shared.placement);
        self.no_effect(&shared.scheduler);
        self.no_effect(&shared.api_log);
    }

    fn no_effect<T>(&mut self, field: &Field<T>) {
        if let Some(key) = field.key() {
            self.found.push(
                Diagnostic::warning(codes::NO_EFFECT, key, "this has no effect here")
                    .label("there is nothing here that it could be set for"),
            );
        }
    }

    fn wrong(&mut self, span: Span, wrong: Wrong) {
        let one = Diagnostic::error(codes::WRONG_TYPE, span, wrong.message);
        self.found.push(match wrong.help {
            Some(help) => one.label(help),
            None => one,
        });
    }
}

type Check = fn(&str) -> Result<(), Wrong>;

fn any(_: &str) -> Result<(), Wrong> {
    Ok(())
}

fn port(text: &str) -> Result<(), Wrong> {
    match text.parse::<i32>() {
        Ok(-1..=65_535) => Ok(()),
        _ => Err(Wrong::new(format!("`{}` is no port", clip(text))).help("write a number from 1 to 65535")),
    }
}

fn whole(text: &str) -> Result<(), Wrong> {
    text.parse::<i32>().map(drop).map_err(|_| {
        Wrong::new(format!("`{}` is no whole number", clip(text))).help("write a number, or -1 for no limit")
    })
}

fn above_zero(text: &str) -> Result<(), Wrong> {
    text.parse::<u32>().ok().filter(|number| *number > 0).map(drop).ok_or_else(|| {
        Wrong::new(format!("`{}` is no number above zero", clip(text)))
            .help("write a whole number such as `3`")
    })
}

fn size(text: &str) -> Result<(), Wrong> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let fits = matches!(unit, "" | "k" | "M" | "G" | "Ki" | "Mi" | "Gi");
    number
        .parse::<u64>()
        .ok()
        .filter(|number| fits && *number > 0)
        .map(drop)
        .ok_or_else(|| Wrong::new(format!("`{}` is no size", clip(text))).help("write for example `4Mi`"))
}

fn no_word(text: &str, known: &[&'static str]) -> Wrong {
    let wrong = Wrong::new(format!("`{}` is none of the words that can be here", clip(text)));
    match nearest::nearest(text, known.iter().copied()) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help(format!("write {}", nearest::choice(known.iter().copied()))),
    }
}

fn texts(field: &Field<Text>) -> Vec<String> {
    field.value().into_iter().map(|text| text.0.clone()).filter(|text| !text.is_empty()).collect()
}

fn folders(shared: &Shared) -> Vec<String> {
    let more = shared.more_resources.value().map_or(&[][..], |list| &list.items);
    more.iter().map(|at| at.value.0.clone()).chain(texts(&shared.resources)).collect()
}

fn variables(field: &Field<Map<AsWritten>>) -> BTreeMap<String, String> {
    let all = field.value().map_or(&[][..], |map| &map.0);
    all.iter().filter_map(|(name, value)| Some((name.value.clone(), value.value()?.0.clone()))).collect()
}
