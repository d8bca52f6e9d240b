//! Test vectors from files: blocks of lines `key: value`, with an empty line between two blocks. In a
//! value `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` stand for bytes.

/// One block.
pub struct Vector {
    lines: Vec<(String, Vec<u8>)>,
}

impl Vector {
    /// All of a file. Each has a name and says where it is from and what is wanted.
    pub fn all(file: &str) -> Vec<Vector> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
        let all: Vec<Vector> = blocks.map(Vector::read).collect();
        for vector in &all {
            for key in ["name", "from", "want"] {
                assert!(!vector.text(key).is_empty(), "{file}: {} needs `{key}`", vector.text("name"));
            }
        }
        all
    }

    fn read(lines: &[&str]) -> Vector {
        let read = |line: &&str| {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("no key: {line}"));
            (key.to_owned(), unescape(value.strip_prefix(' ').unwrap_or(value)))
        };
        Vector { lines: lines.iter().map(read).collect() }
    }

    /// The bytes of a key, if it is there.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.lines.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_slice())
    }

    pub fn text(&self, key: &str) -> String {
        String::from_utf8_lossy(self.bytes(key).unwrap_or_default()).into_owned()
    }

    /// Names and values of all lines of a key that are `name=value`.
    pub fn pairs(&self, key: &str) -> Vec<(&[u8], &[u8])> {
        let lines = self.lines.iter().filter(|(known, _)| known == key);
        let split = lines.map(|(_, value)| {
            let at = value.iter().position(|byte| *byte == b'=').expect("name=value");
            (&value[..at], &value[at + 1..])
        });
        split.collect()
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).expect("digits");
                u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("`\\x{digits}` in: {text}"))
            }
            _ => panic!("an escape that nobody knows in: {text}"),
        });
    }
    bytes
}
