//! The pages between header and footer, as HTML.

use super::Wish;
use super::html::{Picture, Text};
use super::parts::{grid, lines, strip};
use crate::cart::{Contents, Line, QUANTITY_MAX};
use crate::catalog::{Category, Page, Product};
use crate::checkout::{DeliveryStatus, Order, Status};
use crate::money::Euros;
use crate::problem::Problem;
use crate::remote::encoded;

/// The shop: search, categories, products.
pub fn home(wish: &Wish, found: &Page, categories: &[Category], picks: &[Product]) -> String {
    let front = wish.q.is_empty() && wish.category.is_empty() && wish.page == 0;
    let category = categories.iter().find(|c| c.id == wish.category);
    let head = if front { hero(&found.products) } else { results_head(wish, found, category) };
    let products = if found.products.is_empty() {
        r#"<div class="empty"><p>Nothing like that on our shelves.</p><a class="button" href="/">See everything</a></div>"#
            .to_owned()
    } else {
        grid(&found.products)
    };
    let suggestions = strip("Picked for you", picks);
    // On the front page they come first; a search is about what was asked for.
    let (before, after) = if front { (suggestions, String::new()) } else { (String::new(), suggestions) };
    let title = if front { "<h2>Everything</h2>" } else { "" };
    format!(
        "{head}{}{before}<section>{title}{products}{}</section>{after}",
        chips(wish, categories),
        pager(wish, found)
    )
}

/// The first words, beside three products from further down.
fn hero(products: &[Product]) -> String {
    let picture = |p: &Product| {
        let (id, name) = (Text(&p.id), Text(&p.name));
        format!(
            r#"<a href="/products/{id}"><img src="{}" alt="{name}" width="240" height="240"></a>"#,
            Picture(&p.image)
        )
    };
    let pictures: String = products.iter().rev().step_by(3).take(3).map(picture).collect();
    format!(r#"<div class="hero"><div>{HERO}</div><div class="pile">{pictures}</div></div>"#)
}

fn results_head(wish: &Wish, found: &Page, category: Option<&Category>) -> String {
    let place = category.map_or("Everything", |c| c.name.as_str());
    let title = if wish.q.is_empty() { place.to_owned() } else { format!("“{}”", wish.q.trim()) };
    let count = match found.total {
        1 => "1 product".to_owned(),
        n => format!("{n} products"),
    };
    let within = if wish.q.is_empty() || category.is_none() { String::new() } else { format!(" in {place}") };
    format!(r#"<div class="results"><h1>{}</h1><p>{count}{}</p></div>"#, Text(&title), Text(&within))
}

fn chips(wish: &Wish, categories: &[Category]) -> String {
    let chip = |id: &str, name: &str| {
        let current = if wish.category == id { r#" aria-current="page""# } else { "" };
        format!(r#"<a href="{}"{current}>{}</a>"#, Text(&address(&wish.q, id, 0)), Text(name))
    };
    let all: String = categories.iter().map(|c| chip(&c.id, &c.name)).collect();
    format!(r#"<nav class="chips" aria-label="Categories">{}{all}</nav>"#, chip("", "All"))
}

fn pager(wish: &Wish, found: &Page) -> String {
    let link = |page: usize, text: &str| {
        format!(
            r#"<a class="button quiet" href="{}">{text}</a>"#,
            Text(&address(&wish.q, &wish.category, page))
        )
    };
    let pages = found.total.div_ceil(PER_PAGE);
    if pages < 2 {
        return String::new();
    }
    let back = if wish.page > 0 { link(wish.page - 1, "← Back") } else { "<span></span>".to_owned() };
    let more =
        if wish.page + 1 < pages { link(wish.page + 1, "More →") } else { "<span></span>".to_owned() };
    format!(
        r#"<nav class="pager" aria-label="Pages">{back}<span>Page {} of {pages}</span>{more}</nav>"#,
        wish.page + 1
    )
}

fn address(q: &str, category: &str, page: usize) -> String {
    let mut parts = Vec::new();
    if !q.is_empty() {
        parts.push(format!("q={}", encoded(q)));
    }
    if !category.is_empty() {
        parts.push(format!("category={}", encoded(category)));
    }
    if page > 0 {
        parts.push(format!("page={page}"));
    }
    if parts.is_empty() { "/".to_owned() } else { format!("/?{}", parts.join("&")) }
}

/// One product.
pub fn product(product: &Product, categories: &[Category], picks: &[Product]) -> String {
    let category = categories.iter().find(|c| c.id == product.category).map_or("Shop", |c| c.name.as_str());
    let tag = |tag: &String| format!(r#"<a href="/?q={}">{}</a>"#, encoded(tag), Text(tag));
    let tags: String = product.tags.iter().map(tag).collect();
    let choices: String = (1..=9).map(|n| format!("<option>{n}</option>")).collect();
    format!(
        r#"<nav class="path"><a href="/">Shop</a> / <a href="/?category={category_id}">{category}</a></nav>
<article class="product"><img src="{picture}" alt="Drawing of {name}" width="560" height="560">
<div><h1>{name}</h1><p class="price">{price}</p><p class="lead">{description}</p>
<form method="post" action="/cart" class="choose"><input type="hidden" name="product" value="{id}"><input type="hidden" name="add" value="true"><label>Quantity <select name="quantity">{choices}</select></label><button class="button">Add to basket</button></form>
<ul class="promises"><li>In stock, leaves tomorrow</li><li>With you in two working days</li><li>Thirty days to change your mind</li></ul>
<p class="tags">{tags}</p></div></article>{strip}"#,
        category_id = encoded(&product.category),
        category = Text(category),
        picture = Picture(&product.image),
        name = Text(&product.name),
        price = Euros(product.price_cents),
        description = Text(&product.description),
        id = Text(&product.id),
        strip = strip("You may also like", picks),
    )
}

/// What is in the basket.
pub fn cart(contents: &Contents, products: &[Product], picks: &[Product]) -> String {
    if contents.items.is_empty() {
        let empty = r#"<h1>Your basket</h1><div class="empty"><p>Nothing in here yet.</p><a class="button" href="/">Look around</a></div>"#;
        return format!("{empty}{}", strip("A place to start", picks));
    }
    format!(
        r#"<h1>Your basket</h1><div class="columns"><section>{}</section><aside class="sum">{}<a class="button" href="/checkout">Go to checkout</a><a class="back" href="/">Keep looking</a></aside></div>{}"#,
        lines(&contents.items, products, quantity_forms),
        sum(contents.count, contents.total_cents),
        strip("Goes well with your basket", picks),
    )
}

fn quantity_forms(line: &Line) -> String {
    let (id, name, quantity) = (Text(&line.product), Text(&line.name), line.quantity);
    format!(
        r#"<div class="set"><form method="post" action="/cart"><input type="hidden" name="product" value="{id}"><input type="number" name="quantity" value="{quantity}" min="0" max="{QUANTITY_MAX}" aria-label="How many of {name}"><button>Update</button></form><form method="post" action="/cart"><input type="hidden" name="product" value="{id}"><input type="hidden" name="quantity" value="0"><button aria-label="Remove {name}">Remove</button></form></div>"#
    )
}

fn sum(count: u32, total_cents: u64) -> String {
    let pieces = if count == 1 { "1 piece".to_owned() } else { format!("{count} pieces") };
    format!(
        r#"<dl><dt>{pieces}</dt><dd>{0}</dd><dt>Delivery</dt><dd>Free</dd><dt class="total">Total</dt><dd class="total">{0}</dd></dl>"#,
        Euros(total_cents)
    )
}

/// The last look before paying. `key` makes the form pay once, however often it is sent.
pub fn checkout(contents: &Contents, products: &[Product], key: &str) -> String {
    format!(
        r#"<h1>Checkout</h1><div class="columns"><section>{}</section><aside class="sum"><h2>Payment</h2><p class="way"><b>Demonstration card</b><span>•••• 4242</span></p>{}<form method="post" action="/checkout"><input type="hidden" name="key" value="{}"><button class="button">Pay {}</button></form><p class="note">Press it twice if you like: you pay once.</p></aside></div>"#,
        lines(&contents.items, products, quantity_words),
        sum(contents.count, contents.total_cents),
        Text(key),
        Euros(contents.total_cents),
    )
}

fn quantity_words(line: &Line) -> String {
    format!("<small>Quantity {}</small>", line.quantity)
}

/// The payment couldn't be taken; the same form may be sent again.
pub fn try_again(problem: &Problem, key: &str) -> String {
    format!(
        r#"<div class="message"><h1>Not paid yet</h1><p class="lead">The payment provider doesn't answer. Your basket is kept, and trying again can't charge you twice.</p><form method="post" action="/checkout"><input type="hidden" name="key" value="{}"><button class="button">Try again</button></form><p class="note">{}</p></div>"#,
        Text(key),
        Text(&problem.detail)
    )
}

/// An order.
pub fn order(order: &Order, products: &[Product]) -> String {
    let (title, lead) = match order.status {
        Status::Paid => ("Thank you!", "Your order is paid and being packed."),
        Status::PaymentPending => ("Not paid yet", "The payment of this order could not be taken."),
        Status::Declined => ("Not paid", "The payment of this order was declined."),
    };
    let arrives = match (order.status, order.delivery, order.estimated) {
        (Status::Paid, DeliveryStatus::Arranged, Some(day)) => format!("Arrives {}", day.in_words()),
        (Status::Paid, ..) => "Delivery is being arranged. Look again in a moment.".to_owned(),
        _ => String::new(),
    };
    let mark = if order.status == Status::Paid { CHECK_MARK } else { "" };
    format!(
        r#"<div class="message thanks">{mark}<h1>{title}</h1><p class="lead">{lead}</p><p class="arrives">{}</p><p class="note">Order <code>{}</code></p></div><div class="columns"><section>{}</section><aside class="sum">{}<a class="button" href="/">Back to the shop</a></aside></div>"#,
        Text(&arrives),
        Text(&order.order_id),
        lines(&order.items, products, quantity_words),
        sum(order.items.iter().map(|line| line.quantity).sum(), order.total_cents),
    )
}

/// Something went wrong.
pub fn sorry(problem: &Problem) -> String {
    let (title, lead) = match problem.status {
        404 => ("Not found", "We looked on every shelf."),
        402 => ("The payment was declined", "Nothing was charged. Your basket is as you left it."),
        409 => ("Your basket is empty", "There is nothing to pay for."),
        500.. => {
            ("One moment, please", "A part of the shop doesn't answer just now. Try again in a few seconds.")
        }
        _ => ("That didn't work", "The shop didn't understand."),
    };
    let way = if problem.status == 402 { ("/cart", "To the basket") } else { ("/", "To the shop") };
    format!(
        r#"<div class="message"><h1>{title}</h1><p class="lead">{lead}</p><a class="button" href="{}">{}</a><p class="note">{}</p></div>"#,
        way.0,
        way.1,
        Text(&problem.detail)
    )
}

/// Products on a page: full rows of two, three, four and six.
pub const PER_PAGE: usize = 24;

const HERO: &str = "<h1>Good things,<br>made to stay.</h1><p>Mugs that warm your hands, pans that outlive you, \
light for long evenings. A hundred and twenty good things, and not one too many.</p>";

const CHECK_MARK: &str = r#"<svg class="check" viewBox="0 0 48 48" aria-hidden="true"><circle cx="24" cy="24" r="22"/><path d="m14 25 7 7 14-15"/></svg>"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(q: &str, category: &str, page: usize) -> Wish {
        Wish { q: q.into(), category: category.into(), page }
    }

    #[test]
    fn what_visitors_type_is_never_markup() {
        let page = Page { products: Vec::new(), total: 0, offset: 0, limit: PER_PAGE };
        let evil = "<script>alert(1)</script>\" onload=\"x";
        let html = home(&wish(evil, evil, 0), &page, &[], &[]);
        assert!(!html.contains("<script") && !html.contains("\" onload"), "{html}");
    }

    #[test]
    fn without_suggestions_there_is_no_strip() {
        let page = Page { products: Vec::new(), total: 0, offset: 0, limit: PER_PAGE };
        assert!(!home(&wish("", "", 0), &page, &[], &[]).contains("strip"));
    }

    #[test]
    fn pages_keep_what_was_asked() {
        let page = Page { products: Vec::new(), total: 60, offset: 24, limit: PER_PAGE };
        let html = pager(&wish("blue mug", "coffee", 1), &page);
        assert!(html.contains("/?q=blue%20mug&amp;category=coffee\""), "{html}");
        assert!(html.contains("page=2") && html.contains("Page 2 of 3"), "{html}");
    }
}
