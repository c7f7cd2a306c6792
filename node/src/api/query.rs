//! The language of `q`: comparisons joined by `AND`, `OR`, `NOT` and parentheses.
//!
//! ```text
//! expression = and { "OR" and }
//! and        = not { "AND" not }
//! not        = "NOT" not | "(" expression ")" | comparison
//! comparison = field operator value
//! operator   = "=" "!=" ">" "<" ">=" "<="
//! ```
//!
//! A comparison is split at its first operator, so `cluster=cluster-a=b` compares
//! with `cluster-a=b`. A value may stand in double quotes; `*` in a bare value of
//! `=` or `!=` stands for any text. `1GB`, `64MiB` and the like are numbers. Two
//! numbers compare as numbers, all else as text; a list matches if an item does;
//! a field that is absent only matches `!=`.
//!
//! Bounds: 4 KiB of text, 64 comparisons, 16 levels of nesting.

use std::cmp::Ordering;

use serde_json::Value;

use super::error::{ApiError, ApiResult, Code};

/// Bytes of a query.
const QUERY_BYTES_MAX: usize = 4096;
/// Comparisons of a query.
const COMPARISONS_MAX: usize = 64;
/// Levels of nesting.
const DEPTH_MAX: usize = 16;

/// A query that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// One comparison.
    Is(Comparison),
    /// All of them.
    All(Vec<Expression>),
    /// Any of them.
    Any(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    field: String,
    operator: Operator,
    value: String,
    wild: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Above,
    Below,
    AtLeast,
    AtMost,
}

impl Expression {
    /// Reads a query.
    pub fn parse(text: &str) -> ApiResult<Self> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(refuse(
                0,
                &format!("it is longer than {QUERY_BYTES_MAX} bytes"),
            ));
        }
        let mut parser = Parser {
            text,
            at: 0,
            comparisons: 0,
        };
        let expression = parser.any(0)?;
        parser.space();
        if parser.at < text.len() {
            return Err(refuse(parser.at, "expected AND, OR or the end"));
        }
        Ok(expression)
    }

    /// An equality, as an extra parameter of the URL asks for.
    pub fn equal(field: &str, value: &str) -> Self {
        Self::Is(Comparison {
            field: field.to_owned(),
            operator: Operator::Equal,
            value: value.to_owned(),
            wild: value.contains('*'),
        })
    }

    /// Whether it holds of something whose fields `lookup` finds.
    pub fn holds<'a>(&self, lookup: &impl Fn(&str) -> Option<&'a Value>) -> bool {
        match self {
            Self::Is(comparison) => comparison.holds(lookup(&comparison.field)),
            Self::All(parts) => parts.iter().all(|part| part.holds(lookup)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(lookup)),
            Self::Not(part) => !part.holds(lookup),
        }
    }
}

impl Comparison {
    fn holds(&self, found: Option<&Value>) -> bool {
        match found {
            None | Some(Value::Null) => self.operator == Operator::Unequal,
            Some(Value::Array(items)) if self.operator == Operator::Unequal => {
                items.iter().all(|item| self.one(item))
            }
            Some(Value::Array(items)) => items.iter().any(|item| self.one(item)),
            Some(value) => self.one(value),
        }
    }

    fn one(&self, found: &Value) -> bool {
        let text = match found {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if self.wild {
            let matches = glob(&self.value, &text);
            return matches == (self.operator == Operator::Equal);
        }
        let order = match (number(&text), number(&self.value)) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => Some(text.as_str().cmp(&self.value)),
        };
        let Some(order) = order else { return false };
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::Unequal => order != Ordering::Equal,
            Operator::Above => order == Ordering::Greater,
            Operator::Below => order == Ordering::Less,
            Operator::AtLeast => order != Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
        }
    }
}

/// A number with an optional unit of size. Whole numbers keep all their digits.
#[derive(PartialEq)]
enum Number {
    Whole(u64),
    Real(f64),
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let real = |number: &Self| match number {
            Self::Whole(number) => *number as f64,
            Self::Real(number) => *number,
        };
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(right)),
            _ => real(self).partial_cmp(&real(other)),
        }
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') {
        return None;
    }
    if let Ok(whole) = crate::config::bytes(text) {
        return Some(Number::Whole(whole));
    }
    text.parse().ok().map(Number::Real)
}

/// Whether `*` in the pattern can stand for parts of the text so that both are
/// equal. Linear in the product of the lengths, without recursion.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    comparisons: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> ApiResult<Expression> {
        let mut parts = vec![self.all(depth)?];
        while self.word("OR") {
            parts.push(self.all(depth)?);
        }
        Ok(join(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> ApiResult<Expression> {
        let mut parts = vec![self.not(depth)?];
        while self.word("AND") {
            parts.push(self.not(depth)?);
        }
        Ok(join(parts, Expression::All))
    }

    fn not(&mut self, depth: usize) -> ApiResult<Expression> {
        if depth > DEPTH_MAX {
            return Err(refuse(self.at, "too many nested levels"));
        }
        if self.word("NOT") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        self.space();
        if !self.rest().starts_with('(') {
            return self.comparison();
        }
        let open = self.at;
        self.at += 1;
        let inside = self.any(depth + 1)?;
        self.space();
        if !self.rest().starts_with(')') {
            return Err(refuse(open, "this parenthesis is not closed"));
        }
        self.at += 1;
        Ok(inside)
    }

    fn comparison(&mut self) -> ApiResult<Expression> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(refuse(
                self.at,
                &format!("more than {COMPARISONS_MAX} comparisons"),
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let rest = self.rest();
        let field = &rest[..rest.find(|c| !plain(c)).unwrap_or(rest.len())];
        if field.is_empty() {
            return Err(refuse(self.at, "expected a field"));
        }
        let field = field.to_owned();
        self.at += field.len();
        self.space();
        let operators = [
            ("!=", Operator::Unequal),
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            ("=", Operator::Equal),
            (">", Operator::Above),
            ("<", Operator::Below),
        ];
        let found = operators
            .iter()
            .find(|(text, _)| self.rest().starts_with(text));
        let Some((text, operator)) = found else {
            return Err(refuse(self.at, "expected one of = != > < >= <="));
        };
        self.at += text.len();
        self.space();
        let (value, quoted) = self.value()?;
        let equality = matches!(operator, Operator::Equal | Operator::Unequal);
        Ok(Expression::Is(Comparison {
            field,
            operator: *operator,
            wild: !quoted && equality && value.contains('*'),
            value,
        }))
    }

    fn value(&mut self) -> ApiResult<(String, bool)> {
        let rest = self.rest();
        if let Some(inside) = rest.strip_prefix('"') {
            let Some(end) = inside.find('"') else {
                return Err(refuse(self.at, "this quote is not closed"));
            };
            let value = inside[..end].to_owned();
            self.at += end + 2;
            return Ok((value, true));
        }
        let ends = |c: char| c.is_whitespace() || c == ')' || c == '(';
        let value = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if value.is_empty() {
            return Err(refuse(self.at, "expected a value"));
        }
        let value = value.to_owned();
        self.at += value.len();
        Ok((value, false))
    }

    /// Takes a keyword, if it stands here as a word of its own.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let Some(after) = self.rest().strip_prefix(word) else {
            return false;
        };
        let ends = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == '(');
        if ends {
            self.at += word.len();
        }
        ends
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
}

fn join(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    many(parts)
}

fn refuse(at: usize, reason: &str) -> ApiError {
    ApiError::new(Code::InvalidQuery, format!("q, at byte {at}: {reason}")).with("offset", at)
}
