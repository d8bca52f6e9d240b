//! Policies as a person meets them: in the manifest, at the command line and in the status.

use crate::world::{World, server};

/// A gateway in front of one service, with these policies on its only route.
fn shop(policies: &str) -> World {
    let app = server("well");
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app{policies} }}\nservices:\n  \
         app: {{ url: \"http://{app}\" }}\n"
    ))
}

#[test]
fn a_breaker_is_forced_by_hand_and_survives_a_reload() {
    let world = shop("");
    assert_eq!(world.get("/").body, "well");
    let said = world.run(&["breaker", "gateway /**", "open"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("forced open"), "{text}");
    world.edit("listen: 127.0.0.1:0", "listen: 127.0.0.1:0\n  limits: { headers: 50 }");
    assert_eq!(world.json(&["apply", "--json"])["applied"], true);
    let refused = world.get("/");
    assert_eq!((refused.status, refused.json()["policy"].as_str()), (503, Some("breaker")), "{refused:?}");
    assert!(refused.body.contains("by hand") && refused.header("retry-after").is_none(), "{refused:?}");
    assert_eq!(world.call("gateway /**")["breaker"], "forced-open");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(
        shown.contains("forced-open") && shown.contains("colony breaker \"gateway /**\" auto"),
        "{shown}"
    );

    let done = world.json(&["breaker", "gateway /**", "auto", "--json"]);
    assert_eq!((&done["call"], &done["state"]), (&"gateway /**".into(), &"auto".into()));
    assert_eq!(world.get("/").body, "well");
}

#[test]
fn what_breaker_cannot_force_it_says() {
    let world = shop(", breaker: none");
    let failed = |args: &[&str]| {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unknown = failed(&["breaker", "app", "open"]);
    assert!(unknown.contains("there is no call `app`") && unknown.contains("gateway /**"), "{unknown}");
    let off = failed(&["breaker", "gateway /**", "open"]);
    assert!(off.contains("breaker: none"), "{off}");
}
