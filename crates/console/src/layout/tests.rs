//! What holds for every drawing, and some that were looked at.

use super::*;

fn map(edges: &[(&str, &str)]) -> (Vec<String>, BTreeSet<(String, String)>) {
    let edges: BTreeSet<(String, String)> =
        edges.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let nodes: BTreeSet<String> = edges.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
    (nodes.into_iter().collect(), edges)
}

fn drawn(edges: &[(&str, &str)]) -> Drawing {
    let (nodes, edges) = map(edges);
    draw(&nodes, &edges, WIDE)
}

/// Calls of a system of layers, drawn by a small generator that is the same everywhere (Park and Miller, 1988).
fn large(services: usize, calls: usize, mut seed: u64) -> (Vec<String>, BTreeSet<(String, String)>) {
    let mut next = |most: usize| {
        seed = seed * 48_271 % 0x7fff_ffff;
        usize::try_from(seed).unwrap_or(0) % most
    };
    let name = |at: usize| format!("service-{at:02}");
    let mut edges = BTreeSet::new();
    while edges.len() < calls {
        let (from, to) = (next(services), next(services));
        if from != to {
            // One in ten the other way round, so that there are circles.
            let turned = next(10) == 0;
            let (from, to) = if (from < to) != turned { (from, to) } else { (to, from) };
            edges.insert((name(from), name(to)));
        }
    }
    ((0..services).map(name).collect(), edges)
}

/// Nothing overlaps, every edge goes through each layer between its ends, and every way stays clear of boxes.
fn check(nodes: &[String], edges: &BTreeSet<(String, String)>, shape: Shape) {
    let drawing = draw(nodes, edges, shape);
    let mut rows: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for place in drawing.nodes.values() {
        rows.entry(place.layer).or_default().push((place.at, 1.0));
        assert!(place.at >= 0.5 - 0.01 && place.at <= drawing.span - 0.5 + 0.01, "{place:?}");
    }
    assert!(rows.values().all(|row| row.len() <= shape.row_max), "{rows:?}");
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (0..drawing.layers).collect::<Vec<_>>());
    for place in drawing.ways.values().flatten() {
        let row = rows.entry(place.layer).or_default();
        if !row.contains(&(place.at, shape.lane)) {
            row.push((place.at, shape.lane));
        }
    }
    for (layer, row) in &mut rows {
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in row.windows(2) {
            let apart = pair[1].0 - pair[0].0;
            assert!(apart >= (pair[0].1 + pair[1].1) / 2.0 - 0.003, "in layer {layer}: {pair:?}");
        }
    }
    for ((from, to), way) in &drawing.ways {
        let ends = (drawing.nodes[from].layer, drawing.nodes[to].layer);
        let passed: Vec<usize> = way.iter().map(|place| place.layer).collect();
        let between: Vec<usize> = match ends.0 < ends.1 {
            true => (ends.0 + 1..ends.1).collect(),
            false => (ends.1 + 1..ends.0).rev().collect(),
        };
        assert_eq!(passed, between, "{from} -> {to}");
        assert_ne!(ends.0, ends.1, "{from} -> {to}");
    }
    let known = edges.iter().filter(|(from, to)| from != to && nodes.contains(from) && nodes.contains(to));
    assert_eq!(drawing.ways.len(), known.count());
}

#[test]
fn everybody_stands_behind_who_calls() {
    let drawn = drawn(&[("gateway", "shop"), ("shop", "cart"), ("shop", "checkout"), ("checkout", "cart")]);
    let layer = |name: &str| drawn.nodes[name].layer;
    assert_eq!(["gateway", "shop", "checkout", "cart"].map(layer), [0, 1, 2, 3]);
    let way = &drawn.ways[&("shop".to_owned(), "cart".to_owned())];
    assert_eq!(way.len(), 1, "past checkout");
    assert!((way[0].at - drawn.nodes["checkout"].at).abs() >= 0.5, "beside it: {drawn:?}");
}

#[test]
fn a_circle_is_cut_where_one_comes_in_and_the_edge_back_is_drawn() {
    let drawn = drawn(&[("gateway", "b"), ("b", "a"), ("a", "c"), ("c", "b")]);
    let layer = |name: &str| drawn.nodes[name].layer;
    assert_eq!(["gateway", "b", "a", "c"].map(layer), [0, 1, 2, 3]);
    let back = &drawn.ways[&("c".to_owned(), "b".to_owned())];
    assert_eq!(back.iter().map(|place| place.layer).collect::<Vec<_>>(), [2]);
}

#[test]
fn neighbours_stand_together() {
    let drawn = drawn(&[("a", "z"), ("b", "y"), ("c", "x")]);
    for (from, to) in [("a", "z"), ("b", "y"), ("c", "x")] {
        assert!((drawn.nodes[from].at - drawn.nodes[to].at).abs() < 0.01, "{drawn:?}");
    }
}

#[test]
fn long_lines_of_one_share_a_lane_which_is_straight() {
    let edges = [
        ("gateway", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("d", "e"),
        ("gateway", "c"),
        ("gateway", "d"),
        ("gateway", "e"),
    ];
    let drawn = drawn(&edges);
    let way = |to: &str| drawn.ways[&("gateway".to_owned(), to.to_owned())].clone();
    let longest = way("e");
    assert_eq!(longest.len(), 4);
    assert_eq!((way("c"), way("d")), (longest[..2].to_vec(), longest[..3].to_vec()));
    assert!(longest.iter().all(|place| place.at == longest[0].at), "{longest:?}");
}

#[test]
fn layers_that_are_too_long_are_broken() {
    let names: Vec<String> = (0..7).map(|at| format!("service-{at}")).collect();
    let edges: BTreeSet<(String, String)> =
        names.iter().map(|name| ("gateway".to_owned(), name.clone())).collect();
    let all: Vec<String> = names.into_iter().chain(["gateway".to_owned()]).collect();
    let tall = draw(&all, &edges, TALL);
    assert_eq!(tall.layers, 5, "one, and four of seven");
    check(&all, &edges, TALL);
}

#[test]
fn nothing_overlaps_in_large_maps_with_circles() {
    for seed in 1..40 {
        let (nodes, edges) = large(40, 100, seed);
        check(&nodes, &edges, WIDE);
        check(&nodes, &edges, TALL);
    }
}

#[test]
fn the_order_of_a_large_map_is_mended() {
    let counts = (1..20).map(|seed| {
        let (nodes, edges) = large(30, 45, seed);
        let known: BTreeMap<&String, usize> = nodes.iter().enumerate().map(|(at, name)| (name, at)).collect();
        let ends: Vec<(usize, usize)> = edges.iter().map(|(from, to)| (known[from], known[to])).collect();
        let down = layers::without_circles(nodes.len(), &ends);
        let layers = layers::layers(nodes.len(), &down, WIDE.row_max);
        let mut graph = Graph::new(&layers, &down, WIDE.lane);
        let before = order::crossings(&graph);
        order::mend(&mut graph);
        (before, order::crossings(&graph))
    });
    let (before, after) = counts.fold((0, 0), |(a, b), (before, after)| (a + before, b + after));
    assert!(after * 3 < before, "{before} crossings became {after}");
}

#[test]
fn a_drawing_depends_on_nothing_but_what_is_drawn() {
    let (nodes, edges) = large(40, 100, 7);
    let turned: Vec<String> = nodes.iter().rev().cloned().collect();
    assert_eq!(draw(&nodes, &edges, WIDE), draw(&turned, &edges, WIDE));
}

#[test]
fn who_comes_new_moves_nobody_past_another() {
    let shop = [
        ("gateway", "storefront"),
        ("gateway", "catalog"),
        ("gateway", "cart"),
        ("gateway", "checkout"),
        ("gateway", "payments"),
        ("gateway", "recommendations"),
        ("storefront", "catalog"),
        ("storefront", "cart"),
        ("storefront", "checkout"),
        ("storefront", "recommendations"),
        ("cart", "catalog"),
        ("checkout", "cart"),
        ("checkout", "payments"),
        ("recommendations", "catalog"),
        ("recommendations", "cart"),
    ];
    let order = |drawing: &Drawing| {
        let mut order: Vec<(usize, f64, String)> = shop
            .iter()
            .flat_map(|(from, to)| [*from, *to])
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|name| (drawing.nodes[name].layer, drawing.nodes[name].at, name.to_owned()))
            .collect();
        order.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
        order.into_iter().map(|(layer, _, name)| (layer, name)).collect::<Vec<_>>()
    };
    let before = order(&drawn(&shop));
    for new in [("checkout", "audit"), ("gateway", "zebra"), ("storefront", "aardvark")] {
        let more: Vec<(&str, &str)> = shop.iter().copied().chain([new]).collect();
        assert_eq!(order(&drawn(&more)), before, "{new:?}");
    }
}

#[test]
fn nothing_and_odd_edges_do_no_harm() {
    assert_eq!(draw(&[], &BTreeSet::new(), WIDE), Drawing::default());
    let odd = BTreeSet::from([("a".to_owned(), "a".to_owned()), ("a".to_owned(), "gone".to_owned())]);
    let drawn = draw(&["a".to_owned()], &odd, WIDE);
    assert_eq!((drawn.nodes["a"], drawn.layers), (Place { layer: 0, at: 0.5 }, 1));
    let alone = draw(&["a".to_owned(), "b".to_owned(), "c".to_owned()], &BTreeSet::new(), TALL);
    assert_eq!((alone.layers, alone.span), (2, 2.0));
}
