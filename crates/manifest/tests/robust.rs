//! Whatever comes in, `check` answers: it never panics, and never shows a secret.

use std::collections::BTreeMap;

use manifest::{Checked, Input, Source, check, diff};
use proptest::prelude::*;

const MARKETPLACE: &str = include_str!("good/marketplace.yaml");

fn checked(text: &str, overlay: Option<&str>, token: &str) -> Checked {
    let source = |text: &str| Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    let env = BTreeMap::from([("API_TOKEN".to_owned(), token.to_owned())]);
    check(&Input {
        root: "/srv".into(),
        base: source(text),
        overlays: overlay.map(source).into_iter().collect(),
        env,
        zone: None,
    })
}

/// Everything that is shown about a manifest.
fn shown(checked: &Checked) -> String {
    let diagnostics = &checked.diagnostics;
    diagnostics.render(80, true) + &diagnostics.render(20, false) + &diagnostics.to_json().to_string()
}

/// The corpus of the fuzz target, which asks no more than this.
#[test]
#[allow(clippy::disallowed_methods, reason = "the corpus is in files")]
fn what_fuzzing_found_is_answered() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/manifest");
    for entry in std::fs::read_dir(&corpus).expect("a corpus").flatten() {
        let bytes = std::fs::read(entry.path()).expect("a file");
        let checked = checked(&String::from_utf8_lossy(&bytes), None, "token");
        assert!(checked.manifest.is_some() || !shown(&checked).is_empty(), "{}", entry.path().display());
    }
}

/// Everything that is shown about a resource file, a configuration or a run file, whichever it is.
fn shown_of_files(text: &str) -> String {
    let files = [Source { name: "file.yaml".to_owned(), text: text.to_owned() }];
    let env = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
    let all = [
        manifest::resources(&files, &env, false).diagnostics,
        manifest::resources(&files, &env, true).diagnostics,
        manifest::configuration(&files).diagnostics,
        manifest::run_file(&files[0]).diagnostics,
    ];
    all.iter().map(|found| found.render(80, true) + &found.to_json().to_string()).collect()
}

/// The corpora of the fuzz targets for those.
#[allow(clippy::disallowed_methods, reason = "the corpus is in files")]
fn files() -> Vec<String> {
    let corpora = ["resources", "run_file"].map(|target| {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let entries = std::fs::read_dir(corpus).expect("a corpus").flatten();
        let mut files: Vec<_> = entries.map(|entry| std::fs::read(entry.path()).expect("a file")).collect();
        files.sort();
        files
    });
    corpora.iter().flatten().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[test]
fn what_fuzzing_found_of_files_is_answered() {
    let files = files();
    assert!(files.len() > 20);
    files.iter().for_each(|text| drop(shown_of_files(text)));
}

/// Words that a manifest is made of, and what breaks it.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "name",
        "services",
        "app",
        "run",
        "url",
        "calls",
        "gateway",
        "routes",
        "path",
        "to",
        "timeout",
        "retries",
        "none",
        "2s",
        "50/s per client",
        "/**",
        "http://127.0.0.1:3000",
        "\n",
        "\n  ",
        "\n    ",
        "\n\t",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "!x ",
        "|\n",
        ">-\n",
        "\"",
        "'",
        "#",
        "${",
        "${X}",
        "${X:y}",
        "$${",
        "ü",
        "\u{feff}",
        "\r\n",
        "\0",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "~",
        "null",
        "99999999999999999999",
        "-1",
        "1e99",
        "%",
        "\u{2028}",
        "日本",
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// The marketplace after some accidents: pieces cut out, doubled or replaced.
fn accident() -> impl Strategy<Value = String> {
    accident_to(Just(MARKETPLACE.to_owned()))
}

fn accident_to(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let cut = (any::<prop::sample::Index>(), 0..40_usize, word(), any::<bool>());
    (text, prop::collection::vec(cut, 1..6)).prop_map(|(text, cuts)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, word, double) in cuts {
            let start = at.index(chars.len().max(1)).min(chars.len());
            let end = (start + length).min(chars.len());
            let kept: Vec<char> = if double { chars[start..end].repeat(2) } else { Vec::new() };
            chars.splice(start..end, kept.into_iter().chain(word.chars()));
        }
        chars.into_iter().collect()
    })
}

/// The marketplace with a secret variable in place of some values.
fn with_secrets() -> impl Strategy<Value = String> {
    let spots: Vec<usize> = MARKETPLACE.match_indices(": ").map(|(at, _)| at + 2).collect();
    prop::sample::subsequence(spots, 1..4).prop_map(|spots| {
        let mut text = MARKETPLACE.to_owned();
        for spot in spots.into_iter().rev() {
            let end = text[spot..].find([',', '}', '\n', ']']).map_or(text.len(), |end| spot + end);
            text.replace_range(spot..end, "\"${API_TOKEN}\"");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        shown(&checked(&text, None, ""));
    }

    #[test]
    fn any_words_are_answered(words in prop::collection::vec(word(), 0..40)) {
        shown(&checked(&words.concat(), None, ""));
    }

    #[test]
    fn any_accident_is_answered(text in accident(), overlay in accident()) {
        let one = checked(&text, None, "t");
        shown(&one);
        prop_assert_eq!(one.manifest.is_some(), one.diagnostics.errors() == 0);
        shown(&checked(MARKETPLACE, Some(&overlay), "t"));
    }

    #[test]
    fn any_accident_to_a_file_is_answered(text in accident_to(prop::sample::select(files()))) {
        shown_of_files(&text);
    }

    #[test]
    fn a_secret_is_never_shown(text in with_secrets(), token in "[a-zA-Z0-9/:._-]{0,6}zqx[0-9]{6}", other in "yqz[0-9]{8}") {
        let one = checked(&text, None, &token);
        prop_assert!(!shown(&one).contains(&token), "{}", shown(&one));
        let overlaid = checked(&text, Some("services: { catalog: { port: \"${API_TOKEN}\", calls: [\"${API_TOKEN}\"] } }"), &token);
        prop_assert!(!shown(&overlaid).contains(&token));
        if let (Some(old), Some(new)) = (one.manifest, checked(&text, None, &other).manifest) {
            let told = format!("{:?}", diff(&old, &new));
            prop_assert!(!told.contains(&token) && !told.contains(&other), "{}", told);
        }
    }

    #[test]
    fn a_secret_number_is_never_shown(text in with_secrets(), token in 40_000..60_000_u16) {
        let token = token.to_string();
        let drawn = checked(&text, None, &token).diagnostics.render(100, false);
        prop_assert!(!drawn.contains(&token), "{}", drawn);
    }

    #[test]
    fn a_secret_default_is_never_shown(default in "[a-zA-Z0-9 ]{0,6}zqx[0-9]{6}") {
        let text = format!("name: Shop ${{MY_SECRET:{default}}}\nservices:\n  app: {{ run: ./app ${{MY_SECRET:{default}}}, port: x }}\n");
        prop_assert!(!shown(&checked(&text, None, "")).contains(&default));
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let text = format!("name: {}{}", open.repeat(20_000), close.repeat(20_000));
        assert!(checked(&text, None, "").diagnostics.errors() > 0, "{open}");
    }
    let block: String = (0..3000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    assert!(checked(&block, None, "").diagnostics.errors() > 0);
}

#[test]
fn a_huge_file_is_refused() {
    let text = "name: a\n".repeat(1 << 20);
    let checked = checked(&text, None, "");
    assert_eq!(checked.diagnostics.errors(), 1);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the crate reads no files; its tests do")]
fn the_codes_and_their_pages_are_the_same() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    let mut pages: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .collect();
    pages.sort();
    let codes: Vec<String> = manifest::codes().map(|code| format!("{code}.md")).collect();
    assert_eq!(pages, codes);
    let index = include_str!("../../../docs/errors/README.md");
    for code in manifest::codes() {
        let page = manifest::explain(code).unwrap();
        let title = page.lines().next().unwrap();
        let title = title
            .strip_prefix(&format!("# {code}: "))
            .unwrap_or_else(|| panic!("{code} has the title {title:?}"));
        assert!(
            index.contains(&format!("| [{code}]({code}.md) | {title} |")),
            "{code} ({title}) is not in the index"
        );
        assert!(
            page.contains("```yaml") && page.contains("## How to fix it"),
            "{code} lacks an example or a remedy"
        );
    }
    assert_eq!(manifest::explain("C9999"), None);
    for short in ["c0012", "C12", "12", " 0012 "] {
        assert_eq!(manifest::explain(short), manifest::explain("C0012"), "{short:?}");
    }
    for unknown in ["", "C", "C-1", "+12", "word", "99999999999"] {
        assert_eq!(manifest::explain(unknown), None, "{unknown:?}");
    }
    assert_eq!(manifest::nearest_code("c0"), Some("C0001"));
    assert_eq!(manifest::nearest_code("C9999"), manifest::codes().last());
    assert_eq!(manifest::nearest_code("word"), None);
}

/// The first example of each page causes its code, and the second does not.
#[test]
fn the_examples_of_the_pages_do_what_they_say() {
    for code in manifest::codes() {
        let page = manifest::explain(code).unwrap();
        let examples: Vec<&str> = page
            .split("```yaml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap_or_default())
            .collect();
        let found = |text: &str| match text.split_once("# colony.prod.yaml\n") {
            _ if text.starts_with("apiVersion: ") => {
                let file = Source { name: "resource.yaml".to_owned(), text: text.to_owned() };
                manifest::resources(&[file], &BTreeMap::new(), false).diagnostics
            }
            Some((base, overlay)) => checked(base, Some(overlay), "t").diagnostics,
            None => checked(text, None, "t").diagnostics,
        };
        let bad = found(examples[0]);
        let codes: Vec<&str> = bad.iter().map(|one| one.code).collect();
        // Only who opens a component finds that it cannot be opened: the binary's tests try that page.
        let expected = code == "C0040" || !codes.is_empty();
        assert!(expected && codes.iter().all(|one| *one == code), "{code}: {codes:?}");
        let good = found(examples[1]);
        assert!(good.iter().next().is_none(), "{code}: {}", good.render(100, false));
    }
}
