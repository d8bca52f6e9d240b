//! What a scenario with mistakes is answered: every problem, with its place.

use load::Scenario;

fn problems(text: &str) -> String {
    match Scenario::parse("shop.yaml", text) {
        Ok(scenario) => panic!("valid: {scenario:?}"),
        Err(error) => error.to_string(),
    }
}

macro_rules! golden {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let text = $text;
            insta::with_settings!({ description => text, omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), problems(text));
            });
        }
    )*};
}

golden! {
    an_empty_file: "# nothing but a comment\n";
    broken_yaml: "journeys:\n  - steps: [{ get: /\n";
    no_journeys: "name: shop\n";
    an_unknown_key_has_a_neighbour: "journeys:\n  - stps: []\n    steps:\n      - { gett: / }\n";
    a_placeholder_without_a_value: "
journeys:
  - steps:
      - { get: \"/p/{prodcut}\" }
      - { post: /o, json: { a: [\"{order}\"] }, save: { order: id } }
      - { get: \"/o/{order}\", headers: { x-user: \"{custommer}\" } }
  - steps:
      - { get: \"/o/{order}\" }
vars: { product: [1, 2] }
";
    bad_values: "
customers: many
journeys:
  - weight: 0
    steps:
      - { get: api/cart }
      - { get: /a, post: /b }
      - { get: /a, expect: [200, 9999] }
      - { get: \"/{\" }
      - { get: \"/a b\" }
      - { get: /a, body: x, json: y }
      - { get: /a, headers: { content-length: 3, \"bad name\": x } }
      - { name: nothing }
vars:
  empty: []
  upside: { range: [9, 1] }
  both: { range: [1, 2], list: [1] }
  unique: [1]
  \"a b\": [1]
";
    shapes: "journeys:\n  buy: 3\nvars: 7\n";
    twice_the_same_key: "name: a\njourneys: []\nname: b\n";
    unquoted_braces: "journeys:\n  - steps:\n      - get: {path}\n";
}

#[test]
fn the_documented_scenario_is_valid() {
    let text = "
name: shopping
customers: 1000
journeys:
  - weight: 6
    name: browse
    steps: &look
      - { name: home, get: / }
      - { name: search, get: \"/api/catalog/products?q={word}\" }
  - name: again
    steps: *look
  - name: buy
    steps:
      - { name: checkout, post: /api/checkout, json: { customer: \"{customer}\" }, expect: 201, save: { order: order_id } }
      - { name: order, get: \"/api/orders/{order}\" }
vars:
  word: [lamp, chair]
";
    assert_eq!(Scenario::parse("shop.yaml", text).unwrap().name(), "shopping");
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for (new, old) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        text.push_str(&format!("{new}: &{new} [{}]\n", [format!("*{old}").as_str(); 10].join(", ")));
    }
    assert!(problems(&text).contains("aliases spell out more than 100000 values"));
}

#[test]
fn a_missing_file_says_so() {
    let error = Scenario::read(std::path::Path::new("/no/such/file.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/file.yaml: cannot be read: "), "{error}");
}

#[test]
fn the_marketplaces_shopping_is_valid() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/marketplace/shopping.yaml");
    let scenario = Scenario::read(std::path::Path::new(file)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.name(), "shopping");
}

#[test]
fn a_single_request_is_checked_as_a_step_is() {
    let header = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let refused = |method, headers: &[(String, String)]| {
        Scenario::request(method, headers, None).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(refused("GE T", &[]), "`GE T` is no HTTP method");
    assert_eq!(refused("get", &header("connection", "close")), "the client sets `connection` by itself");
    assert_eq!(refused("get", &header("x", "a\nb")), "the value of header `x` holds a control character");
    assert!(Scenario::request("get", &header("x", "{not a name}"), None).is_ok());
}
