//! The command line of `colony secret`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// Keep secrets in the data folder, encrypted, for components of type `secretstores.colony`
///
/// The key is in the file secrets/key of the data folder, which is made with the first secret; or in $COLONY_SECRETS_KEY, in base64;
/// or in a file of its own. Who is running sees what changes at once, and nothing has to run.
#[derive(Debug, ClapArgs)]
pub(crate) struct Secret {
    /// The file with the key; none: that of $COLONY_SECRETS_KEY_FILE, or of the data folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) what: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    Set(SetSecret),
    /// Print a secret
    Get(OneSecret),
    /// Print the names of all secrets, and those of their values where there are several
    List(super::Json),
    /// Take a secret away, or one of its values
    Delete(OneSecret),
}

/// Set a secret to what is typed, or comes on standard input
///
/// It is never an argument, for those can be seen by others and are kept by shells. One line break at its end is no part of it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "colony secret set db-password\n\
    pwgen 32 1 | colony secret set db-password\n\
    colony secret set db --key password < password.txt")]
pub(crate) struct SetSecret {
    #[command(flatten)]
    pub(crate) one: OneSecret,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OneSecret {
    /// What it is called
    pub(crate) name: String,
    /// Which of its values, where it has several; none: the one that is called as it is, or all
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl SecretCommand {
    pub(super) fn json(&self) -> bool {
        match self {
            SecretCommand::Set(args) => args.one.json,
            SecretCommand::Get(args) | SecretCommand::Delete(args) => args.json,
            SecretCommand::List(args) => args.json,
        }
    }
}
