//! The order in which things that depend on each other are made.

use super::validation;
use crate::Result;

/// Names so that each comes after what it depends on, otherwise in the order given.
pub(super) fn order(nodes: &[(&str, &[String])]) -> Result<Vec<String>> {
    let mut done: Vec<String> = Vec::with_capacity(nodes.len());
    let mut waiting: Vec<&(&str, &[String])> = nodes.iter().collect();
    while !waiting.is_empty() {
        let before = done.len();
        waiting.retain(|(name, needs)| {
            let ready = needs.iter().all(|n| done.contains(n));
            if ready {
                done.push((*name).to_owned());
            }
            !ready
        });
        if done.len() == before {
            return Err(validation(format!(
                "Circular dependency between resources: [{}]",
                circle(&waiting).join(", ")
            )));
        }
    }
    Ok(done)
}

/// Of the nodes that cannot be made, those that others of them wait for: the circle, without what merely hangs on it.
fn circle(waiting: &[&(&str, &[String])]) -> Vec<String> {
    let mut names: Vec<&str> = waiting.iter().map(|(name, _)| *name).collect();
    loop {
        let needed: Vec<&str> = names
            .iter()
            .filter(|name| {
                waiting.iter().any(|(other, needs)| names.contains(other) && needs.iter().any(|n| n == *name))
            })
            .copied()
            .collect();
        if needed.len() == names.len() {
            return names.into_iter().map(str::to_owned).collect();
        }
        names = needed;
    }
}
