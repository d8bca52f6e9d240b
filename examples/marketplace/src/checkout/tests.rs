//! Stories of buying, with every other service real and in this process; delivery can be switched off.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::calls::{Called, Calls};
use super::*;
use crate::cart::{CartService, Carts, Item};
use crate::catalog::{CatalogService, Products};
use crate::chance::Dice;
use crate::delivery::{Arranged, Deliveries, Delivery, DeliveryService, Wanted};
use crate::notifications::{Messages, NotificationsService};
use crate::payments::{Books, Dial, Ledger, PaymentsService};
use crate::recommendations::{Purchases, RecommendationsService};
use crate::store::Kept;
use crate::store::memory::{MemoryJournal, MemoryShelf};

struct World {
    checkout: CheckoutService,
    calls: Arc<Calls>,
    cart: Arc<CartService>,
    payments: Arc<PaymentsService>,
    delivery: Arc<Van>,
    cx: Context,
}

/// Delivery that may have broken down.
struct Van {
    broken: AtomicBool,
    service: Arc<DeliveryService>,
}

impl Delivery for Van {
    fn arrange<'a>(&'a self, cx: &'a Context, wanted: &'a Wanted) -> Reply<'a, Arranged> {
        if self.broken.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Problem::unavailable("delivery", "The van broke down.")) });
        }
        self.service.arrange(cx, wanted)
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let products = Arc::new(Products::built_in().expect("good products"));
        let catalog =
            CatalogService::new(products.clone(), Arc::new(MemoryJournal::new(MANY, Some(products))));
        let cart = CartService::new(Carts::new(shelf()), catalog.clone());
        let books = Books::new();
        let entries = Arc::new(MemoryJournal::new(MANY, Some(books.clone())));
        let payments = PaymentsService::new(Ledger::new(entries, books), Dice::new(seed));
        let service = DeliveryService::new(Deliveries::new(shelf()));
        let delivery = Arc::new(Van { broken: AtomicBool::new(false), service });
        let purchases = Arc::new(Purchases::new());
        let learned = Arc::new(MemoryJournal::new(MANY, Some(purchases.clone())));
        let called = Called {
            cart: cart.clone(),
            delivery: delivery.clone(),
            notifications: NotificationsService::new(Messages::new(shelf())),
            recommendations: RecommendationsService::new(purchases, learned, catalog, cart.clone()),
        };
        let lists = Lists(shelf());
        let facts = Arc::new(MemoryJournal::new(MANY, Some(Arc::new(lists.clone()))));
        let orders = Orders::new(facts, shelf(), lists);
        let calls = Calls::new(orders.clone(), called);
        let peers = Peers { cart: cart.clone(), payments: payments.clone(), follow_up: calls.clone() };
        let checkout = CheckoutService::new(orders, peers);
        World { checkout, calls, cart, payments, delivery, cx: Context::default() }
    }

    async fn put(&self, customer: &str, product: &str, quantity: u32) {
        let item = Item { product: product.to_owned(), quantity };
        self.cart.put(&self.cx, customer, &item).await.expect("room in the cart");
    }

    async fn buy(&self, customer: &str, key: &str) -> Result<Order, Problem> {
        self.checkout.buy(&self.cx, customer, Some(key)).await
    }

    async fn in_cart(&self, customer: &str) -> u32 {
        self.cart.contents(&self.cx, customer).await.expect("a cart").count
    }
}

fn shelf<T: Kept>() -> Arc<MemoryShelf<T>> {
    Arc::new(MemoryShelf::new(MANY))
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(story)
}

#[test]
fn buying_pays_delivers_and_empties_the_cart() {
    run(async {
        let world = World::new(1);
        world.put("anna", "stoneware-mug", 2).await;
        let order = world.buy("anna", "k1").await.expect("bought");
        assert_eq!((order.status, order.delivery), (Status::Paid, DeliveryStatus::Arranged));
        assert_eq!((order.total_cents, order.estimated.is_some()), (3_600, true));
        assert_eq!(world.in_cart("anna").await, 0);
        assert_eq!(world.checkout.order(&world.cx, &order.order_id).await.expect("kept"), order);
    });
}

#[test]
fn the_same_key_at_the_same_time_is_one_order() {
    run(async {
        let world = Arc::new(World::new(1));
        world.payments.set_dial(Dial { latency_ms: 5, ..Dial::default() });
        world.put("anna", "stoneware-mug", 1).await;
        let tries: Vec<_> = (0..20)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move { world.buy("anna", "k1").await.expect("bought").order_id })
            })
            .collect();
        let mut ids = std::collections::HashSet::new();
        for one in tries {
            ids.insert(one.await.expect("no panic"));
        }
        assert_eq!((ids.len(), world.payments.counts().requests), (1, 1));
    });
}

#[test]
fn an_empty_cart_buys_nothing_and_uses_up_no_key() {
    run(async {
        let world = World::new(1);
        assert_eq!(world.buy("anna", "k1").await.expect_err("empty").status, 409);
        world.put("anna", "stoneware-mug", 1).await;
        assert_eq!(world.buy("anna", "k1").await.expect("bought").status, Status::Paid);
    });
}

#[test]
fn a_declined_order_stays_declined_and_the_cart_stays_full() {
    run(async {
        let world = World::new(1);
        world.put("anna", "flatweave-rug", 99).await;
        for _ in 0..2 {
            let problem = world.buy("anna", "k1").await.expect_err("too expensive");
            assert_eq!((problem.status, problem.order_id.is_some()), (402, true));
        }
        assert_eq!((world.in_cart("anna").await, world.payments.counts().requests), (99, 1));
    });
}

#[test]
fn a_key_belongs_to_its_customer() {
    run(async {
        let world = World::new(1);
        world.put("anna", "stoneware-mug", 1).await;
        world.put("bert", "stoneware-mug", 1).await;
        world.buy("anna", "k1").await.expect("bought");
        assert_eq!(world.buy("bert", "k1").await.expect_err("not his").status, 422);
    });
}

#[test]
fn a_lost_answer_is_asked_for_again_even_if_the_cart_has_changed() {
    run(async {
        let world = World::new(1);
        world.put("anna", "stoneware-mug", 1).await;
        world.payments.set_dial(Dial { after_charge: 1.0, ..Dial::default() });
        let problem = world.buy("anna", "k1").await.expect_err("the answer was lost");
        let id = problem.order_id.expect("the order is kept");
        let kept = world.checkout.order(&world.cx, &id).await.expect("kept");
        assert_eq!((problem.status, kept.status), (503, Status::PaymentPending));

        world.payments.set_dial(Dial::default());
        world.put("anna", "round-teapot", 1).await;
        let order = world.buy("anna", "k1").await.expect("bought");
        assert_eq!((order.order_id, order.total_cents), (id, 1_800));
        assert_eq!((world.payments.counts().charges, world.payments.counts().repeats), (1, 1));
        assert_eq!(world.in_cart("anna").await, 2, "what was added later is still wanted");
    });
}

#[test]
fn customers_who_insist_pay_once_whatever_fails() {
    for seed in 0..20 {
        run(async {
            let world = Arc::new(World::new(seed));
            world.payments.set_dial(Dial { latency_ms: seed % 2, failure: 0.4, after_charge: 0.3 });
            let mut buyers = Vec::new();
            for n in 0..8 {
                let customer = format!("c{n}");
                world.put(&customer, "stoneware-mug", n + 1).await;
                for _ in 0..4 {
                    let (world, customer) = (world.clone(), customer.clone());
                    buyers.push(tokio::spawn(async move {
                        while let Err(problem) = world.buy(&customer, &format!("key-{customer}")).await {
                            assert_eq!(problem.status, 503, "seed {seed}");
                        }
                    }));
                }
            }
            for buyer in buyers {
                buyer.await.expect("no panic");
            }
            let counts = world.payments.counts();
            assert_eq!((counts.charges, counts.double_charges), (8, 0), "seed {seed}");
            assert_eq!(counts.amount_cents, 1_800 * (1..=8).sum::<u64>(), "seed {seed}");
        });
    }
}

#[test]
fn a_paid_order_stands_and_is_delivered_when_delivery_comes_back() {
    run(async {
        let world = World::new(1);
        tokio::spawn(world.calls.clone().follow_up());
        world.delivery.broken.store(true, Ordering::Relaxed);
        world.put("anna", "stoneware-mug", 1).await;
        let order = world.buy("anna", "k1").await.expect("bought");
        assert_eq!((order.status, order.delivery), (Status::Paid, DeliveryStatus::Pending));

        world.delivery.broken.store(false, Ordering::Relaxed);
        let arranged = async {
            while world.checkout.order(&world.cx, &order.order_id).await.expect("kept").delivery
                != DeliveryStatus::Arranged
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), arranged).await.expect("delivered in the end");
    });
}

#[test]
fn a_checkout_goes_on_when_its_client_hangs_up_and_is_waited_for() {
    run(async {
        let world = World::new(1);
        world.payments.set_dial(Dial { latency_ms: 40, ..Dial::default() });
        world.put("anna", "stoneware-mug", 1).await;
        let hung_up = tokio::time::timeout(Duration::from_millis(10), world.buy("anna", "k1")).await;
        assert!(hung_up.is_err());
        world.checkout.finish().await;
        assert_eq!((world.payments.counts().charges, world.in_cart("anna").await), (1, 0));
    });
}

#[test]
fn a_customer_has_a_list_of_orders() {
    run(async {
        let world = World::new(1);
        let mut ids = Vec::new();
        for key in ["k1", "k2"] {
            world.put("anna", "stoneware-mug", 1).await;
            ids.insert(0, world.buy("anna", key).await.expect("bought").order_id);
        }
        let orders = world.checkout.orders(&world.cx, "anna").await.expect("had");
        assert_eq!(orders.into_iter().map(|order| order.order_id).collect::<Vec<_>>(), ids);
        assert!(world.checkout.orders(&world.cx, "bert").await.expect("had").is_empty());
    });
}

#[test]
fn a_payment_that_was_left_half_way_is_looked_after_once() {
    run(async {
        let world = World::new(1);
        world.put("anna", "stoneware-mug", 1).await;
        world.payments.set_dial(Dial { after_charge: 1.0, ..Dial::default() });
        let id = world.buy("anna", "k1").await.expect_err("the answer was lost").order_id.expect("an order");
        assert_eq!(world.checkout.settle(&world.cx, &id).await.expect_err("again").status, 503);
        world.payments.set_dial(Dial::default());
        for _ in 0..2 {
            world.checkout.settle(&world.cx, &id).await.expect("settled");
        }
        let order = world.checkout.order(&world.cx, &id).await.expect("kept");
        assert_eq!((order.status, world.payments.counts().charges), (Status::Paid, 1));
        world.checkout.settle(&world.cx, "none").await.expect("nothing to settle");
    });
}

#[test]
fn what_is_not_paid_is_not_shipped() {
    run(async {
        let world = World::new(1);
        world.put("rich", "flatweave-rug", 99).await;
        let id = world.buy("rich", "k1").await.expect_err("too expensive").order_id.expect("an order");
        let fact = Fact::Shipped { estimated: Day::today() };
        assert_eq!(world.checkout.0.orders.note(&id, fact).await.expect_err("unpaid").status, 409);
    });
}

const MANY: usize = 1_000;
