//! In which order the vertices of a row stand, so that lines cross rarely.
//!
//! Each row is ordered by the barycentres of what its vertices are joined with in the row before, then in the row behind, to and
//! fro (Sugiyama et al. 1981); after each sweep neighbours change places where that is better (Gansner et al. 1993,
//! `transpose`). The best order seen is taken, the first of equals: so it is the same each time.

use super::graph::Graph;

/// How often all rows are gone through: more changes little.
const SWEEPS: usize = 16;
/// How often neighbours are compared after a sweep.
const ROUNDS: usize = 4;

/// Mends the order of rows.
pub(super) fn mend(graph: &mut Graph) {
    begin(graph);
    let (mut best, mut fewest) = (graph.rows.clone(), crossings(graph));
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        by_barycentre(graph, sweep % 2 == 0);
        transpose(graph);
        let count = crossings(graph);
        if count < fewest {
            (best, fewest) = (graph.rows.clone(), count);
        }
    }
    graph.rows = best;
}

/// As a walk in depth comes by: what belongs together stands together.
fn begin(graph: &mut Graph) {
    let mut rows = vec![Vec::new(); graph.rows.len()];
    let mut seen = vec![false; graph.layer.len()];
    let starts = graph.rows.iter().flatten().copied().collect::<Vec<_>>();
    for start in starts {
        let mut way = vec![start];
        while let Some(vertex) = way.pop() {
            if std::mem::replace(&mut seen[vertex], true) {
                continue;
            }
            rows[graph.layer[vertex]].push(vertex);
            way.extend(graph.behind[vertex].iter().rev().map(|(to, _)| *to));
        }
    }
    graph.rows = rows;
}

fn by_barycentre(graph: &mut Graph, forth: bool) {
    let mut place = places(graph);
    let count = graph.rows.len();
    for at in 0..count {
        let at = if forth { at } else { count - 1 - at };
        let near = if forth { &graph.before } else { &graph.behind };
        let middle = |vertex: usize| match near[vertex].as_slice() {
            [] => place[vertex],
            joined => joined.iter().map(|(other, _)| place[*other]).sum::<f64>() / joined.len() as f64,
        };
        let mut row: Vec<(f64, usize)> =
            graph.rows[at].iter().map(|vertex| (middle(*vertex), *vertex)).collect();
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        graph.rows[at] = row.into_iter().map(|(_, vertex)| vertex).collect();
        note(&graph.rows[at], &mut place);
    }
}

/// Where in its row each vertex is, from 0 to 1.
fn places(graph: &Graph) -> Vec<f64> {
    let mut place = vec![0.0; graph.layer.len()];
    graph.rows.iter().for_each(|row| note(row, &mut place));
    place
}

fn note(row: &[usize], place: &mut [f64]) {
    let width = row.len().max(1) as f64;
    row.iter().enumerate().for_each(|(at, vertex)| place[*vertex] = (at as f64 + 0.5) / width);
}

fn transpose(graph: &mut Graph) {
    for _ in 0..ROUNDS {
        let mut place = places(graph);
        let mut changed = false;
        for at in 0..graph.rows.len() {
            for left in 1..graph.rows[at].len() {
                let (a, b) = (graph.rows[at][left - 1], graph.rows[at][left]);
                let near = [&graph.before, &graph.behind];
                let cost = |one: usize, other: usize| -> usize {
                    near.iter().map(|near| between(&near[one], &near[other], &place)).sum()
                };
                if cost(b, a) < cost(a, b) {
                    graph.rows[at].swap(left - 1, left);
                    note(&graph.rows[at], &mut place);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// How often lines of the one cross lines of the other that stands behind it.
fn between(one: &[(usize, f64)], other: &[(usize, f64)], place: &[f64]) -> usize {
    one.iter().map(|(a, _)| other.iter().filter(|(b, _)| place[*a] > place[*b]).count()).sum()
}

/// How often lines cross in all.
pub(super) fn crossings(graph: &Graph) -> usize {
    let place = places(graph);
    let of_row = |row: &Vec<usize>| {
        let mut ends: Vec<f64> = Vec::new();
        let mut count = 0;
        for vertex in row {
            let mut own: Vec<f64> = graph.behind[*vertex].iter().map(|(to, _)| place[*to]).collect();
            own.sort_by(f64::total_cmp);
            // Lines of one vertex do not cross each other.
            count +=
                own.iter().map(|end| ends.len() - ends.partition_point(|other| other <= end)).sum::<usize>();
            for end in own {
                ends.insert(ends.partition_point(|other| *other <= end), end);
            }
        }
        count
    };
    graph.rows.iter().map(of_row).sum()
}
