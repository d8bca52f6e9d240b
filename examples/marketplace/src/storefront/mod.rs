//! The storefront: the shop as people see it. Pages are made here, on the server; they work without
//! JavaScript and hold no state, so any number of instances may run.
//!
//! What a page can do without is left out when it fails: the suggestions, and the number on the basket.

mod html;
mod layout;
mod pages;
mod parts;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::cart::{Cart, Contents, Item, Line, QUANTITY_MAX};
use crate::catalog::{Catalog, Product, Query};
use crate::chance;
use crate::checkout::Checkout;
use crate::context::Context;
use crate::extract::{Params, no_route};
use crate::problem::Problem;
use crate::recommendations::Recommendations;
use layout::Frame;
use visitor::Visitor;

/// What the storefront needs of others.
#[derive(Clone)]
pub struct Peers {
    /// What there is to buy.
    pub catalog: Arc<dyn Catalog>,
    /// What the visitor wants.
    pub cart: Arc<dyn Cart>,
    /// Where it is bought.
    pub checkout: Arc<dyn Checkout>,
    /// What else they may like.
    pub recommendations: Arc<dyn Recommendations>,
}

/// The pages, and the style sheet at `/assets/style.css`.
pub fn routes(peers: Peers) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/products/{id}", get(product))
        .route("/cart", get(cart).post(change_cart))
        .route("/checkout", get(checkout).post(buy))
        .route("/orders/{id}", get(order))
        .route("/assets/style.css", get(style))
        .with_state(peers)
}

/// Answers a request that no route is for: with a page, but not under `/api`.
pub async fn missing(method: Method, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return no_route(method, uri).await.into_response();
    }
    Oops(Problem::not_found("This page isn't here, or no longer.")).into_response()
}

/// What the home page shows.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wish {
    #[serde(default)]
    q: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    page: usize,
}

async fn home(
    State(peers): State<Peers>,
    cx: Context,
    visitor: Visitor,
    Params(wish): Params<Wish>,
) -> Result<Response, Oops> {
    let query = Query {
        q: wish.q.clone(),
        category: wish.category.clone(),
        limit: Some(pages::PER_PAGE),
        offset: wish.page.min(PAGE_MAX) * pages::PER_PAGE,
        ..Query::default()
    };
    let (found, categories, contents, picks) = tokio::join!(
        peers.catalog.search(&cx, &query),
        peers.catalog.categories(&cx),
        peers.known_cart(&cx, &visitor),
        peers.picks(&cx, &visitor, None),
    );
    let frame = Frame { title: "Good things, made to stay", search: &wish.q, cart: contents.as_ref() };
    let body = pages::home(&wish, &found?, &categories?, &picks);
    Ok(visitor.welcome(frame.page(&body)))
}

async fn product(
    State(peers): State<Peers>,
    cx: Context,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let (product, categories, contents, picks) = tokio::join!(
        peers.catalog.product(&cx, &id),
        peers.catalog.categories(&cx),
        peers.known_cart(&cx, &visitor),
        peers.picks(&cx, &visitor, Some(&id)),
    );
    let product = product?;
    let frame = Frame { title: &product.name, search: "", cart: contents.as_ref() };
    let body = pages::product(&product, &categories.unwrap_or_default(), &picks);
    Ok(visitor.welcome(frame.page(&body)))
}

async fn cart(State(peers): State<Peers>, cx: Context, visitor: Visitor) -> Result<Response, Oops> {
    let (contents, picks) =
        tokio::join!(peers.cart.contents(&cx, visitor.id()), peers.picks(&cx, &visitor, None));
    let contents = contents?;
    let products = peers.products_of(&cx, &contents.items).await;
    let frame = Frame { title: "Your basket", search: "", cart: Some(&contents) };
    let body = pages::cart(&contents, &products, &picks);
    Ok(visitor.welcome(frame.page(&body)))
}

#[derive(Deserialize)]
struct Change {
    product: String,
    quantity: u32,
    #[serde(default)]
    add: bool,
}

async fn change_cart(
    State(peers): State<Peers>,
    cx: Context,
    visitor: Visitor,
    form: Result<Form<Change>, FormRejection>,
) -> Result<Response, Oops> {
    let Change { product, quantity, add } = filled(form)?;
    let mut wanted = quantity;
    if add {
        let contents = peers.cart.contents(&cx, visitor.id()).await?;
        let line = contents.items.iter().find(|line| line.product == product);
        wanted = wanted.saturating_add(line.map_or(0, |line| line.quantity)).min(QUANTITY_MAX);
    }
    peers.cart.put(&cx, visitor.id(), &Item { product, quantity: wanted }).await?;
    Ok(visitor.welcome(Redirect::to("/cart")))
}

async fn checkout(State(peers): State<Peers>, cx: Context, visitor: Visitor) -> Result<Response, Oops> {
    let contents = peers.cart.contents(&cx, visitor.id()).await?;
    if contents.items.is_empty() {
        return Ok(visitor.welcome(Redirect::to("/cart")));
    }
    let products = peers.products_of(&cx, &contents.items).await;
    let frame = Frame { title: "Checkout", search: "", cart: Some(&contents) };
    let body = pages::checkout(&contents, &products, &chance::id("page"));
    Ok(visitor.welcome(frame.page(&body)))
}

#[derive(Deserialize)]
struct Purchase {
    key: String,
}

async fn buy(
    State(peers): State<Peers>,
    cx: Context,
    visitor: Visitor,
    form: Result<Form<Purchase>, FormRejection>,
) -> Result<Response, Oops> {
    let Purchase { key } = filled(form)?;
    let proper =
        key.len() <= FORM_KEY_BYTES_MAX && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if key.is_empty() || !proper {
        return Err(Problem::invalid("The form has lost its key. Please open the checkout again.").into());
    }
    match peers.checkout.buy(&cx, visitor.id(), Some(&key)).await {
        Ok(order) => Ok(visitor.welcome(Redirect::to(&format!("/orders/{}", order.order_id)))),
        Err(problem) if problem.status >= 500 => {
            let frame = Frame { title: "Not paid yet", search: "", cart: None };
            let page = frame.page(&pages::try_again(&problem, &key));
            Ok(visitor.welcome((status_of(&problem), page)))
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn order(
    State(peers): State<Peers>,
    cx: Context,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let order = peers.checkout.order(&cx, &id).await?;
    if order.customer != visitor.id() {
        return Err(Problem::not_found("There is no such order among yours.").into());
    }
    let (contents, products) =
        tokio::join!(peers.known_cart(&cx, &visitor), peers.products_of(&cx, &order.items));
    let frame = Frame { title: "Your order", search: "", cart: contents.as_ref() };
    Ok(visitor.welcome(frame.page(&pages::order(&order, &products))))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        // Pages name it with a hash of its content.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, layout::STYLE)
}

impl Peers {
    /// The visitor's cart, if they can have one and it can be had.
    async fn known_cart(&self, cx: &Context, visitor: &Visitor) -> Option<Contents> {
        if visitor.is_new() {
            return None;
        }
        self.cart.contents(cx, visitor.id()).await.ok()
    }

    /// Suggestions for who looks at `product`, if at any; or none.
    async fn picks(&self, cx: &Context, visitor: &Visitor, product: Option<&str>) -> Vec<Product> {
        self.recommendations.suggest(cx, visitor.id(), product).await.unwrap_or_default()
    }

    /// The products of a cart or order for their pictures; those that can't be had are missing.
    async fn products_of(&self, cx: &Context, lines: &[Line]) -> Vec<Product> {
        if lines.is_empty() {
            return Vec::new();
        }
        let ids: Vec<&str> = lines.iter().map(|line| line.product.as_str()).collect();
        let query = Query { ids: ids.join(","), limit: Some(ids.len()), ..Query::default() };
        self.catalog.search(cx, &query).await.map(|page| page.products).unwrap_or_default()
    }
}

fn filled<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Problem> {
    form.map(|Form(value)| value).map_err(|rejection| Problem::invalid(rejection.body_text()))
}

fn status_of(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A problem, told on a page.
struct Oops(Problem);

impl From<Problem> for Oops {
    fn from(problem: Problem) -> Self {
        Oops(problem)
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let frame = Frame { title: "Sorry", search: "", cart: None };
        let mut response = (status_of(&self.0), frame.page(&pages::sorry(&self.0))).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A page as it is sent.
type Page = Html<String>;

/// Pages of results that can be reached.
const PAGE_MAX: usize = 1_000;
const FORM_KEY_BYTES_MAX: usize = 64;
