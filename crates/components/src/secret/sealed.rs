//! `secretstores.colony`: secrets in a file of the data folder, encrypted.
//!
//! All secrets are sealed together (AES-256-GCM, RFC 5116) under one key with a nonce made by chance for each writing, so that
//! whoever reads the file learns no more than how much there is, and whoever changes it is found out. The key is in a file
//! beside, for its owner alone, unless it is given: kept elsewhere, the folder alone is of no use. A file is replaced as
//! a whole, so there are the old secrets or the new; those who write take turns by a lock on a third file.
//!
//! It is no part of the engine's state, for it is needed before that is open, and to set it nothing has to run; and because
//! what is deleted shall be gone, which it is from a log only when its segments are.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Error, Secret, Store};
use crate::Reply;

/// Where the secrets of a data folder are.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
    key: KeyIn,
}

/// Where the key is.
#[derive(Clone)]
pub enum KeyIn {
    /// In the file of the folder, which is made where there is none yet.
    Folder,
    /// In this file.
    File(PathBuf),
    /// Here: 32 bytes in base64.
    Text(String),
}

/// Those of a vault, as components know them.
#[derive(Clone, Debug)]
pub struct Sealed(Arc<Vault>);

impl Vault {
    /// That of a data folder. Nothing is looked at yet.
    pub fn of(data: &Path, key: KeyIn) -> Vault {
        Vault { folder: data.join(FOLDER), key }
    }

    /// All secrets; none if none was ever set.
    ///
    /// # Errors
    ///
    /// A sentence, if they cannot be read, or not with this key.
    pub fn read(&self) -> Result<BTreeMap<String, Secret>, String> {
        let path = self.folder.join(FILE);
        let sealed = match fs::File::open(&path) {
            Ok(file) => {
                bounded(file, SEALED_BYTES_MAX).map_err(|why| format!("{}: {why}", path.display()))?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let key = self.key()?.ok_or_else(|| {
            format!("there is no key for {}: put back {}", path.display(), self.folder.join(KEY).display())
        })?;
        open(&key, sealed).ok_or_else(|| {
            format!("{} was not written with this key, or has been changed since", path.display())
        })
    }

    /// Changes the secrets, whoever else does so meanwhile.
    ///
    /// # Errors
    ///
    /// A sentence, if they cannot be read or written, or what `change` says.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Secret>) -> Result<T, String>,
    ) -> Result<T, String> {
        let failed =
            |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", self.folder.display());
        fs::create_dir_all(&self.folder).map_err(|error| failed("make", error))?;
        let own = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.folder, own).map_err(|error| failed("close", error))?;
        let lock = private(OpenOptions::new().create(true).truncate(false), &self.folder.join(LOCK));
        let lock = lock.map_err(|error| failed("lock", error))?;
        lock.lock().map_err(|error| failed("lock", error))?;
        let mut secrets = self.read()?;
        let done = change(&mut secrets)?;
        let key = match self.key()? {
            Some(key) => key,
            None => self.make_key().map_err(|error| failed("write a key into", error))?,
        };
        let sealed = seal(&key, &secrets)?;
        self.replace(FILE, &sealed).map_err(|error| failed("write into", error))?;
        Ok(done)
    }

    /// None if it is the folder's and there is none yet.
    fn key(&self) -> Result<Option<LessSafeKey>, String> {
        let text = match &self.key {
            KeyIn::Text(text) => text.clone(),
            KeyIn::File(path) => {
                key_file(path)?.ok_or_else(|| format!("there is no key file {}", path.display()))?
            }
            KeyIn::Folder => match key_file(&self.folder.join(KEY))? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new);
        key.map(Some).map_err(|_| "the key of the secrets is no 32 bytes in base64".to_owned())
    }

    fn make_key(&self) -> std::io::Result<LessSafeKey> {
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| std::io::Error::other("there is no chance to be had"))?;
        self.replace(KEY, format!("{}\n", STANDARD.encode(bytes)).as_bytes())?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new);
        key.map_err(|_| std::io::Error::other("no key"))
    }

    /// Puts a file in the place of another, durably and for its owner alone.
    fn replace(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        let mut file = private(OpenOptions::new().create(true).truncate(true), &new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))?;
        fs::File::open(&self.folder)?.sync_all()
    }
}

impl Sealed {
    /// What a vault has.
    ///
    /// # Errors
    ///
    /// A sentence, if it cannot be read.
    pub fn new(vault: Vault) -> Result<Sealed, String> {
        vault.read().map(|_| Sealed(Arc::new(vault)))
    }

    async fn read(&self) -> Result<BTreeMap<String, Secret>, Error> {
        let vault = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || vault.read()).await;
        read.map_err(|error| Error::Unavailable(error.to_string()))?.map_err(Error::Unavailable)
    }
}

impl Store for Sealed {
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, Error>> {
        Box::pin(
            async move { self.read().await?.remove(name).ok_or_else(|| Error::Unknown(name.to_owned())) },
        )
    }

    fn all(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, Error>> {
        Box::pin(self.read())
    }
}

impl std::fmt::Debug for KeyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyIn::Folder => f.write_str("Folder"),
            KeyIn::File(path) => f.debug_tuple("File").field(path).finish(),
            KeyIn::Text(_) => f.write_str("Text"),
        }
    }
}

/// Whether this can be what a secret, or one of its values, is called.
///
/// # Errors
///
/// A sentence about what is wrong.
pub fn check_name(name: &str) -> Result<(), String> {
    match () {
        () if name.is_empty() => Err("a secret has a name".to_owned()),
        () if name.len() > NAME_BYTES_MAX => Err(format!("a name has at most {NAME_BYTES_MAX} bytes")),
        () if name.contains(char::is_control) => Err("a name has no control character".to_owned()),
        () => Ok(()),
    }
}

fn seal(key: &LessSafeKey, secrets: &BTreeMap<String, Secret>) -> Result<Vec<u8>, String> {
    let mut text = serde_json::to_vec(secrets).map_err(|error| error.to_string())?;
    let mut nonce = [0; NONCE_LEN];
    let random = SystemRandom::new().fill(&mut nonce);
    let sealed = random.and_then(|()| {
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(MAGIC), &mut text)
    });
    sealed.map_err(|_| "the secrets cannot be encrypted".to_owned())?;
    let sealed = [MAGIC.as_slice(), &nonce, &text].concat();
    match sealed.len() as u64 > SEALED_BYTES_MAX {
        true => {
            Err(format!("the secrets have more than {SEALED_BYTES_MAX} bytes together, which are the most"))
        }
        false => Ok(sealed),
    }
}

fn open(key: &LessSafeKey, sealed: Vec<u8>) -> Option<BTreeMap<String, Secret>> {
    let (nonce, text) = sealed.strip_prefix(MAGIC.as_slice())?.split_at_checked(NONCE_LEN)?;
    let (nonce, mut text) = (Nonce::try_assume_unique_for_key(nonce).ok()?, text.to_vec());
    let text = key.open_in_place(nonce, Aad::from(MAGIC), &mut text).ok()?;
    serde_json::from_slice(text).ok()
}

/// What is in a key's file, if there is one; it must be for its owner alone.
fn key_file(path: &Path) -> Result<Option<String>, String> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read the key file {}: {error}", path.display())),
    };
    let mode = file.metadata().map_or(0o777, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(format!("the key file {path} can be read by others: chmod 600 {path}"));
    }
    let text =
        bounded(file, KEY_BYTES_MAX).map_err(|why| format!("the key file {}: {why}", path.display()))?;
    Ok(Some(String::from_utf8(text).unwrap_or_default()))
}

fn private(options: &mut OpenOptions, path: &Path) -> std::io::Result<fs::File> {
    options.write(true).mode(0o600).open(path)
}

fn bounded(file: fs::File, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > most {
        true => Err(format!("it has more than {most} bytes, which are the most")),
        false => Ok(bytes),
    }
}

/// Where in a data folder the secrets are.
const FOLDER: &str = "secrets";
const FILE: &str = "sealed";
const KEY: &str = "key";
const LOCK: &str = "lock";
/// How the file begins, so that a later layout is told from this.
const MAGIC: &[u8; 16] = b"colony-secrets-1";
/// Largest file: each request reads it.
const SEALED_BYTES_MAX: u64 = 1 << 20;
const KEY_BYTES_MAX: u64 = 1 << 10;
/// Longest name of a secret, or of one of its values.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(vault: &Vault, name: &str, value: &str) -> Result<(), String> {
        let secret = Secret::from([(name.to_owned(), value.to_owned())]);
        vault.change(|secrets| {
            secrets.insert(name.to_owned(), secret);
            Ok(())
        })
    }

    #[tokio::test]
    async fn what_is_set_is_known_and_lies_encrypted() {
        let data = tempfile::tempdir().expect("a folder");
        let vault = Vault::of(data.path(), KeyIn::Folder);
        assert_eq!(vault.read(), Ok(BTreeMap::new()));
        let store = Sealed::new(vault.clone()).expect("an empty one");
        set(&vault, "password", "hush-hush").expect("set");
        assert!(store.get("password").await.is_ok_and(|secret| secret["password"] == "hush-hush"));
        assert_eq!(store.get("other").await, Err(Error::Unknown("other".to_owned())));
        let file = |name: &str| data.path().join("secrets").join(name);
        let sealed = fs::read(file("sealed")).expect("written");
        let has = |text: &[u8]| sealed.windows(text.len()).any(|window| window == text);
        assert!(!has(b"hush") && !has(b"password") && has(b"colony-secrets-1"));
        for name in ["sealed", "key", "lock"] {
            let mode = fs::metadata(file(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        set(&vault, "password", "hush-hush").expect("set");
        assert_ne!(fs::read(file("sealed")).expect("written"), sealed, "a nonce is used once");
        vault
            .change(|secrets| {
                secrets.clear();
                Ok(())
            })
            .expect("cleared");
        assert_eq!(store.all().await, Ok(BTreeMap::new()));
    }

    #[test]
    fn another_key_or_a_changed_file_is_found_out() {
        let data = tempfile::tempdir().expect("a folder");
        let own = Vault::of(data.path(), KeyIn::Folder);
        set(&own, "a", "hush").expect("set");
        let text = fs::read_to_string(data.path().join("secrets/key")).expect("a key");
        assert!(Vault::of(data.path(), KeyIn::Text(text)).read().is_ok());
        let other = KeyIn::Text(STANDARD.encode([7; 32]));
        for (key, wanted) in [
            (other, "was not written with this key"),
            (KeyIn::Text("short".to_owned()), "32 bytes in base64"),
            (KeyIn::File(data.path().join("none")), "there is no key file"),
        ] {
            let vault = Vault::of(data.path(), key);
            let why = vault.read().expect_err("it cannot be read");
            assert!(why.contains(wanted) && !why.contains("hush"), "{why}");
            assert!(set(&vault, "b", "lost").is_err(), "what cannot be read is not written over");
        }
        let path = data.path().join("secrets/sealed");
        let sealed = fs::read(&path).expect("written");
        for at in [0, 20, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).expect("changed");
            assert!(own.read().is_err(), "{at}");
        }
        fs::write(&path, b"").expect("changed");
        assert!(own.read().is_err());
        fs::write(&path, &sealed).expect("changed");
        assert!(own.read().is_ok());
        fs::remove_file(data.path().join("secrets/key")).expect("gone");
        assert!(own.read().is_err_and(|why| why.contains("put back")));
    }

    #[test]
    fn a_key_that_others_can_read_is_none() {
        let data = tempfile::tempdir().expect("a folder");
        let vault = Vault::of(data.path(), KeyIn::Folder);
        set(&vault, "a", "1").expect("set");
        let key = data.path().join("secrets/key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("opened");
        assert!(vault.read().is_err_and(|why| why.contains("chmod 600")));
    }

    #[test]
    fn those_who_write_take_turns() {
        let data = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let vault = Vault::of(data.path(), KeyIn::Folder);
                scope.spawn(move || set(&vault, &format!("s{number}"), "1").expect("set"));
            }
        });
        assert_eq!(Vault::of(data.path(), KeyIn::Folder).read().expect("read").len(), 8);
        assert!(check_name("a\n").is_err() && check_name("").is_err() && check_name("db:password").is_ok());
        let most = SEALED_BYTES_MAX as usize;
        assert!(set(&Vault::of(data.path(), KeyIn::Folder), "big", &"x".repeat(most)).is_err());
    }
}
