//! Where along its row a vertex stands: as near to what it is joined with as its neighbours leave room for.
//!
//! With the order given, and the places of the row beside it, the best places of a row are those with the least weighted sum of
//! squares of what lines are off, with neighbours far enough apart. Less the room that all before it take, that is an isotonic
//! regression within bounds, which pooling adjacent violators solves exactly (Barlow et al., "Statistical Inference under Order
//! Restrictions", 1972). Rows are gone through to and fro. At last each trunk is made straight where there is room.

use super::graph::Graph;
use super::rounded;

/// How often all rows are gone through: more moves nothing that one sees.
const SWEEPS: usize = 24;
/// How much a vertex that is joined with nothing there wants to stay.
const REST: f64 = 0.05;

/// The middle of each vertex, in boxes; the first begins at 0.
pub(super) fn along(graph: &Graph, slack: f64) -> Vec<f64> {
    let mut at = vec![0.0; graph.layer.len()];
    let room = |row: &Vec<usize>| row.iter().map(|vertex| graph.size[*vertex]).sum::<f64>();
    let bound = graph.rows.iter().map(room).fold(0.0, f64::max) * slack / 2.0;
    for row in &graph.rows {
        let room = room(row);
        let mut next = -room / 2.0;
        for vertex in row {
            at[*vertex] = next + graph.size[*vertex] / 2.0;
            next += graph.size[*vertex];
        }
    }
    let count = graph.rows.len();
    for sweep in 0..SWEEPS {
        for step in 0..count {
            let row = if sweep % 2 == 0 { step } else { count - 1 - step };
            settle(graph, row, bound, &mut at, |vertex| match (sweep + 2 >= SWEEPS, sweep % 2 == 0) {
                (true, _) => [&graph.before[vertex][..], &graph.behind[vertex]],
                (false, true) => [&graph.before[vertex][..], &[]],
                (false, false) => [&graph.behind[vertex][..], &[]],
            });
        }
    }
    graph.trunks.iter().for_each(|trunk| straighten(graph, trunk, bound, &mut at));
    let first =
        (0..at.len()).map(|vertex| at[vertex] - graph.size[vertex] / 2.0).fold(f64::INFINITY, f64::min);
    at.iter().map(|middle| rounded(middle - first)).collect()
}

/// Places of a row that are best by what each vertex is joined with.
fn settle<'g>(
    graph: &Graph,
    row: usize,
    bound: f64,
    at: &mut [f64],
    joined: impl Fn(usize) -> [&'g [(usize, f64)]; 2],
) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(graph.rows[row].len());
    for vertex in &graph.rows[row] {
        offset += graph.size[*vertex] / 2.0;
        offsets.push(offset);
        // Who is joined with nothing at all stands where there is room in the middle.
        let is_alone = graph.before[*vertex].is_empty() && graph.behind[*vertex].is_empty();
        let (mut pulled, mut weight) = (if is_alone { 0.0 } else { at[*vertex] * REST }, REST);
        for (other, weighs) in joined(*vertex).into_iter().flatten() {
            pulled += at[*other] * weighs;
            weight += weighs;
        }
        let mut block = Block { pulled: pulled - offset * weight, weight, count: 1 };
        while let Some(before) = blocks.pop_if(|before| before.middle() >= block.middle()) {
            block = block.with(&before);
        }
        blocks.push(block);
        offset += graph.size[*vertex] / 2.0;
    }
    let room = offset;
    let middles = blocks.iter().flat_map(|block| std::iter::repeat_n(block.middle(), block.count));
    for ((vertex, offset), middle) in graph.rows[row].iter().zip(offsets).zip(middles) {
        // The best places within bounds are the best ones, moved in from beyond them.
        at[*vertex] = middle.clamp(-bound, (bound - room).max(-bound)) + offset;
    }
}

/// Vertices that touch, and move as one.
struct Block {
    pulled: f64,
    weight: f64,
    count: usize,
}

impl Block {
    fn middle(&self) -> f64 {
        self.pulled / self.weight
    }

    fn with(&self, other: &Block) -> Block {
        Block {
            pulled: self.pulled + other.pulled,
            weight: self.weight + other.weight,
            count: self.count + other.count,
        }
    }
}

/// Puts all of a trunk at one place, if neighbours leave room for one.
fn straighten(graph: &Graph, trunk: &[usize], bound: f64, at: &mut [f64]) {
    let half = trunk.first().map_or(0.0, |vertex| graph.size[*vertex] / 2.0);
    let (mut least, mut most) = (half - bound, bound - half);
    for vertex in trunk {
        let row = &graph.rows[graph.layer[*vertex]];
        let Some(place) = row.iter().position(|other| other == vertex) else { continue };
        let apart = |other: usize| (graph.size[other] + graph.size[*vertex]) / 2.0;
        if let Some(left) = place.checked_sub(1).map(|left| row[left]) {
            least = least.max(at[left] + apart(left));
        }
        if let Some(right) = row.get(place + 1) {
            most = most.min(at[*right] - apart(*right));
        }
    }
    if least <= most {
        let middle = trunk.iter().map(|vertex| at[*vertex]).sum::<f64>() / trunk.len().max(1) as f64;
        trunk.iter().for_each(|vertex| at[*vertex] = middle.clamp(least, most));
    }
}
