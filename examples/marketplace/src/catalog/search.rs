//! Ranked search: a word counts most in a name, less in tags and category, least in a description.
//!
//! Words are compared by stem, so `mugs` finds `mug`; a beginning finds the whole word for less, so a
//! search works while it is typed. Every word of the question must be found somewhere.

use std::cmp::Reverse;

use super::{Category, Product};

/// The words of all products.
pub struct Index {
    entries: Vec<Entry>,
}

struct Entry {
    name: Vec<String>,
    tags: Vec<String>,
    description: Vec<String>,
}

impl Index {
    /// Reads the products' words.
    pub fn new(products: &[Product], categories: &[Category]) -> Self {
        let entry = |product: &Product| {
            let category = categories.iter().find(|c| c.id == product.category);
            let tags = product.tags.iter().flat_map(|t| stems(t));
            Entry {
                name: stems(&product.name),
                tags: tags.chain(category.iter().flat_map(|c| stems(&c.name))).collect(),
                description: stems(&product.description),
            }
        };
        Index { entries: products.iter().map(entry).collect() }
    }

    /// Positions of the products that have every word of `text`, best first.
    pub fn find(&self, text: &str) -> Vec<usize> {
        let words: Vec<String> = stems(text).into_iter().take(WORDS_MAX).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<(Reverse<u32>, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(i, entry)| Some((Reverse(entry.score(&words)?), i)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, i)| i).collect()
    }
}

impl Entry {
    /// None when a word is nowhere.
    fn score(&self, words: &[String]) -> Option<u32> {
        words.iter().map(|word| self.word_score(word)).try_fold(0, |sum, score| Some(sum + score?))
    }

    fn word_score(&self, word: &str) -> Option<u32> {
        let fields = [(&self.name, NAME), (&self.tags, TAG), (&self.description, DESCRIPTION)];
        let score: u32 = fields.iter().map(|(texts, weight)| weight * closeness(texts, word)).sum();
        (score > 0).then_some(score)
    }
}

/// 2 for the word itself, 1 for a word that it begins, 0 for neither.
fn closeness(texts: &[String], word: &str) -> u32 {
    if texts.iter().any(|t| t == word) { 2 } else { u32::from(texts.iter().any(|t| t.starts_with(word))) }
}

fn stems(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| stem(&w.to_lowercase()))
        .collect()
}

/// Plural to singular and a few endings off: not a linguist's stemmer, but the same for both sides.
fn stem(word: &str) -> String {
    for (ending, instead) in [("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("ss", "ss")] {
        if let Some(start) = word.strip_suffix(ending)
            && start.len() >= 2
        {
            return format!("{start}{instead}");
        }
    }
    let word = match word.strip_suffix('s') {
        Some(start) if start.len() >= 3 => start,
        _ => word,
    };
    for ending in ["ing", "ed"] {
        if let Some(start) = word.strip_suffix(ending)
            && start.len() >= 4
        {
            return start.to_owned();
        }
    }
    word.to_owned()
}

/// A full word in the name outweighs the same word in tags and description together.
const NAME: u32 = 12;
const TAG: u32 = 4;
const DESCRIPTION: u32 = 1;
const _: () = assert!(NAME > 2 * (TAG + DESCRIPTION) && TAG > 2 * DESCRIPTION);
/// Most words of a question that are looked at.
const WORDS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn index(products: &[(&str, &str, &str)]) -> Index {
        let product = |&(name, tags, description): &(&str, &str, &str)| Product {
            id: name.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            price_cents: 1,
            category: "kitchen".to_owned(),
            tags: tags.split_whitespace().map(str::to_owned).collect(),
            image: String::new(),
        };
        let kitchen = Category { id: "kitchen".into(), name: "Kitchen".into(), products: products.len() };
        Index::new(&products.iter().map(product).collect::<Vec<_>>(), &[kitchen])
    }

    #[test]
    fn name_before_tags_before_description() {
        let index = index(&[
            ("Tray", "wood", "Carries a teapot."),
            ("Cosy", "teapot wool", "Keeps things warm."),
            ("Round Teapot", "clay", "Pours well."),
            ("Chair", "oak", "To sit on."),
        ]);
        assert_eq!(index.find("teapot"), [2, 1, 0]);
    }

    #[test]
    fn a_whole_word_beats_its_beginning_in_the_same_field() {
        let index = index(&[("Panel", "", ""), ("Pan", "", "")]);
        assert_eq!(index.find("pan"), [1, 0]);
    }

    #[test]
    fn plural_and_unfinished_words_are_found() {
        let index = index(&[("Stoneware Mug", "", ""), ("Berry Dish", "", "")]);
        assert_eq!(index.find("MUGS"), [0]);
        assert_eq!(index.find("stonew"), [0]);
        assert_eq!(index.find("berries dishes"), [1]);
    }

    #[test]
    fn every_word_must_be_found() {
        let index = index(&[("Blue Mug", "", ""), ("Red Mug", "", "")]);
        assert_eq!(index.find("mug red"), [1]);
        assert!(index.find("mug green").is_empty());
        assert!(index.find(" - ").is_empty());
    }

    #[test]
    fn a_category_is_found_by_its_name() {
        assert_eq!(index(&[("Whisk", "", "")]).find("kitchen"), [0]);
    }

    #[test]
    fn glass_stays_glass() {
        assert_eq!(
            (stem("glass"), stem("glasses"), stem("bowls")),
            ("glass".into(), "glass".into(), "bowl".into())
        );
    }
}
