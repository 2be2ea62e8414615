//! The tree of an expression, after paths have been flattened and `%` has found its steps.

use std::sync::Arc;

use super::pattern::Pattern;
use super::signature::Signature;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// The label under which each `%` finds its value.
    pub(super) labels: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) position: usize,
    pub(super) keep_array: bool,
    /// Filters on the result.
    pub(super) predicate: Vec<Stage>,
    /// Filters on a path's step.
    pub(super) stages: Vec<Stage>,
    pub(super) group: Option<Group>,
    pub(super) focus: Option<Arc<str>>,
    pub(super) index: Option<Arc<str>>,
    pub(super) ancestor: Option<usize>,
    pub(super) tuple: bool,
    pub(super) cons_array: bool,
    /// `%` below that have not found their step yet.
    pub(super) seeking: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Stage {
    Filter(Node),
    Index(Arc<str>),
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) pairs: Vec<(Node, Node)>,
    pub(super) position: usize,
}

#[derive(Debug)]
pub(super) struct Lambda {
    pub(super) parameters: Vec<Arc<str>>,
    pub(super) signature: Option<Signature>,
    pub(super) body: Node,
    /// A call in tail position, kept for the caller to make.
    pub(super) thunk: bool,
}

#[derive(Debug)]
pub(super) struct Term {
    pub(super) descending: bool,
    pub(super) expression: Node,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text(Arc<str>),
    Name(Arc<str>),
    Variable(Arc<str>),
    Regex(Arc<Pattern>),
    Wildcard,
    Descendants,
    /// `%`, by its slot.
    Parent(usize),
    Path {
        steps: Vec<Node>,
        keep_singleton: bool,
    },
    Binary {
        operator: &'static str,
        left: Box<Node>,
        right: Box<Node>,
    },
    Negate(Box<Node>),
    Array(Vec<Node>),
    Object(Group),
    Condition {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    Block(Vec<Node>),
    Bind {
        name: Arc<str>,
        value: Box<Node>,
    },
    Call {
        procedure: Box<Node>,
        arguments: Vec<Node>,
    },
    /// Nothing for a `?`.
    Partial {
        procedure: Box<Node>,
        arguments: Vec<Option<Node>>,
    },
    Lambda(Box<Lambda>),
    Apply {
        left: Box<Node>,
        right: Box<Node>,
    },
    Transform {
        pattern: Box<Node>,
        update: Box<Node>,
        delete: Option<Box<Node>>,
    },
    Sort(Vec<Term>),
}

impl Node {
    pub(super) fn new(kind: Kind, position: usize) -> Self {
        Self {
            kind,
            position,
            keep_array: false,
            predicate: Vec::new(),
            stages: Vec::new(),
            group: None,
            focus: None,
            index: None,
            ancestor: None,
            tuple: false,
            cons_array: false,
            seeking: Vec::new(),
        }
    }

    /// What messages call it when it is called and is no function.
    pub(super) fn spoken(&self) -> Option<&str> {
        match &self.kind {
            Kind::Path { steps, .. } => steps.first().and_then(Self::spoken),
            Kind::Variable(name) | Kind::Name(name) | Kind::Text(name) => Some(name),
            _ => None,
        }
    }
}
