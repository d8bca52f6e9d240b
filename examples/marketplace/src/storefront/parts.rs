//! Pieces that several pages are made of.

use super::html::{Picture, Text};
use crate::cart::Line;
use crate::catalog::Product;
use crate::money::Euros;

/// A product in a grid.
pub fn card(product: &Product) -> String {
    let (id, name, price) = (Text(&product.id), Text(&product.name), Euros(product.price_cents));
    let picture = Picture(&product.image);
    format!(
        r#"<li class="card"><a href="/products/{id}"><img src="{picture}" alt="" width="200" height="200"><h3>{name}</h3></a><div class="buy"><span class="price">{price}</span><form method="post" action="/cart"><input type="hidden" name="product" value="{id}"><input type="hidden" name="quantity" value="1"><input type="hidden" name="add" value="true"><button class="add" aria-label="Add {name} to basket">Add</button></form></div></li>"#
    )
}

/// A grid of products.
pub fn grid(products: &[Product]) -> String {
    let cards: String = products.iter().map(card).collect();
    format!(r#"<ul class="grid">{cards}</ul>"#)
}

/// The strip of suggestions, or nothing.
pub fn strip(title: &str, picks: &[Product]) -> String {
    if picks.is_empty() {
        return String::new();
    }
    format!(r#"<section class="strip"><h2>{}</h2>{}</section>"#, Text(title), grid(picks))
}

/// The lines of a cart or order, each with its picture where `products` has it.
pub fn lines(lines: &[Line], products: &[Product], control: impl Fn(&Line) -> String) -> String {
    let line = |line: &Line| {
        let (id, name) = (Text(&line.product), Text(&line.name));
        let picture = products.iter().find(|p| p.id == line.product).map_or(String::new(), |p| {
            format!(r#"<img src="{}" alt="" width="88" height="88">"#, Picture(&p.image))
        });
        let each = if line.quantity > 1 {
            format!("<small>{} each</small>", Euros(line.price_cents))
        } else {
            String::new()
        };
        format!(
            r#"<li class="line">{picture}<div class="what"><a href="/products/{id}">{name}</a>{each}{}</div><span class="price">{}</span></li>"#,
            control(line),
            Euros(line.total_cents)
        )
    };
    format!(r#"<ul class="lines">{}</ul>"#, lines.iter().map(line).collect::<String>())
}
