//! Where on the map a node stands: in a layer behind all who call it, and in the layer near those it has to do with.
//!
//! The steps of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures", 1981): calls that
//! close a circle are left out, each node gets the length of the longest way to it, and the order within layers is mended by
//! barycenters, a few times forth and back. Pure, and the same for the same map: nothing jumps while one looks.

use std::collections::{BTreeMap, BTreeSet};

/// How often the order is mended: more changes little.
const SWEEPS: usize = 6;

/// The layer and the place in it of every node.
pub(crate) fn layout(
    nodes: &[String],
    edges: &BTreeSet<(String, String)>,
) -> BTreeMap<String, (usize, usize)> {
    let at: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let known = edges.iter().filter_map(|(from, to)| Some((*at.get(from.as_str())?, *at.get(to.as_str())?)));
    let edges = without_circles(nodes.len(), &known.collect::<Vec<_>>());
    let layers = layers(nodes.len(), &edges);
    let mut order = rows(&layers);
    for sweep in 0..SWEEPS {
        mend(&mut order, &layers, &edges, sweep % 2 == 0);
    }
    let places = order.iter().enumerate();
    let placed = places
        .flat_map(|(layer, row)| row.iter().enumerate().map(move |(place, node)| (*node, (layer, place))));
    placed.map(|(node, place)| (nodes[node].clone(), place)).collect()
}

/// The edges but those that lead back on a walk in depth.
fn without_circles(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    edges.iter().for_each(|(from, to)| next[*from].push(*to));
    let (mut state, mut kept) = (vec![0_u8; count], Vec::new());
    // Who is called by nobody first, so that a circle is cut where one comes into it.
    let called: BTreeSet<usize> = edges.iter().map(|(_, to)| *to).collect();
    let starts = (0..count).filter(|node| !called.contains(node)).chain(0..count);
    for start in starts {
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        let mut way = vec![(start, 0)];
        while let Some((node, taken)) = way.last_mut() {
            let Some(to) = next[*node].get(*taken).copied() else {
                state[*node] = 2;
                way.pop();
                continue;
            };
            *taken += 1;
            if state[to] != 1 {
                kept.push((*node, to));
            }
            if state[to] == 0 {
                state[to] = 1;
                way.push((to, 0));
            }
        }
    }
    kept
}

fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; count];
    // Without circles the longest way has fewer steps than there are nodes.
    for _ in 0..count {
        let mut changed = false;
        for (from, to) in edges {
            if layers[*to] <= layers[*from] {
                layers[*to] = layers[*from] + 1;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    layers
}

fn rows(layers: &[usize]) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); layers.iter().max().map_or(0, |most| most + 1)];
    layers.iter().enumerate().for_each(|(node, layer)| rows[*layer].push(node));
    rows
}

/// Puts each node of a layer at the middle of those that it has to do with in the layers before, or behind.
fn mend(rows: &mut [Vec<usize>], layers: &[usize], edges: &[(usize, usize)], forth: bool) {
    let mut place = vec![0.0; layers.len()];
    let note = |row: &[usize], place: &mut [f64]| {
        let width = row.len().max(1) as f64;
        row.iter().enumerate().for_each(|(at, node)| place[*node] = (at as f64 + 0.5) / width);
    };
    rows.iter().for_each(|row| note(row, &mut place));
    let all: Vec<usize> = if forth { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
    for at in all {
        let middle = |node: usize, place: &[f64]| {
            let near: Vec<f64> = edges
                .iter()
                .filter_map(|(from, to)| match (*from == node, *to == node) {
                    (true, _) if !forth => Some(place[*to]),
                    (_, true) if forth => Some(place[*from]),
                    _ => None,
                })
                .collect();
            if near.is_empty() { place[node] } else { near.iter().sum::<f64>() / near.len() as f64 }
        };
        let mut row: Vec<(f64, usize)> = rows[at].iter().map(|node| (middle(*node, &place), *node)).collect();
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows[at] = row.into_iter().map(|(_, node)| node).collect();
        note(&rows[at], &mut place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(edges: &[(&str, &str)]) -> BTreeMap<String, (usize, usize)> {
        let edges: BTreeSet<(String, String)> =
            edges.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let nodes: BTreeSet<String> =
            edges.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
        layout(&nodes.into_iter().collect::<Vec<_>>(), &edges)
    }

    #[test]
    fn everybody_stands_behind_who_calls() {
        let edges = [("gateway", "shop"), ("shop", "cart"), ("shop", "checkout"), ("checkout", "cart")];
        let placed = placed(&edges);
        let layer = |name: &str| placed[name].0;
        assert_eq!(["gateway", "shop", "checkout", "cart"].map(layer), [0, 1, 2, 3]);
    }

    #[test]
    fn a_circle_is_cut_where_one_comes_in() {
        let placed = placed(&[("gateway", "b"), ("b", "a"), ("a", "b")]);
        assert_eq!((placed["b"].0, placed["a"].0), (1, 2));
    }

    #[test]
    fn neighbours_stand_together() {
        let placed = placed(&[("a", "z"), ("b", "y"), ("c", "x")]);
        assert_eq!((placed["z"].1, placed["y"].1, placed["x"].1), (0, 1, 2));
    }

    #[test]
    fn nothing_and_odd_edges_do_no_harm() {
        assert!(layout(&[], &BTreeSet::new()).is_empty());
        let odd = BTreeSet::from([("a".to_owned(), "a".to_owned()), ("a".to_owned(), "gone".to_owned())]);
        assert_eq!(layout(&["a".to_owned()], &odd)["a"], (0, 0));
    }
}
