//! The shop while its processes are killed: whatever happens, who pays is served and nobody pays twice.
//!
//! `COLONY_SHOP_CHECKOUTS` and `COLONY_SHOP_SEED` say how many customers buy, and which kills there are.

#![allow(
    clippy::disallowed_macros,
    reason = "tells what was killed and bought, with what fails or --nocapture"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Answer, World, kill, try_request, until, wait};

#[test]
fn whatever_is_killed_every_charge_has_its_order_and_every_paid_order_is_shipped() {
    let (checkouts, seed) = (number("COLONY_SHOP_CHECKOUTS", 200), number("COLONY_SHOP_SEED", 1));
    println!("{checkouts} checkouts, seed {seed}");
    let mut worlds = vec![World::marketplace()];
    let street = Street { gateway: Mutex::new(worlds[0].gateway()) };
    let next = AtomicU64::new(0);
    let bought: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let kills = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let (street, next, bought) = (&street, &next, &bought);
                scope.spawn(move || {
                    let mut dice = Dice(seed ^ (buyer << 32));
                    loop {
                        let customer = next.fetch_add(1, Ordering::Relaxed);
                        if customer >= checkouts {
                            break;
                        }
                        if let Some(order) = street.shop(customer, &mut dice) {
                            bought.lock().expect("no panic").insert(customer, order);
                        }
                        std::thread::sleep(Duration::from_millis(dice.below(PAUSE_MS_MAX)));
                    }
                })
            })
            .collect();
        let is_over = || buyers.iter().all(std::thread::ScopedJoinHandle::is_finished);
        street.kill_until(&mut worlds, is_over, checkouts / CHECKOUTS_A_KILL, Dice(seed))
    });
    println!("{kills}");
    street.settle(checkouts, &bought.into_inner().expect("no panic"));
    // The last one holds the folder, the first one that no other shop is open meanwhile.
    while worlds.pop().is_some() {}
}

/// Where the shop is.
struct Street {
    gateway: Mutex<String>,
}

impl Street {
    fn ask(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Option<Answer> {
        let gateway = self.gateway.lock().expect("no panic").clone();
        let body = body.map(Value::to_string);
        let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("idempotency-key", key)] };
        try_request(&gateway, method, path, headers, body.as_deref()).ok().filter(|answer| answer.status != 0)
    }

    /// Fills a cart and buys it, again and again until that is answered; but some leave after the first time. The order, if
    /// there is one for sure.
    fn shop(&self, customer: u64, dice: &mut Dice) -> Option<String> {
        let product = PRODUCTS[dice.below(PRODUCTS.len() as u64) as usize];
        let item = json!({ "product": product, "quantity": 1 + dice.below(3) });
        let (who, key) = (name(customer), format!("key-{customer}"));
        let is_patient = dice.below(3) > 0;
        self.insist(&format!("{who} fills a cart"), || {
            self.ask("POST", &format!("/api/cart/{who}/items"), "", Some(&item)).filter(|a| a.status == 200)
        });
        let buy = || {
            let answer = self.ask("POST", "/api/checkout", &key, Some(&json!({ "customer": who })))?;
            assert!([201, 429, 500, 502, 503, 504].contains(&answer.status), "{who}: {answer:?}");
            (answer.status == 201).then(|| answer.json()["order_id"].as_str().expect("an order").to_owned())
        };
        if is_patient { Some(self.insist(&format!("{who} buys"), buy)) } else { buy() }
    }

    fn insist<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        for _ in 0..TRIES_MAX {
            if let Some(found) = ask() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what}: in vain");
    }

    /// Kills one process, some, or all of them with the node, at random moments. Returns what it did in words.
    fn kill_until(
        &self,
        worlds: &mut Vec<World>,
        is_over: impl Fn() -> bool,
        times: u64,
        mut dice: Dice,
    ) -> String {
        let (mut services, mut nodes) = (0, 0);
        for _ in 0..times {
            if is_over() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100 + dice.below(1_500)));
            let world = worlds.last_mut().expect("a world");
            let mut pids = world.all_pids();
            if pids.is_empty() {
                continue;
            }
            let many = match dice.below(10) {
                0..6 => 1,
                6..8 => 2 + dice.below(3) as usize,
                _ => pids.len(),
            };
            let is_node = many == pids.len();
            if is_node {
                world.signal(libc::SIGKILL);
                nodes += 1;
            }
            for _ in 0..many.min(pids.len()) {
                kill(pids.swap_remove(dice.below(pids.len() as u64) as usize), libc::SIGKILL);
                services += 1;
            }
            if is_node {
                world.exit_code();
                let again = world.up_again();
                *self.gateway.lock().expect("no panic") = again.gateway();
                worlds.push(again);
            }
        }
        format!("{services} services were killed, and {nodes} times the node with all of them")
    }

    /// Waits until everything has come to its end, and looks at it.
    fn settle(&self, checkouts: u64, bought: &BTreeMap<u64, String>) {
        let get = |path: &str| {
            let answer = self.ask("GET", path, "", None)?;
            (answer.status == 200).then(|| answer.json())
        };
        let mut known = 0;
        for customer in 0..checkouts {
            let who = name(customer);
            let mut last = Value::Null;
            wait_for(&format!("an end with {who}"), &mut last, |last| {
                *last = json!({
                    "orders": get(&format!("/api/orders?customer={who}"))?,
                    "told": get(&format!("/api/notifications/notifications/{who}"))?,
                });
                let orders = last["orders"].as_array()?;
                let is_expected = !bought.contains_key(&customer) || orders.len() == 1;
                let is_done = |order: &Value| order["status"] == "paid" && order["delivery"] == "arranged";
                let is_told = last["told"].as_array()?.len() == orders.len();
                (is_expected && is_told && orders.iter().all(is_done)).then_some(())
            });
            let orders = last["orders"].as_array().expect("a list").clone();
            assert!(orders.len() <= 1, "{who} has one key: {last:#}");
            for order in &orders {
                let id = order["order_id"].as_str().expect("an id");
                assert!(bought.get(&customer).is_none_or(|bought| bought == id), "{who}: {last:#}");
                assert_eq!(last["told"][0]["order"], id);
                let delivery = get(&format!("/api/delivery/deliveries/{id}")).expect("a delivery");
                assert_eq!(
                    (&delivery["customer"], &delivery["estimated"]),
                    (&json!(who), &order["estimated"])
                );
            }
            known += orders.len();
        }
        self.audit(known, checkouts);
    }

    /// Every order is paid by now, so there are as many charges, each of another one.
    fn audit(&self, orders: usize, checkouts: u64) {
        let charges = || {
            let mut all: Vec<Value> = Vec::new();
            loop {
                let answer =
                    self.ask("GET", &format!("/api/payments/charges?offset={}", all.len()), "", None)?;
                let part = (answer.status == 200).then(|| answer.json())?.as_array()?.clone();
                if part.is_empty() {
                    return Some(all);
                }
                all.extend(part);
            }
        };
        wait("the whole ledger", || charges().is_some_and(|charges| charges.len() >= orders));
        let charges = charges().expect("a ledger");
        let mut by_order: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for charge in &charges {
            by_order.entry(charge["order"].as_str().expect("an order")).or_default().push(charge);
        }
        for (order, charges) in &by_order {
            assert_eq!(charges.len(), 1, "charged twice: {charges:#?}");
            let known = self.ask("GET", &format!("/api/orders/{order}"), "", None).expect("an answer");
            assert_eq!(known.status, 200, "an unknown order was charged: {charges:#?}");
            assert_eq!(known.json()["status"], "paid", "{charges:#?}");
            assert_eq!(known.json()["total_cents"], charges[0]["amount"]);
        }
        assert_eq!((by_order.len(), charges.len()), (orders, orders), "of {checkouts} checkouts");
        let ledger = self.ask("GET", "/api/payments/ledger", "", None).expect("an answer").json();
        assert_eq!((&ledger["double_charges"], &ledger["charges"]), (&json!(0), &json!(orders)), "{ledger}");
        println!("{orders} of {checkouts} orders paid, told and shipped");
    }
}

fn wait_for(what: &str, last: &mut Value, mut ask: impl FnMut(&mut Value) -> Option<()>) {
    let last = std::cell::RefCell::new(last);
    until(what, || ask(&mut last.borrow_mut()), || format!("{:#}", last.borrow()));
}

fn name(customer: u64) -> String {
    format!("customer-{customer}")
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// SplitMix64, as in `src/chance.rs` of the marketplace.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Who buys at the same time.
const BUYERS: u64 = 8;
/// Each kill makes the test longer by what it takes to start again.
const CHECKOUTS_A_KILL: u64 = 8;
/// Longest pause of a buyer, so that there is time for kills.
const PAUSE_MS_MAX: u64 = 1_200;
/// How often somebody tries, 100 ms and more apart.
const TRIES_MAX: usize = 600;
const PRODUCTS: [&str; 5] =
    ["stoneware-mug", "round-teapot", "beeswax-candle", "oak-cutting-board", "linen-cushion"];
