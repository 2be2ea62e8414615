//! From the raw tree to the one that runs: paths flattened, predicates put on their steps, `%` tied to the steps that keep its value.

use std::sync::Arc;

use super::ast::{Group, Kind, Lambda, Node, Stage, Term, Tree};
use super::failure::{Failure, Result};
use super::parser::{Raw, RawKind};
use super::value::number_text;

/// More nodes than any expression of sense; `?:` repeats its left side, so few characters can mean many nodes.
const MAX_NODES: usize = 200_000;

pub(super) fn resolve(raw: &Raw) -> Result<Tree> {
    let mut resolver = Resolver { slots: Vec::new(), nodes: 0 };
    let root = resolver.node(raw)?;
    if matches!(root.kind, Kind::Parent(_)) || !root.seeking.is_empty() {
        return Err(Failure::at("S0217", root.position));
    }
    let labels = resolver.slots.iter().map(|slot| format!("!{}", slot.label).into()).collect();
    Ok(Tree { root, labels })
}

struct Resolver {
    slots: Vec<Slot>,
    nodes: usize,
}

/// What one `%` looks for: the step so many levels up.
struct Slot {
    label: usize,
    level: usize,
}

fn push_ancestry(result: &mut Node, value: &Node) {
    result.seeking.extend_from_slice(&value.seeking);
    if let Kind::Parent(slot) = value.kind {
        result.seeking.push(slot);
    }
}

fn as_path(node: Node) -> Node {
    if matches!(node.kind, Kind::Path { .. }) {
        return node;
    }
    let position = node.position;
    Node::new(Kind::Path { steps: vec![node], keep_singleton: false }, position)
}

/// Works on a path's last step, or on the node that is no path.
fn on_last_step<T>(node: &mut Node, work: impl FnOnce(&mut Node, bool) -> T) -> T {
    if let Kind::Path { steps, .. } = &mut node.kind
        && let Some(last) = steps.last_mut()
    {
        return work(last, true);
    }
    work(node, false)
}

fn check_literal(step: &Node) -> Result<()> {
    let value = match &step.kind {
        Kind::Number(number) => number_text(*number),
        Kind::Bool(truth) => truth.to_string(),
        Kind::Null => "null".to_owned(),
        _ => return Ok(()),
    };
    let mut failure = Failure::at("S0213", step.position);
    failure.value = Some(value);
    Err(failure)
}

impl Resolver {
    fn node(&mut self, raw: &Raw) -> Result<Node> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Failure::too_large());
        }
        let mut node = super::on_stack(|| self.unmarked(raw))?;
        node.keep_array |= raw.keep_array;
        Ok(node)
    }

    fn nodes(&mut self, raws: &[Raw]) -> Result<Vec<Node>> {
        raws.iter().map(|raw| self.node(raw)).collect()
    }

    /// Parts whose open `%` are the whole's.
    fn with_parts(&mut self, raws: &[Raw], position: usize, make: impl FnOnce(Vec<Node>) -> Kind) -> Result<Node> {
        let parts = self.nodes(raws)?;
        let mut seeking = Node::new(Kind::Null, position);
        for part in &parts {
            push_ancestry(&mut seeking, part);
        }
        let mut node = Node::new(make(parts), position);
        node.seeking = seeking.seeking;
        Ok(node)
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn unmarked(&mut self, raw: &Raw) -> Result<Node> {
        let position = raw.position;
        let kind = match &raw.kind {
            RawKind::End => return Err(Failure::at("S0207", position)),
            RawKind::Placeholder => return Err(Failure::at("S0201", position).with_token("?")),
            RawKind::Null => Kind::Null,
            RawKind::Bool(truth) => Kind::Bool(*truth),
            RawKind::Number(number) => Kind::Number(*number),
            RawKind::Text(text) => Kind::Text(text.as_str().into()),
            RawKind::Variable(name) => Kind::Variable(name.as_str().into()),
            RawKind::Regex(pattern) => Kind::Regex(Arc::clone(pattern)),
            RawKind::Wildcard => Kind::Wildcard,
            RawKind::Descendants => Kind::Descendants,
            RawKind::Parent => {
                let slot = self.slots.len();
                self.slots.push(Slot { label: slot, level: 1 });
                Kind::Parent(slot)
            }
            RawKind::Name(name) => return Ok(name_path(name, raw)),
            RawKind::Word(word) => return Ok(name_path(word, raw)),
            RawKind::Binary(operator, left, right) => {
                let mut node = self.binary(operator, left, right, position)?;
                if raw.keep_array && *operator == "@" {
                    on_last_step(&mut node, |step, _| step.keep_array = true);
                }
                return Ok(node);
            }
            RawKind::Negate(operand) => return self.negate(operand, position),
            RawKind::Array(items) => return self.with_parts(items, position, Kind::Array),
            RawKind::Object(pairs) => return self.object(pairs, position),
            RawKind::Grouping(left, pairs) => return self.grouping(left, pairs, position),
            RawKind::Sort(left, terms) => return self.sort(left, terms, position),
            RawKind::Condition(condition, then, otherwise) => {
                let condition = self.node(condition)?;
                let then = self.node(then)?;
                let otherwise = otherwise.as_ref().map(|raw| self.node(raw)).transpose()?;
                return Ok(conditional(condition, then, otherwise, position));
            }
            RawKind::Default { exists, left, right } => {
                let mut condition = self.node(left)?;
                if *exists {
                    let procedure = Box::new(Node::new(Kind::Variable("exists".into()), position));
                    let seeking = std::mem::take(&mut condition.seeking);
                    condition = Node::new(Kind::Call { procedure, arguments: vec![condition] }, position);
                    condition.seeking = seeking;
                }
                let (then, otherwise) = (self.node(left)?, self.node(right)?);
                return Ok(conditional(condition, then, Some(otherwise), position));
            }
            RawKind::Block(parts) => return self.block(parts, position),
            RawKind::Call(procedure, arguments) => {
                let procedure = Box::new(self.node(procedure)?);
                return self.with_parts(arguments, position, |arguments| Kind::Call { procedure, arguments });
            }
            RawKind::Partial(procedure, arguments) => {
                let procedure = Box::new(self.node(procedure)?);
                let arguments = arguments
                    .iter()
                    .map(|raw| match raw.kind {
                        RawKind::Placeholder => Ok(None),
                        _ => self.node(raw).map(Some),
                    })
                    .collect::<Result<_>>()?;
                Kind::Partial { procedure, arguments }
            }
            RawKind::Lambda(parameters, signature, body) => Kind::Lambda(Box::new(Lambda {
                parameters: parameters.iter().map(|name| name.as_str().into()).collect(),
                signature: signature.clone(),
                body: tail_call(self.node(body)?),
                thunk: false,
            })),
            RawKind::Transform(pattern, update, delete) => Kind::Transform {
                pattern: Box::new(self.node(pattern)?),
                update: Box::new(self.node(update)?),
                delete: delete.as_ref().map(|raw| self.node(raw).map(Box::new)).transpose()?,
            },
        };
        Ok(Node::new(kind, position))
    }

    fn binary(&mut self, operator: &'static str, left: &Raw, right: &Raw, position: usize) -> Result<Node> {
        match operator {
            "." => self.path(left, right),
            "[" => self.filter(left, right, position),
            ":=" => {
                let RawKind::Variable(name) = &left.kind else { return Err(Failure::at("S0212", left.position)) };
                let value = self.node(right)?;
                let mut node = Node::new(Kind::Null, position);
                push_ancestry(&mut node, &value);
                node.kind = Kind::Bind { name: name.as_str().into(), value: Box::new(value) };
                Ok(node)
            }
            "@" | "#" => {
                let RawKind::Variable(name) = &right.kind else { return Err(Failure::at("S0214", right.position)) };
                self.binding(operator, left, name, position)
            }
            "~>" => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                let keep_array = left.keep_array || right.keep_array;
                let mut node = Node::new(Kind::Apply { left: Box::new(left), right: Box::new(right) }, position);
                node.keep_array = keep_array;
                Ok(node)
            }
            _ => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                let mut node = Node::new(Kind::Null, position);
                push_ancestry(&mut node, &left);
                push_ancestry(&mut node, &right);
                node.kind = Kind::Binary { operator, left: Box::new(left), right: Box::new(right) };
                Ok(node)
            }
        }
    }

    fn path(&mut self, left: &Raw, right: &Raw) -> Result<Node> {
        let left = self.node(left)?;
        let parent = if let Kind::Parent(slot) = left.kind { Some(slot) } else { None };
        let mut result = as_path(left);
        result.seeking.extend(parent);
        let mut rest = self.node(right)?;
        let Kind::Path { steps, keep_singleton } = &mut result.kind else { return Ok(result) };
        if let Kind::Path { steps: more, .. } = rest.kind {
            steps.extend(more);
        } else {
            if !rest.predicate.is_empty() {
                rest.stages = std::mem::take(&mut rest.predicate);
            }
            steps.push(rest);
        }
        for step in steps.iter_mut() {
            check_literal(step)?;
            if let Kind::Text(text) = &step.kind {
                step.kind = Kind::Name(Arc::clone(text));
            }
        }
        *keep_singleton |= steps.iter().any(|step| step.keep_array);
        let last = steps.len() - 1;
        for index in [0, last] {
            if matches!(steps[index].kind, Kind::Array(_)) {
                steps[index].cons_array = true;
            }
        }
        self.resolve_ancestry(&mut result)?;
        Ok(result)
    }

    fn filter(&mut self, left: &Raw, right: &Raw, position: usize) -> Result<Node> {
        let mut result = self.node(left)?;
        let filter = self.node(right)?;
        on_last_step(&mut result, |step, in_path| {
            if step.group.is_some() {
                return Err(Failure::at("S0209", position));
            }
            for &slot in &filter.seeking {
                if self.slots[slot].level == 1 {
                    self.seek_parent(step, slot)?;
                } else {
                    self.slots[slot].level -= 1;
                }
            }
            if !filter.seeking.is_empty() {
                push_ancestry(step, &filter);
            }
            let stages = if in_path { &mut step.stages } else { &mut step.predicate };
            stages.push(Stage::Filter(filter));
            Ok(())
        })?;
        Ok(result)
    }

    fn binding(&mut self, operator: &str, left: &Raw, name: &str, position: usize) -> Result<Node> {
        let mut result = self.node(left)?;
        if operator == "@" {
            on_last_step(&mut result, |step, _| {
                if !step.stages.is_empty() || !step.predicate.is_empty() {
                    return Err(Failure::at("S0215", position));
                }
                if matches!(step.kind, Kind::Sort(_)) {
                    return Err(Failure::at("S0216", position));
                }
                step.focus = Some(name.into());
                step.tuple = true;
                Ok(())
            })?;
            return Ok(result);
        }
        if !matches!(result.kind, Kind::Path { .. }) {
            result.stages.append(&mut result.predicate);
            result = as_path(result);
        }
        on_last_step(&mut result, |step, _| {
            if step.stages.is_empty() {
                step.index = Some(name.into());
            } else {
                step.stages.push(Stage::Index(name.into()));
            }
            step.tuple = true;
        });
        Ok(result)
    }

    fn negate(&mut self, operand: &Raw, position: usize) -> Result<Node> {
        let mut operand = self.node(operand)?;
        if let Kind::Number(number) = &mut operand.kind {
            *number = -*number;
            return Ok(operand);
        }
        let mut node = Node::new(Kind::Null, position);
        push_ancestry(&mut node, &operand);
        node.kind = Kind::Negate(Box::new(operand));
        Ok(node)
    }

    fn pairs(&mut self, pairs: &[(Raw, Raw)]) -> Result<Vec<(Node, Node)>> {
        pairs.iter().map(|(key, value)| Ok((self.node(key)?, self.node(value)?))).collect()
    }

    fn object(&mut self, pairs: &[(Raw, Raw)], position: usize) -> Result<Node> {
        let pairs = self.pairs(pairs)?;
        let mut node = Node::new(Kind::Null, position);
        for (key, value) in &pairs {
            push_ancestry(&mut node, key);
            push_ancestry(&mut node, value);
        }
        node.kind = Kind::Object(Group { pairs, position });
        Ok(node)
    }

    fn grouping(&mut self, left: &Raw, pairs: &[(Raw, Raw)], position: usize) -> Result<Node> {
        let mut result = self.node(left)?;
        if result.group.is_some() {
            return Err(Failure::at("S0210", position));
        }
        result.group = Some(Group { pairs: self.pairs(pairs)?, position });
        Ok(result)
    }

    fn sort(&mut self, left: &Raw, terms: &[(bool, Raw)], position: usize) -> Result<Node> {
        let mut result = as_path(self.node(left)?);
        let mut step = Node::new(Kind::Null, position);
        let mut sorted = Vec::new();
        for (descending, raw) in terms {
            let expression = self.node(raw)?;
            push_ancestry(&mut step, &expression);
            sorted.push(Term { descending: *descending, expression });
        }
        step.kind = Kind::Sort(sorted);
        if let Kind::Path { steps, .. } = &mut result.kind {
            steps.push(step);
        }
        self.resolve_ancestry(&mut result)?;
        Ok(result)
    }

    fn block(&mut self, parts: &[Raw], position: usize) -> Result<Node> {
        let mut node = self.with_parts(parts, position, Kind::Block)?;
        if let Kind::Block(parts) = &node.kind {
            node.cons_array = parts
                .iter()
                .any(|part| part.cons_array || matches!(&part.kind, Kind::Path { steps, .. } if steps[0].cons_array));
        }
        Ok(node)
    }

    fn resolve_ancestry(&mut self, path: &mut Node) -> Result<()> {
        let Kind::Path { steps, .. } = &mut path.kind else { return Ok(()) };
        let Some(last) = steps.last() else { return Ok(()) };
        let mut slots = last.seeking.clone();
        if let Kind::Parent(slot) = last.kind {
            slots.push(slot);
        }
        for slot in slots {
            let mut next = steps.len() - 1;
            while self.slots[slot].level > 0 {
                if next == 0 {
                    path.seeking.push(slot);
                    break;
                }
                next -= 1;
                // Several context variables in a row are bound on one level.
                while next > 0 && steps[next].focus.is_some() && steps[next - 1].focus.is_some() {
                    next -= 1;
                }
                self.seek_parent(&mut steps[next], slot)?;
            }
        }
        Ok(())
    }

    fn seek_parent(&mut self, node: &mut Node, slot: usize) -> Result<()> {
        match &mut node.kind {
            Kind::Name(_) | Kind::Wildcard => {
                self.slots[slot].level -= 1;
                if self.slots[slot].level == 0 {
                    if let Some(known) = node.ancestor {
                        self.slots[slot].label = self.slots[known].label;
                    }
                    node.ancestor = Some(slot);
                    node.tuple = true;
                }
            }
            Kind::Parent(_) => self.slots[slot].level += 1,
            Kind::Block(parts) => {
                if let Some(last) = parts.last_mut() {
                    node.tuple = true;
                    self.seek_parent(last, slot)?;
                }
            }
            Kind::Path { steps, .. } => {
                node.tuple = true;
                let mut steps = steps.iter_mut().rev();
                if let Some(last) = steps.next() {
                    self.seek_parent(last, slot)?;
                }
                for step in steps {
                    if self.slots[slot].level == 0 {
                        break;
                    }
                    self.seek_parent(step, slot)?;
                }
            }
            _ => return Err(Failure::at("S0217", node.position)),
        }
        Ok(())
    }
}

fn name_path(name: &str, raw: &Raw) -> Node {
    let mut step = Node::new(Kind::Name(name.into()), raw.position);
    step.keep_array = raw.keep_array;
    Node::new(Kind::Path { steps: vec![step], keep_singleton: raw.keep_array }, raw.position)
}

fn conditional(condition: Node, then: Node, otherwise: Option<Node>, position: usize) -> Node {
    let mut node = Node::new(Kind::Null, position);
    push_ancestry(&mut node, &condition);
    push_ancestry(&mut node, &then);
    if let Some(otherwise) = &otherwise {
        push_ancestry(&mut node, otherwise);
    }
    node.kind =
        Kind::Condition { condition: Box::new(condition), then: Box::new(then), otherwise: otherwise.map(Box::new) };
    node
}

/// Calls in tail position are handed back to whoever called, so that they cost no stack.
fn tail_call(mut node: Node) -> Node {
    match node.kind {
        Kind::Call { .. } if node.predicate.is_empty() => {
            let position = node.position;
            let lambda = Lambda { parameters: Vec::new(), signature: None, body: node, thunk: true };
            Node::new(Kind::Lambda(Box::new(lambda)), position)
        }
        Kind::Condition { condition, then, otherwise } => {
            node.kind = Kind::Condition {
                condition,
                then: Box::new(tail_call(*then)),
                otherwise: otherwise.map(|otherwise| Box::new(tail_call(*otherwise))),
            };
            node
        }
        Kind::Block(mut parts) => {
            if let Some(last) = parts.pop() {
                parts.push(tail_call(last));
            }
            node.kind = Kind::Block(parts);
            node
        }
        _ => node,
    }
}
