//! UpdateExpression: SET, REMOVE, ADD and DELETE. Right-hand sides see the item as it was.

use crate::Invalid;
use crate::value::{Item, Value};

use super::lexer::Token;
use super::parser::{
    Parser, is_update_function, no_update_function, not_allowed_this_way, redundant_parentheses, wrong_operand_count,
};
use super::path::{Element, Path, check_apart};
use super::placeholders::Placeholders;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Update {
    /// It was not written as an expression, but as `AttributeUpdates`.
    legacy: bool,
    set: Vec<(Path, Term)>,
    remove: Vec<Path>,
    add: Vec<(Path, Value)>,
    delete: Vec<(Path, Value)>,
}

/// The right-hand side of a SET.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Path(Path),
    Value(Value),
    Plus(Box<Term>, Box<Term>),
    Minus(Box<Term>, Box<Term>),
    IfNotExists(Path, Box<Term>),
    ListAppend(Box<Term>, Box<Term>),
}

impl Update {
    pub(crate) fn parse(source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        Self::read(source, placeholders).map_err(|error| error.within("UpdateExpression"))
    }

    fn read(source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        let mut parser = Parser::new(source, placeholders)?;
        let mut update = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        while !parser.tokens.at_end() {
            let section = ["SET", "REMOVE", "ADD", "DELETE"].into_iter().find(|word| parser.tokens.is_keyword(word));
            let Some(section) = section else { return Err(parser.tokens.syntax_error()) };
            parser.tokens.next();
            if seen.contains(&section) {
                return Err(Invalid::new(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                )));
            }
            seen.push(section);
            loop {
                let path = parser.path()?;
                match section {
                    "SET" => {
                        parser.tokens.expect("=")?;
                        let term = sum(&mut parser)?;
                        update.set.push((path, term));
                    }
                    "REMOVE" => update.remove.push(path),
                    "ADD" => {
                        let value = parser.value()?;
                        if !matches!(value, Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_)) {
                            return Err(wrong_operand("ADD", &value, "ALLOWED_FOR_ADD_OPERAND"));
                        }
                        update.add.push((path, value));
                    }
                    _ => {
                        let value = parser.value()?;
                        if !matches!(value, Value::Ss(_) | Value::Ns(_) | Value::Bs(_)) {
                            return Err(wrong_operand("DELETE", &value, "ALLOWED_FOR_DELETE_OPERAND"));
                        }
                        update.delete.push((path, value));
                    }
                }
                if !parser.tokens.take(",") {
                    break;
                }
            }
        }
        check_apart(&update.paths())?;
        Ok(update)
    }

    pub(crate) fn legacy(self) -> Self {
        Self { legacy: true, ..self }
    }

    pub(crate) fn set(&mut self, path: Path, value: Value) {
        self.set.push((path, Term::Value(value)));
    }

    pub(crate) fn set_term(&mut self, path: Path, term: Term) {
        self.set.push((path, term));
    }

    /// Fails when two of its places cannot be changed at once.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_apart(&self.paths())
    }

    pub(crate) fn remove(&mut self, path: Path) {
        self.remove.push(path);
    }

    pub(crate) fn add(&mut self, path: Path, value: Value) {
        self.add.push((path, value));
    }

    pub(crate) fn delete(&mut self, path: Path, value: Value) {
        self.delete.push((path, value));
    }

    /// Whether it only takes away: of an item that does not exist it makes none.
    pub(crate) fn only_removes(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && !(self.remove.is_empty() && self.delete.is_empty())
    }

    /// The places that the update touches, in the order written by section.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let add = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        set.chain(&self.remove).chain(add).collect()
    }

    /// The item after the update; `item` is it before, or only its key when there was none.
    pub(crate) fn apply(&self, item: &Item) -> Result<Item, Invalid> {
        let mut sets = Vec::with_capacity(self.set.len() + self.add.len() + self.delete.len());
        for (path, term) in &self.set {
            sets.push((path, term.value(item)?));
        }
        let mismatch = |error| if self.legacy { Invalid::new("Type mismatch for attribute to update") } else { error };
        for (path, value) in &self.add {
            sets.push((path, added(path.get(item), value).map_err(mismatch)?));
        }
        let mut removes: Vec<&Path> = self.remove.iter().collect();
        for (path, value) in &self.delete {
            match deleted(path.get(item), value).map_err(mismatch)? {
                Deleted::Rest(rest) => sets.push((path, rest)),
                Deleted::Nothing => {}
                Deleted::Everything => removes.push(path),
            }
        }
        // Lists grow from low places to high and shrink from high to low, so that each index means what it said.
        sets.sort_by_key(|(path, _)| *path);
        removes.sort_by_key(|path| std::cmp::Reverse(*path));
        let mut new = item.clone();
        for (path, value) in sets {
            put_at(&mut new, path, value)?;
        }
        for path in removes {
            remove(&mut new, path)?;
        }
        Ok(new)
    }
}

fn wrong_operand(operator: &str, value: &Value, allowed: &str) -> Invalid {
    Invalid::new(format!(
        "Incorrect operand type for operator or function; operator: {operator}, operand type: {}, typeSet: {allowed}",
        value.long_type_name()
    ))
}

fn sum(parser: &mut Parser<'_>) -> Result<Term, Invalid> {
    let left = term(parser)?;
    let minus = parser.tokens.take("-");
    if !minus && !parser.tokens.take("+") {
        return Ok(left);
    }
    parser.operator()?;
    let right = term(parser)?;
    for side in [&left, &right] {
        no_list_append(side)?;
        if let Term::Value(value) = side
            && !matches!(value, Value::N(_))
        {
            return Err(Invalid::new(format!(
                "Incorrect operand type for operator or function; operator or function: {}, operand type: {}",
                if minus { "-" } else { "+" },
                value.type_name()
            )));
        }
    }
    let (left, right) = (Box::new(left), Box::new(right));
    Ok(if minus { Term::Minus(left, right) } else { Term::Plus(left, right) })
}

fn term(parser: &mut Parser<'_>) -> Result<Term, Invalid> {
    if parser.tokens.take("(") {
        if parser.tokens.is_symbol("(")
            && parser
                .tokens
                .closed_at(parser.tokens.place())
                .is_some_and(|after| parser.tokens.closed_at(parser.tokens.place() - 1) == Some(after + 1))
        {
            return Err(redundant_parentheses());
        }
        let inner = parser.nested(sum)?;
        parser.tokens.expect(")")?;
        return Ok(inner);
    }
    if matches!(parser.tokens.peek(), Token::Value(_)) {
        return Ok(Term::Value(parser.value()?));
    }
    let Some(function) = parser.function_ahead() else { return Ok(Term::Path(parser.path()?)) };
    if !is_update_function(&function) {
        return Err(no_update_function(&function));
    }
    parser.operator()?;
    parser.tokens.next();
    let arguments = parser.nested(|parser| parser.arguments(term))?;
    arguments.iter().try_for_each(no_list_append)?;
    let count = arguments.len();
    let Ok([first, second]) = <[Term; 2]>::try_from(arguments) else {
        return Err(wrong_operand_count(&function, count));
    };
    if function == "list_append" {
        for side in [&first, &second] {
            if let Term::Value(value) = side
                && !matches!(value, Value::L(_))
            {
                return Err(Invalid::new(format!(
                    "Incorrect operand type for operator or function; operator or function: list_append, operand \
                     type: {}",
                    value.type_name()
                )));
            }
        }
        return Ok(Term::ListAppend(Box::new(first), Box::new(second)));
    }
    match first {
        Term::Path(path) => Ok(Term::IfNotExists(path, Box::new(second))),
        _ => Err(Invalid::new("Operator or function requires a document path; operator or function: if_not_exists")),
    }
}

/// Lists are appended only as the whole of what is set, as the engine behind DynamoDB Local 2.6 has it.
fn no_list_append(side: &Term) -> Result<(), Invalid> {
    if matches!(side, Term::ListAppend(..)) { Err(not_allowed_this_way("list_append")) } else { Ok(()) }
}

impl Term {
    fn value(&self, item: &Item) -> Result<Value, Invalid> {
        match self {
            Self::Path(path) => path.get(item).cloned().ok_or_else(|| {
                Invalid::new("The provided expression refers to an attribute that does not exist in the item")
            }),
            Self::Value(value) => Ok(value.clone()),
            Self::Plus(left, right) => match (left.value(item)?, right.value(item)?) {
                (Value::N(a), Value::N(b)) => Ok(Value::N(a.add(b)?)),
                _ => Err(wrong_data_type()),
            },
            Self::Minus(left, right) => match (left.value(item)?, right.value(item)?) {
                (Value::N(a), Value::N(b)) => Ok(Value::N(a.subtract(b)?)),
                _ => Err(wrong_data_type()),
            },
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => Ok(value.clone()),
                None => otherwise.value(item),
            },
            Self::ListAppend(left, right) => match (left.value(item)?, right.value(item)?) {
                (Value::L(mut list), Value::L(more)) => {
                    list.extend(more);
                    Ok(Value::L(list))
                }
                _ => Err(wrong_data_type()),
            },
        }
    }
}

fn wrong_data_type() -> Invalid {
    Invalid::new("An operand in the update expression has an incorrect data type")
}

fn wrong_path() -> Invalid {
    Invalid::new("The document path provided in the update expression is invalid for update")
}

fn added(old: Option<&Value>, more: &Value) -> Result<Value, Invalid> {
    match (old, more) {
        (None, more) => Ok(more.clone()),
        (Some(Value::N(old)), Value::N(more)) => Ok(Value::N(old.add(*more)?)),
        (Some(Value::Ss(old)), Value::Ss(more)) => Ok(Value::Ss(old.union(more).cloned().collect())),
        (Some(Value::Ns(old)), Value::Ns(more)) => Ok(Value::Ns(old.union(more).copied().collect())),
        (Some(Value::Bs(old)), Value::Bs(more)) => Ok(Value::Bs(old.union(more).cloned().collect())),
        // Only `AttributeUpdates` gets here with a list.
        (Some(Value::L(old)), Value::L(more)) => Ok(Value::L(old.iter().chain(more).cloned().collect())),
        _ => Err(wrong_data_type()),
    }
}

enum Deleted {
    Rest(Value),
    Nothing,
    Everything,
}

fn deleted(old: Option<&Value>, less: &Value) -> Result<Deleted, Invalid> {
    let rest = match (old, less) {
        (None, _) => return Ok(Deleted::Nothing),
        (Some(Value::Ss(old)), Value::Ss(less)) => Value::Ss(old.difference(less).cloned().collect()),
        (Some(Value::Ns(old)), Value::Ns(less)) => Value::Ns(old.difference(less).copied().collect()),
        (Some(Value::Bs(old)), Value::Bs(less)) => Value::Bs(old.difference(less).cloned().collect()),
        _ => return Err(wrong_data_type()),
    };
    Ok(if rest.length() == Some(0) { Deleted::Everything } else { Deleted::Rest(rest) })
}

/// The value that holds the last element of the path.
fn parent<'a>(item: &'a mut Item, path: &Path) -> Result<&'a mut Value, Invalid> {
    let mut value = item.get_mut(&path.attribute).ok_or_else(wrong_path)?;
    let above = path.rest.len().saturating_sub(1);
    for element in &path.rest[..above] {
        value = match (element, value) {
            (Element::Attribute(name), Value::M(map)) => map.get_mut(name),
            (Element::Index(index), Value::L(list)) => list.get_mut(*index),
            _ => None,
        }
        .ok_or_else(wrong_path)?;
    }
    Ok(value)
}

fn put_at(item: &mut Item, path: &Path, new: Value) -> Result<(), Invalid> {
    let Some(last) = path.rest.last() else {
        item.insert(path.attribute.clone(), new);
        return Ok(());
    };
    match (last, parent(item, path)?) {
        (Element::Attribute(name), Value::M(map)) => {
            map.insert(name.clone(), new);
        }
        (Element::Index(index), Value::L(entries)) => match entries.get_mut(*index) {
            Some(place) => *place = new,
            None => entries.push(new),
        },
        _ => return Err(wrong_path()),
    }
    Ok(())
}

fn remove(item: &mut Item, path: &Path) -> Result<(), Invalid> {
    let Some(last) = path.rest.last() else {
        item.remove(&path.attribute);
        return Ok(());
    };
    match (last, parent(item, path)?) {
        (Element::Attribute(name), Value::M(map)) => {
            map.remove(name);
        }
        (Element::Index(index), Value::L(entries)) => {
            if *index < entries.len() {
                entries.remove(*index);
            }
        }
        _ => return Err(wrong_path()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders() -> Placeholders {
        let values = serde_json::from_str(
            r#"{":one":{"N":"1"},":l":{"L":[{"S":"new"}]},":x":{"S":"x"},":ss":{"SS":["a"]},":all":{"SS":["a","b"]}}"#,
        )
        .unwrap();
        Placeholders::new(None, Some(values), &[("UpdateExpression", true)]).unwrap()
    }

    fn apply(source: &str) -> Result<String, Invalid> {
        let item: Item = serde_json::from_str(
            r#"{"id":{"S":"i"},"n":{"N":"5"},"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"}]},"m":{"M":{"k":{"N":"1"}}},"t":{"SS":["a","b"]}}"#,
        )
        .unwrap();
        let new = Update::parse(source, &placeholders())?.apply(&item)?;
        let changed: Item = new
            .iter()
            .filter(|(name, value)| item.get(*name) != Some(value))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        let gone: Vec<&String> = item.keys().filter(|name| !new.contains_key(*name)).collect();
        Ok(format!("{} {}", serde_json::to_string(&changed).unwrap(), serde_json::to_string(&gone).unwrap()))
    }

    #[test]
    fn applies() {
        for (source, expected) in [
            ("SET n = n + :one", r#"{"n":{"N":"6"}} []"#),
            ("set n = :one - n", r#"{"n":{"N":"-4"}} []"#),
            ("SET a = if_not_exists(a, :one), n = if_not_exists(n, :one)", r#"{"a":{"N":"1"}} []"#),
            ("SET n = if_not_exists(n, :one) + :one", r#"{"n":{"N":"6"}} []"#),
            ("SET l = list_append(l, :l)", r#"{"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"},{"S":"new"}]}} []"#),
            (
                "SET l[7] = :one, m.z = :x",
                r#"{"l":{"L":[{"N":"0"},{"N":"1"},{"N":"2"},{"N":"1"}]},"m":{"M":{"k":{"N":"1"},"z":{"S":"x"}}}} []"#,
            ),
            ("REMOVE l[0], l[2], n", r#"{"l":{"L":[{"N":"1"}]}} ["n"]"#),
            ("ADD n :one, fresh :one, t :ss", r#"{"fresh":{"N":"1"},"n":{"N":"6"}} []"#),
            ("DELETE t :ss", r#"{"t":{"SS":["b"]}} []"#),
            ("DELETE t :all, nope :all", r#"{} ["t"]"#),
            ("SET a = n, n = :one REMOVE m", r#"{"a":{"N":"5"},"n":{"N":"1"}} ["m"]"#),
        ] {
            assert_eq!(apply(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn refuses() {
        for (source, message) in [
            ("SET a = nope", "The provided expression refers to an attribute that does not exist in the item"),
            ("SET nope.a = :one", "The document path provided in the update expression is invalid for update"),
            ("SET n = id + :one", "An operand in the update expression has an incorrect data type"),
            ("ADD id :one", "An operand in the update expression has an incorrect data type"),
            (
                "ADD n :x",
                "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
            ),
            (
                "SET a = :one SET b = :one",
                r#"Invalid UpdateExpression: The "SET" section can only be used once in an update expression;"#,
            ),
            (
                "SET a = :one REMOVE a.b",
                "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
            ),
            (
                "SET a = size(n)",
                "Invalid UpdateExpression: The function is not allowed in an update expression; function: size",
            ),
            ("PUTT a = :one", r#"Invalid UpdateExpression: Syntax error; token: "PUTT", near: "PUTT a""#),
        ] {
            assert_eq!(apply(source).unwrap_err().0, message, "{source}");
        }
    }
}
