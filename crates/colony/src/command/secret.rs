//! `colony secret`: secrets of the data folder, encrypted, without anything that runs.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use components::secret::{KeyIn, Vault, check_name};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::json;

use crate::args::{OneSecret, Secret, SecretCommand};
use crate::failure::Failure;
use crate::source;
use crate::terminal;

pub(crate) fn run(args: &Secret, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let key = key_in(args.key_file.as_deref(), |name| std::env::var(name).ok());
    let vault = Vault::of(&source::shared_data(data), key);
    let told = match &args.what {
        SecretCommand::Set(args) => set(&vault, &args.one)?,
        SecretCommand::Get(args) => get(&vault, args)?,
        SecretCommand::List(args) => list(&vault, args.json)?,
        SecretCommand::Delete(args) => delete(&vault, args)?,
    };
    terminal::print(&told)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the key is: in the file that is named, or else where the environment says, or else in the folder.
pub(crate) fn key_in(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> KeyIn {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    match (file, given("COLONY_SECRETS_KEY"), given("COLONY_SECRETS_KEY_FILE")) {
        (Some(file), ..) => KeyIn::File(file.to_owned()),
        (_, Some(key), _) => KeyIn::Text(key),
        (.., Some(file)) => KeyIn::File(file.into()),
        _ => KeyIn::Folder,
    }
}

fn set(vault: &Vault, args: &OneSecret) -> Result<String, Failure> {
    let key = args.key.as_deref().unwrap_or(&args.name);
    for name in [&args.name, key] {
        check_name(name).map_err(|why| Failure::new(format!("there can be no secret {name:?}: {why}")))?;
    }
    let value = value(&args.name)?;
    vault
        .change(|secrets| {
            secrets.entry(args.name.clone()).or_default().insert(key.to_owned(), value);
            Ok(())
        })
        .map_err(Failure::new)?;
    Ok(done(args, "set"))
}

fn get(vault: &Vault, args: &OneSecret) -> Result<String, Failure> {
    let mut secrets = vault.read().map_err(Failure::new)?;
    let mut secret = secrets.remove(&args.name).ok_or_else(|| unknown(&args.name))?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None if args.json => return Ok(format!("{}\n", json!(secret))),
        None if secret.len() == 1 => secret.keys().next().cloned().unwrap_or_default(),
        None => args.name.clone(),
    };
    let Some(value) = secret.remove(&key) else {
        let keys = secret.keys().map(|key| format!("--key {key}")).collect::<Vec<_>>().join(", ");
        let failure = Failure::new(format!("the secret {:?} has no value {key:?}", args.name));
        return Err(failure.hint(format!("it has {keys}")));
    };
    Ok(match args.json {
        true => format!("{}\n", json!({ key: value })),
        false => format!("{value}\n"),
    })
}

fn list(vault: &Vault, as_json: bool) -> Result<String, Failure> {
    let secrets = vault.read().map_err(Failure::new)?;
    if as_json {
        let names = secrets
            .iter()
            .map(|(name, secret)| json!({ "name": name, "keys": Vec::from_iter(secret.keys()) }));
        return Ok(format!("{}\n", serde_json::Value::from_iter(names)));
    }
    let line = |(name, secret): (&String, &components::secret::Secret)| {
        let keys: Vec<&str> = secret.keys().map(String::as_str).filter(|key| key != name).collect();
        if keys.is_empty() { format!("{name}\n") } else { format!("{name}  ({})\n", keys.join(", ")) }
    };
    Ok(secrets.iter().map(line).collect())
}

fn delete(vault: &Vault, args: &OneSecret) -> Result<String, Failure> {
    let was_there = vault.change(|secrets| {
        let Some(key) = &args.key else { return Ok(secrets.remove(&args.name).is_some()) };
        let Some(secret) = secrets.get_mut(&args.name) else { return Ok(false) };
        let was_there = secret.remove(key).is_some();
        if secret.is_empty() {
            secrets.remove(&args.name);
        }
        Ok(was_there)
    });
    match was_there.map_err(Failure::new)? {
        true => Ok(done(args, "deleted")),
        false => Err(unknown(&args.name)),
    }
}

fn done(args: &OneSecret, what: &str) -> String {
    match args.json {
        true => format!("{}\n", json!({ "name": args.name, "key": args.key, what: true })),
        false => String::new(),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(format!("there is no such secret: {name:?}")).hint("`colony secret list` names all")
}

/// What is typed and not seen, or comes on standard input.
fn value(name: &str) -> Result<String, Failure> {
    let input = std::io::stdin();
    let failed = |error: std::io::Error| Failure::new(format!("cannot read the secret: {error}"));
    let mut text = String::new();
    if input.is_terminal() {
        let _ = write!(std::io::stderr(), "value of {name}: ");
        let hidden = Hidden::new();
        input.read_line(&mut text).map_err(failed)?;
        drop(hidden);
        let _ = writeln!(std::io::stderr());
    } else {
        input.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    }
    let value = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    match value.len() as u64 {
        0 => Err(Failure::new("nothing was given: a secret is typed, or comes on standard input")),
        long if long > VALUE_BYTES_MAX => {
            Err(Failure::new(format!("a secret has at most {VALUE_BYTES_MAX} bytes")))
        }
        _ => Ok(value.to_owned()),
    }
}

/// While this is there, what is typed is not shown.
struct Hidden(Option<nix::sys::termios::Termios>);

impl Hidden {
    fn new() -> Hidden {
        let input = std::io::stdin();
        let Ok(shown) = tcgetattr(&input) else { return Hidden(None) };
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        Hidden(tcsetattr(&input, SetArg::TCSAFLUSH, &hidden).is_ok().then_some(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, shown);
        }
    }
}

/// Longest value.
const VALUE_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_goes_before_what_is_around() {
        let key = |file: Option<&str>, set: &[(&str, &str)]| {
            let of = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            format!("{:?}", key_in(file.map(Path::new), of))
        };
        let both = [("COLONY_SECRETS_KEY", "k"), ("COLONY_SECRETS_KEY_FILE", "f")];
        assert_eq!(key(Some("x"), &both), "File(\"x\")");
        assert_eq!((key(None, &both), key(None, &both[1..])), ("Text".to_owned(), "File(\"f\")".to_owned()));
        assert_eq!(key(None, &[("COLONY_SECRETS_KEY", "")]), "Folder");
    }
}
