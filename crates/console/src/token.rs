//! The secret that lets one in, one for each data folder, and the sessions that it is exchanged for.
//!
//! A session is nothing that is kept: it is a time and a code that only who has the token can have made (HMAC-SHA256), so that it
//! outlives a restart of the node, and ends with the token, whose file may be removed.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};

/// Name of the token's file in the data folder.
pub const TOKEN_FILE: &str = "console.token";
/// How long a session lasts.
pub(crate) const SESSION_SECONDS: u64 = 30 * 24 * 3600;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// The largest file that is read as one.
const FILE_BYTES_MAX: u64 = 256;

/// A token.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token of a data folder; made if there is none. The file is this user's alone.
    ///
    /// # Errors
    /// It can be neither read nor written, others may read it, or it holds something else.
    pub fn of(data_dir: &Path) -> io::Result<Token> {
        let path = data_dir.join(TOKEN_FILE);
        loop {
            match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&path) {
                Ok(file) => return read(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let token = Token(URL_SAFE_NO_PAD.encode(random()?));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    file.write_all(format!("{}\n", token.0).as_bytes())?;
                    return Ok(token);
                }
                // Somebody was quicker: theirs it is.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// As it stands in a link.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether this is it, in a time that does not tell how much of it is right.
    pub(crate) fn is(&self, given: &str) -> bool {
        let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
        let (own, given) = (hash(&self.0), hash(given));
        own.as_ref().iter().zip(given.as_ref()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// A session that begins now.
    pub(crate) fn session(&self, unix_s: u64) -> String {
        let code = hmac::sign(&self.key(), unix_s.to_string().as_bytes());
        format!("{unix_s}.{}", URL_SAFE_NO_PAD.encode(code.as_ref()))
    }

    /// Whether a session is one of this token's, and not over.
    pub(crate) fn is_session(&self, session: &str, now_unix_s: u64) -> bool {
        let Some((begun, code)) = session.split_once('.') else { return false };
        let Ok(code) = URL_SAFE_NO_PAD.decode(code) else { return false };
        let is_ours = hmac::verify(&self.key(), begun.as_bytes(), &code).is_ok();
        let age = begun.parse::<u64>().ok().and_then(|begun| now_unix_s.checked_sub(begun));
        is_ours && age.is_some_and(|age| age < SESSION_SECONDS)
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

/// Does not show it.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

fn read(file: std::fs::File) -> io::Result<Token> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{TOKEN_FILE} {why}"));
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(wrong("can be read by others; remove it for another to be made"));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let text = text.trim();
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if bytes.len() == TOKEN_BYTES => Ok(Token(text.to_owned())),
        _ => Err(wrong("holds no token; remove it for another to be made")),
    }
}

fn random() -> io::Result<[u8; TOKEN_BYTES]> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(bytes)
}

/// `O_NOFOLLOW` of Linux.
const NOFOLLOW: i32 = 0o400_000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_token_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::of(folder.path()).unwrap();
        assert_eq!(token.text(), Token::of(folder.path()).unwrap().text());
        assert_eq!(token.text().len(), 43);
        let path = folder.path().join(TOKEN_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Token::of(folder.path()).unwrap_err().to_string().contains("by others"));
        std::fs::remove_file(&path).unwrap();
        assert_ne!(token.text(), Token::of(folder.path()).unwrap().text());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_FILE);
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::of(folder.path()).is_err());
    }

    #[test]
    fn a_token_is_only_itself() {
        let token = Token("abc".to_owned());
        assert!(token.is("abc"));
        for wrong in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("abc"));
    }

    #[test]
    fn a_session_is_of_its_token_and_ends() {
        let (token, other) = (Token("abc".to_owned()), Token("xyz".to_owned()));
        let session = token.session(1_000);
        assert!(token.is_session(&session, 1_000) && token.is_session(&session, 999 + SESSION_SECONDS));
        assert!(!token.is_session(&session, 1_000 + SESSION_SECONDS), "over");
        assert!(!token.is_session(&session, 999), "not begun");
        assert!(!other.is_session(&session, 1_000));
        let later = format!("2000.{}", session.split_once('.').unwrap().1);
        for forged in [later.as_str(), "", ".", "1000.", "1000.AAAA", "x"] {
            assert!(!token.is_session(forged, 2_000), "{forged}");
        }
    }
}
