//! Which variables an expression reads from outside.

use std::sync::Arc;

use super::ast::{Group, Kind, Node, Stage};

pub(super) fn of(root: &Node) -> Vec<Vec<String>> {
    let mut walk = Walk { bound: Vec::new(), found: Vec::new() };
    walk.node(root);
    walk.found
}

struct Walk {
    bound: Vec<Arc<str>>,
    found: Vec<Vec<String>>,
}

impl Walk {
    fn read(&mut self, name: &str, behind: Vec<String>) {
        if name.is_empty() || name == "$" || self.bound.iter().any(|bound| **bound == *name) {
            return;
        }
        let mut path = vec![name.to_owned()];
        path.extend(behind);
        if !self.found.contains(&path) {
            self.found.push(path);
        }
    }

    fn all<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        nodes.into_iter().for_each(|node| self.node(node));
    }

    fn pairs(&mut self, group: &Group) {
        self.all(group.pairs.iter().flat_map(|(key, value)| [key, value]));
    }

    fn stages(&mut self, stages: &[Stage]) {
        for stage in stages {
            match stage {
                Stage::Filter(filter) => self.node(filter),
                Stage::Index(name) => self.bound.push(Arc::clone(name)),
            }
        }
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::Variable(name) => self.read(name, Vec::new()),
            Kind::Path { steps, .. } => self.path(steps),
            Kind::Binary { left, right, .. } | Kind::Apply { left, right } => self.all([&**left, &**right]),
            Kind::Negate(operand) => self.node(operand),
            Kind::Array(items) => self.all(items),
            Kind::Object(group) => self.pairs(group),
            Kind::Condition { condition, then, otherwise } => {
                self.all([&**condition, &**then]);
                self.all(otherwise.as_deref());
            }
            Kind::Block(parts) => {
                let depth = self.bound.len();
                self.all(parts);
                self.bound.truncate(depth);
            }
            Kind::Bind { name, value } => {
                // A function may call itself by its name.
                let function = matches!(value.kind, Kind::Lambda(_));
                if function {
                    self.bound.push(Arc::clone(name));
                }
                self.node(value);
                if !function {
                    self.bound.push(Arc::clone(name));
                }
            }
            Kind::Call { procedure, arguments } => {
                self.callee(procedure);
                self.all(arguments);
            }
            Kind::Partial { procedure, arguments } => {
                self.callee(procedure);
                self.all(arguments.iter().flatten());
            }
            Kind::Lambda(lambda) => {
                let depth = self.bound.len();
                self.bound.extend(lambda.parameters.iter().cloned());
                self.node(&lambda.body);
                self.bound.truncate(depth);
            }
            Kind::Transform { pattern, update, delete } => {
                self.all([&**pattern, &**update]);
                self.all(delete.as_deref());
            }
            Kind::Sort(terms) => self.all(terms.iter().map(|term| &term.expression)),
            _ => {}
        }
        self.stages(&node.predicate);
        if let Some(group) = &node.group {
            self.pairs(group);
        }
    }

    /// The functions of the language are no variables.
    fn callee(&mut self, procedure: &Node) {
        if !matches!(&procedure.kind, Kind::Variable(name) if super::functions::find(name).is_some()) {
            self.node(procedure);
        }
    }

    fn path(&mut self, steps: &[Node]) {
        let mut rest = steps;
        if let Some((first, behind)) = steps.split_first()
            && let Kind::Variable(name) = &first.kind
        {
            let plain = first.stages.is_empty() && first.predicate.is_empty();
            let mut names = Vec::new();
            for step in if plain { behind } else { &[] } {
                let Kind::Name(name) = &step.kind else { break };
                names.push(name.to_string());
                if !step.stages.is_empty() {
                    break;
                }
            }
            self.read(name, names);
            self.stages(&first.predicate);
            self.stages(&first.stages);
            rest = behind;
        }
        for step in rest {
            self.bound.extend(step.focus.clone());
            self.bound.extend(step.index.clone());
            self.node(step);
            self.stages(&step.stages);
        }
    }
}
