//! The reference architecture: a shop that runs as one process or as any one of its eight services.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod cart;
mod catalog;
mod chance;
mod checkout;
mod consumers;
mod context;
mod date;
mod delivery;
mod events;
mod extract;
mod money;
mod notifications;
mod payments;
mod problem;
mod recent;
mod recommendations;
mod remote;
mod serve;
mod store;
mod storefront;
mod tell;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["--version" | "-V"] => {
            println!("marketplace {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        [name] => name,
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match run(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("marketplace: {why}");
            ExitCode::from(USAGE)
        }
    }
}

/// One thread is enough for a shop of this size, and each thread would cost memory in every service.
fn run(name: &str) -> Result<(), String> {
    let env = |variable: &str| std::env::var(variable).ok();
    let port = match env("PORT") {
        Some(text) => text.parse().map_err(|_| format!("PORT is `{text}`, which is not a port"))?,
        None => PORT_DEFAULT,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        let app = if name == "monolith" { wiring::monolith(&env)? } else { wiring::service(name, &env)? };
        serve::serve(name, app, port).await.map_err(|e| e.to_string())
    })
}

const PORT_DEFAULT: u16 = 3000;
/// Exit code for a command line or an environment that makes no sense.
const USAGE: u8 = 2;

const HELP: &str = "\
A shop that runs as one process or as any one of its eight services.

Usage: marketplace monolith
       marketplace SERVICE

Services and the peers they call:
  storefront        catalog, cart, checkout, recommendations
  catalog
  cart              catalog
  checkout          cart, payments, delivery, notifications, recommendations
  payments
  delivery
  notifications
  recommendations   catalog, cart

Environment:
  PORT              port to listen on, on 127.0.0.1; 0: any free one  [default: 3000]
  CATALOG_URL, CART_URL, CHECKOUT_URL, PAYMENTS_URL, DELIVERY_URL, NOTIFICATIONS_URL,
  RECOMMENDATIONS_URL
                    where a service finds its peers, such as http://127.0.0.1:3001;
                    the monolith needs none
  DAPR_HTTP_PORT    port of the application API on 127.0.0.1, where all facts are kept then; without it they
                    are in memory. With it checkout calls cart and payments only: who else has to do with
                    an order hears of it by events

Every service answers GET /healthz. SIGTERM: finish what is under way, then exit 0.

Try:
  marketplace monolith
  curl 'http://127.0.0.1:3000/api/catalog/products?q=mug&limit=3'
  curl http://127.0.0.1:3000/api/payments/dial --json '{\"latency_ms\":0,\"failure\":0.5,\"after_charge\":0.2}'
";
