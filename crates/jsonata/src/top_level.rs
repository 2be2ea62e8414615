//! Which names an expression reads of a context item that is not there: AWS refuses them when the definition is made.

use super::ast::{Group, Kind, Node};

pub(super) fn of(root: &Node) -> Vec<String> {
    let mut found = Vec::new();
    node(root, &mut found);
    found
}

fn all<'n>(nodes: impl IntoIterator<Item = &'n Node>, found: &mut Vec<String>) {
    nodes.into_iter().for_each(|each| node(each, found));
}

/// A node that is evaluated with no context item. What stands behind a path's first step, in filters and in functions has one, or
/// may have.
fn node(at: &Node, found: &mut Vec<String>) {
    match &at.kind {
        Kind::Name(name) => read(name, found),
        Kind::Variable(name) if **name == *"$" => read("$$", found),
        Kind::Path { steps, .. } => all(steps.first(), found),
        Kind::Binary { left, right, .. } => all([&**left, &**right], found),
        Kind::Apply { left, .. } => node(left, found),
        Kind::Negate(operand) => node(operand, found),
        Kind::Array(items) | Kind::Block(items) => all(items, found),
        Kind::Object(Group { pairs, .. }) => all(pairs.iter().flat_map(|(key, value)| [key, value]), found),
        Kind::Condition { condition, then, otherwise } => {
            all([&**condition, &**then], found);
            all(otherwise.as_deref(), found);
        }
        Kind::Bind { value, .. } => node(value, found),
        Kind::Call { arguments, .. } => all(arguments, found),
        Kind::Partial { arguments, .. } => all(arguments.iter().flatten(), found),
        _ => {}
    }
}

fn read(name: &str, found: &mut Vec<String>) {
    if !found.iter().any(|known| known == name) {
        found.push(name.to_owned());
    }
}
