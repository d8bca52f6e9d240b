//! What is laid out: the nodes of the map and the virtual ones, in rows, joined by edges from one row to the next.

use std::collections::{BTreeMap, BTreeSet};

/// Vertices by number: first the nodes of the map, then virtual ones.
pub(super) struct Graph {
    /// The row of each.
    pub(super) layer: Vec<usize>,
    /// How much room each takes, in boxes.
    pub(super) size: Vec<f64>,
    /// In the order that they stand in.
    pub(super) rows: Vec<Vec<usize>>,
    /// Those in the row before that each is joined with, and how much it matters that this is straight.
    pub(super) before: Vec<Vec<(usize, f64)>>,
    /// The same of the row behind.
    pub(super) behind: Vec<Vec<(usize, f64)>>,
    /// By edge: the virtual vertices that it goes through, in the order of rows.
    pub(super) chains: Vec<Vec<usize>>,
    /// Virtual vertices that one behind the other are one line.
    pub(super) trunks: Vec<Vec<usize>>,
}

/// Whose trunk a virtual vertex is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trunk {
    From(usize),
    To(usize),
}

impl Graph {
    /// Of edges that each go to a later layer.
    pub(super) fn new(layers: &[usize], edges: &[(usize, usize)], lane: f64) -> Graph {
        let mut layer = layers.to_vec();
        let mut trunks: BTreeMap<Trunk, BTreeMap<usize, usize>> = BTreeMap::new();
        let long = |(from, to): &(usize, usize)| layers[*to] > layers[*from] + 1;
        let (mut leaving, mut coming) = (vec![0; layers.len()], vec![0; layers.len()]);
        for (from, to) in edges.iter().filter(|edge| long(edge)) {
            leaving[*from] += 1;
            coming[*to] += 1;
        }
        let chains: Vec<Vec<usize>> = edges
            .iter()
            .map(|(from, to)| {
                // With those that are more, of which one lane has room for all.
                let trunk = if coming[*to] > leaving[*from] { Trunk::To(*to) } else { Trunk::From(*from) };
                let passed = layers[*from] + 1..layers[*to];
                passed
                    .map(|row| {
                        *trunks.entry(trunk).or_default().entry(row).or_insert_with(|| {
                            layer.push(row);
                            layer.len() - 1
                        })
                    })
                    .collect()
            })
            .collect();
        let mut rows = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
        layer.iter().enumerate().for_each(|(vertex, row)| rows[*row].push(vertex));
        let size = (0..layer.len()).map(|vertex| if vertex < layers.len() { 1.0 } else { lane });
        let mut graph = Graph {
            size: size.collect(),
            before: vec![Vec::new(); layer.len()],
            behind: vec![Vec::new(); layer.len()],
            layer,
            rows,
            chains,
            trunks: trunks.into_values().map(|trunk| trunk.into_values().collect()).collect(),
        };
        graph.join(layers.len(), edges);
        graph
    }

    fn join(&mut self, real: usize, edges: &[(usize, usize)]) {
        let mut joined = BTreeSet::new();
        for ((from, to), chain) in edges.iter().zip(&self.chains) {
            let whole: Vec<usize> = [*from].into_iter().chain(chain.iter().copied()).chain([*to]).collect();
            joined.extend(whole.windows(2).map(|pair| (pair[0], pair[1])));
        }
        for (from, to) in joined {
            // As Gansner et al. weigh them: long lines are to be straight before short ones are.
            let weight = [1.0, 2.0, 8.0][usize::from(from >= real) + usize::from(to >= real)];
            self.behind[from].push((to, weight));
            self.before[to].push((from, weight));
        }
    }
}
