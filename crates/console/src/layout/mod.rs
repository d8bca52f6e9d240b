//! Where on the map everything stands, and which way a line takes from one to another without going behind a third.
//!
//! The framework of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures", 1981), with
//! what Gansner, Koutsofios, North and Vo added to it ("A Technique for Drawing Directed Graphs", 1993): [`layers`] turns edges
//! round that close a circle and gives each node the length of the longest way to it; an edge over several layers gets a *virtual
//! node* in each that it passes, so that there is room for it between the boxes; [`order`] mends the order within layers
//! until lines cross rarely; [`place`] moves nodes along their layers so that lines are straight, long ones first.
//!
//! Long edges of one node share their virtual nodes: they are a trunk that the single edges branch from, or come into. A node that
//! calls everybody costs one lane in a layer and not twenty, and what a branch belongs to is told by the one end of its trunk.
//!
//! Pure, and the same for the same nodes and edges in whatever order they come: nothing jumps while one looks.

mod graph;
mod layers;
mod order;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use graph::Graph;

/// How a drawing is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Most boxes in a layer; one with more is broken into several.
    pub(crate) row_max: usize,
    /// How much room a line takes that passes a layer, as a part of what a box takes.
    pub(crate) lane: f64,
    /// How long all may be, as a part of what the fullest layer needs: more room makes straighter lines.
    pub(crate) slack: f64,
}

/// Layers side by side, from the left.
pub(crate) const WIDE: Shape = Shape { row_max: 12, lane: 0.3, slack: 1.5 };
/// Layers below each other, two boxes in each: what a phone has room for.
pub(crate) const TALL: Shape = Shape { row_max: 2, lane: 0.09, slack: 1.0 };

/// Where a node stands, or a line passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// The layer, from 0.
    pub(crate) layer: usize,
    /// Along the layer: the middle, in boxes, from the edge of the drawing.
    pub(crate) at: f64,
}

/// A map that is laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drawing {
    /// How many layers there are.
    pub(crate) layers: usize,
    /// How long the longest layer is, in boxes.
    pub(crate) span: f64,
    /// By name.
    pub(crate) nodes: BTreeMap<String, Place>,
    /// Where each edge passes between its ends, from its beginning to its end. Empty if these are neighbours.
    pub(crate) ways: BTreeMap<(String, String), Vec<Place>>,
}

/// Lays out nodes that are named once each; edges from or to others are left out.
pub(crate) fn draw(nodes: &[String], edges: &BTreeSet<(String, String)>, shape: Shape) -> Drawing {
    let mut names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let known: BTreeMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let ends =
        edges.iter().filter_map(|(from, to)| Some((*known.get(from.as_str())?, *known.get(to.as_str())?)));
    let ends: Vec<(usize, usize)> = ends.filter(|(from, to)| from != to).collect();
    let down = layers::without_circles(names.len(), &ends);
    let layers = layers::layers(names.len(), &down, shape.row_max);
    let mut graph = Graph::new(&layers, &down, shape.lane);
    order::mend(&mut graph);
    let at = place::along(&graph, shape.slack);
    let place = |vertex: usize| Place { layer: graph.layer[vertex], at: at[vertex] };
    let way = |at: usize| {
        let (from, to) = ends[at];
        let mut passed: Vec<Place> = graph.chains[at].iter().map(|vertex| place(*vertex)).collect();
        if down[at] != (from, to) {
            passed.reverse();
        }
        ((names[from].to_owned(), names[to].to_owned()), passed)
    };
    Drawing {
        layers: graph.rows.len(),
        span: rounded((0..at.len()).map(|vertex| at[vertex] + graph.size[vertex] / 2.0).fold(0.0, f64::max)),
        nodes: names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), place(at))).collect(),
        ways: (0..ends.len()).map(way).collect(),
    }
}

/// A thousandth of a box is less than anybody sees.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests;
