//! Which layer a node is in: behind all that lead to it.

use std::collections::BTreeSet;

/// The edges, in their order, those turned round that lead back on a walk in depth: so there are no circles.
pub(super) fn without_circles(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    edges.iter().for_each(|(from, to)| next[*from].push(*to));
    let (mut state, mut back) = (vec![Seen::Not; count], BTreeSet::new());
    // Who is led to by nobody first, so that a circle is cut where one comes into it.
    let led_to: BTreeSet<usize> = edges.iter().map(|(_, to)| *to).collect();
    let starts = (0..count).filter(|node| !led_to.contains(node)).chain(0..count);
    for start in starts {
        if state[start] != Seen::Not {
            continue;
        }
        state[start] = Seen::OnTheWay;
        let mut way = vec![(start, 0)];
        while let Some((node, taken)) = way.last_mut() {
            let Some(to) = next[*node].get(*taken).copied() else {
                state[*node] = Seen::Done;
                way.pop();
                continue;
            };
            *taken += 1;
            match state[to] {
                Seen::OnTheWay => drop(back.insert((*node, to))),
                Seen::Done => {}
                Seen::Not => {
                    state[to] = Seen::OnTheWay;
                    way.push((to, 0));
                }
            }
        }
    }
    let turned = |edge: &(usize, usize)| if back.contains(edge) { (edge.1, edge.0) } else { *edge };
    edges.iter().map(turned).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Not,
    OnTheWay,
    Done,
}

/// A layer for each, from 0 without a gap, with at most so many in each.
pub(super) fn layers(count: usize, edges: &[(usize, usize)], row_max: usize) -> Vec<usize> {
    let mut layers = vec![0_usize; count];
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
    gather(&mut layers, edges);
    broken(&layers, edges, row_max.max(1))
}

/// Who is led to by nobody stands right before whom it leads to first, and who has to do with nobody at the end.
fn gather(layers: &mut [usize], edges: &[(usize, usize)]) {
    let last = layers.iter().max().copied().unwrap_or(0);
    let led_to: BTreeSet<usize> = edges.iter().map(|(_, to)| *to).collect();
    for node in (0..layers.len()).filter(|node| !led_to.contains(node)) {
        let nearest = edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| layers[*to]).min();
        layers[node] = nearest.map_or(last, |nearest| nearest.saturating_sub(1));
    }
}

/// Layers that hold too many as several. Who leads to more than lead to it comes last, for that makes lines shorter.
fn broken(layers: &[usize], edges: &[(usize, usize)], row_max: usize) -> Vec<usize> {
    let mut pull = vec![0_i64; layers.len()];
    for (from, to) in edges {
        pull[*from] += 1;
        pull[*to] -= 1;
    }
    let (mut broken, mut next) = (vec![0; layers.len()], 0);
    for layer in 0..=layers.iter().max().copied().unwrap_or(0) {
        let mut row: Vec<usize> = (0..layers.len()).filter(|node| layers[*node] == layer).collect();
        row.sort_by_key(|node| pull[*node]);
        let rows = row.len().div_ceil(row_max);
        for (at, node) in row.iter().enumerate() {
            broken[*node] = next + at * rows / row.len();
        }
        next += rows;
    }
    broken
}
