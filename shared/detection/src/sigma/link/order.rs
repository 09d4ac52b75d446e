//! The order in which correlations that count correlations are built.

use std::collections::VecDeque;

/// A chain of correlations is no longer than this.
const MAX_DEPTH: usize = 8;
/// The ways from a correlation to those over it, and on from there: each event that it counts carries them all.
const MAX_WAYS: usize = 32;

/// The correlations that can be built, and why the others cannot.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) innermost_first: Vec<usize>,
    pub(super) refused: Vec<(usize, String)>,
}

/// Puts correlations in the order in which they can be built: what counts others after those. `named`: for each the others that
/// it counts, by their places and as it names them; `None` where it could not be read.
pub(super) fn order(named: Vec<Option<Vec<(usize, String)>>>) -> Chain {
    let is_read: Vec<bool> = named.iter().map(Option::is_some).collect();
    let inner: Vec<Vec<(usize, String)>> = named.into_iter().map(Option::unwrap_or_default).collect();
    let mut over: Vec<Vec<usize>> = vec![Vec::new(); inner.len()];
    for (outer, inner) in inner.iter().enumerate() {
        for (index, _) in inner {
            over[*index].push(outer);
        }
    }
    let mut waits: Vec<usize> = inner.iter().map(Vec::len).collect();
    // How long the longest chain down to rules is; `None`: not known yet, or it cannot be built.
    let mut depth: Vec<Option<usize>> = vec![None; inner.len()];
    let mut ready: VecDeque<usize> = (0..inner.len()).filter(|index| waits[*index] == 0).collect();
    let mut chain = Chain::default();
    let mut is_settled = vec![false; inner.len()];
    while let Some(index) = ready.pop_front() {
        is_settled[index] = true;
        if is_read[index] {
            let below = inner[index].iter().map(|(inner, name)| depth[*inner].ok_or(name));
            match below.collect::<Result<Vec<_>, _>>() {
                Err(name) => chain.refused.push((index, missing(name))),
                Ok(below) => match below.into_iter().max().map_or(1, |below| below + 1) {
                    own if own > MAX_DEPTH => {
                        let reason = format!("a chain of more than {MAX_DEPTH} correlations");
                        chain.refused.push((index, reason));
                    }
                    own => {
                        depth[index] = Some(own);
                        chain.innermost_first.push(index);
                    }
                },
            }
        }
        for outer in &over[index] {
            waits[*outer] -= 1;
            if waits[*outer] == 0 {
                ready.push_back(*outer);
            }
        }
    }
    refuse_cycles(&inner, &over, &is_settled, &mut chain);
    bound_ways(&over, &mut chain);
    chain
}

fn missing(name: &str) -> String {
    format!("it counts the correlation `{name}`, which is not loaded")
}

/// What is not settled counts itself by some way, or counts what does.
fn refuse_cycles(inner: &[Vec<(usize, String)>], over: &[Vec<usize>], is_settled: &[bool], chain: &mut Chain) {
    let mut is_left: Vec<bool> = is_settled.iter().map(|settled| !settled).collect();
    let mut counted_by: Vec<usize> = over
        .iter()
        .map(|outer| outer.iter().filter(|outer| is_left[**outer]).count())
        .collect();
    let mut outermost: Vec<usize> = (0..inner.len())
        .filter(|index| is_left[*index] && counted_by[*index] == 0)
        .collect();
    while let Some(index) = outermost.pop() {
        is_left[index] = false;
        let lost = inner[index].iter().find(|(inner, _)| !is_settled[*inner]);
        chain.refused.extend(lost.map(|(_, name)| (index, missing(name))));
        for (inner, _) in &inner[index] {
            counted_by[*inner] -= 1;
            if is_left[*inner] && counted_by[*inner] == 0 {
                outermost.push(*inner);
            }
        }
    }
    for index in (0..inner.len()).filter(|index| is_left[*index]) {
        let name = inner[index].iter().find(|(inner, _)| is_left[*inner]);
        let name = name.map_or("", |(_, name)| name);
        let reason = format!("it counts the correlation `{name}`, which counts it in turn");
        chain.refused.push((index, reason));
    }
}

/// Refuses correlations over others through which more ways would lead than an event can carry.
fn bound_ways(over: &[Vec<usize>], chain: &mut Chain) {
    let mut ways: Vec<usize> = vec![0; over.len()];
    let mut is_in = vec![false; over.len()];
    chain.innermost_first.iter().for_each(|index| is_in[*index] = true);
    for index in chain.innermost_first.iter().rev() {
        for outer in &over[*index] {
            if !is_in[*outer] {
                continue;
            }
            let more = ways[*index].saturating_add(1).saturating_add(ways[*outer]);
            if more > MAX_WAYS {
                is_in[*outer] = false;
                let reason = format!("chains with more than {MAX_WAYS} ways through them");
                chain.refused.push((*outer, reason));
            } else {
                ways[*index] = more;
            }
        }
    }
    // What counts one that is gone is told so when it is built.
    chain.innermost_first.retain(|index| is_in[*index]);
}
