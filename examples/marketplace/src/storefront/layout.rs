//! What all pages have in common: head, header and footer.

use axum::response::Html;

use super::Page;
use super::html::Text;
use crate::cart::Contents;

/// The frame around a page.
pub struct Frame<'a> {
    /// What the page is, for the browser's tab.
    pub title: &'a str,
    /// What the search field holds.
    pub search: &'a str,
    /// The visitor's cart, if it is known.
    pub cart: Option<&'a Contents>,
}

impl Frame<'_> {
    /// The page around `body`, which is HTML.
    pub fn page(&self, body: &str) -> Page {
        let (title, search) = (Text(self.title), Text(self.search));
        let count = match self.cart.map_or(0, |cart| cart.count) {
            0 => String::new(),
            n => format!("<b>{n}<span class=\"unseen\"> pieces</span></b>"),
        };
        Html(format!(
            r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Markethall</title>
<meta name="description" content="A hundred and twenty good things for the house, made to stay.">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath d='M3 14a13 11 0 0 1 26 0z' fill='%23b4472a'/%3E%3Cpath d='M6 16h20v12h-7v-6a3 3 0 0 0-6 0v6H6z' fill='%23b4472a'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/assets/style.css?v={STYLE_VERSION:x}">
</head>
<body>
<a class="unseen" href="#main">Skip to content</a>
<header class="top"><div class="wide">
<a class="brand" href="/"><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M3 14a13 11 0 0 1 26 0zM6 16h20v12h-7v-6a3 3 0 0 0-6 0v6H6z"/></svg>Markethall</a>
<form class="search" action="/" role="search"><input type="search" name="q" value="{search}" placeholder="Search mugs, linen, cactus…" aria-label="Search the shop" maxlength="80"><button aria-label="Search"><svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5 21 21"/></svg></button></form>
<a class="basket" href="/cart"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 9h18l-2 11H5zM8 9l3-6M16 9l-3-6"/></svg><span>Basket</span>{count}</a>
</div></header>
<main id="main" class="wide">
{body}
</main>
<footer><div class="wide"><p><b>Markethall</b> is a demonstration: nothing is charged, nothing is sent.</p><p>One program, eight services.</p></div></footer>
</body>
</html>
"##
        ))
    }
}

/// The style sheet.
pub const STYLE: &str = include_str!("style.css");

/// Changes with the style sheet, so that browsers may keep it for ever.
const STYLE_VERSION: u64 = fnv1a(STYLE.as_bytes());

/// FNV-1a (Fowler, Noll and Vo), 64 bits.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x100_0000_01b3);
        i += 1;
    }
    hash
}
