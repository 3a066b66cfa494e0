//! From words to a tree.

use super::error::Error;
use super::expression::{Comparison, Expression, Filter, Literal, Relation, Subject};
use super::lexer::{Token, Word, words};
use super::{COMPARISONS_MAX, DEPTH_MAX, LENGTH_MAX, moment};

/// Reads a filter.
pub fn parse(text: &str) -> Result<Filter, Error> {
    if text.len() > LENGTH_MAX {
        return Err(Error::new(1, format!("the filter has {} bytes, and {LENGTH_MAX} are permitted", text.len())));
    }
    let tokens = words(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0, comparisons: 0 };
    let expression = parser.or()?;
    match parser.peek() {
        Token { word: Word::End, .. } => Ok(Filter(expression)),
        token => Err(Error::new(token.at, format!("expected and, or, or the end, found {}", token.word.told()))),
    }
}

struct Parser<'a> {
    /// What is left; the last is always the end.
    tokens: &'a [Token],
    depth: usize,
    comparisons: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        self.tokens.first().expect("the end is never taken")
    }

    fn take(&mut self) -> &'a Token {
        let token = self.peek();
        if let (false, [_, rest @ ..]) = (token.word == Word::End, self.tokens) {
            self.tokens = rest;
        }
        token
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let found = self.peek().word.is(keyword);
        if found {
            self.take();
        }
        found
    }

    fn or(&mut self) -> Result<Expression, Error> {
        let mut parts = vec![self.and()?];
        while self.takes("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, Error> {
        let mut parts = vec![self.not()?];
        while self.takes("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn not(&mut self) -> Result<Expression, Error> {
        let at = self.peek().at;
        if self.takes("not") {
            let inner = self.deeper(at, Self::not)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        if self.peek().word != Word::Open {
            return self.comparison();
        }
        self.take();
        let inner = self.deeper(at, Self::or)?;
        match self.take() {
            Token { word: Word::Close, .. } => Ok(inner),
            token => Err(Error::new(
                token.at,
                format!("expected ) for the ( at character {at}, found {}", token.word.told()),
            )),
        }
    }

    fn deeper(
        &mut self,
        at: usize,
        inner: impl FnOnce(&mut Self) -> Result<Expression, Error>,
    ) -> Result<Expression, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(Error::new(at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let inner = inner(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Expression, Error> {
        let token = self.take();
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(Error::new(token.at, format!("more than {COMPARISONS_MAX} comparisons")));
        }
        let subject = subject(token)?;
        let comparison = match subject {
            Subject::Sent => self.sent()?,
            Subject::Receives => self.receives()?,
            Subject::Body => self.body()?,
            Subject::Attribute(_) | Subject::Json(_) | Subject::Group => self.any(&subject)?,
        };
        Ok(Expression::Compare(subject, comparison))
    }

    fn sent(&mut self) -> Result<Comparison, Error> {
        let token = self.take();
        let before = token.word.is("before");
        if !before && !token.word.is("after") {
            return Err(Error::new(token.at, format!("expected before or after, found {}", token.word.told())));
        }
        let token = self.take();
        let wrong = || {
            let found = token.word.told();
            Error::new(token.at, format!("expected a moment such as 2026-01-01T00:00:00Z, found {found}"))
        };
        let (Word::Number(text) | Word::Text(text)) = &token.word else { return Err(wrong()) };
        let ms = moment::parse(text).ok_or_else(wrong)?;
        Ok(if before { Comparison::Before(ms) } else { Comparison::After(ms) })
    }

    fn receives(&mut self) -> Result<Comparison, Error> {
        let relation = self.relation("=, !=, <, <=, > or >=")?;
        let at = self.peek().at;
        match self.literal()? {
            number @ Literal::Number(_) => Ok(Comparison::Is(relation, number)),
            _ => Err(Error::new(at, "receives is compared with a number")),
        }
    }

    fn body(&mut self) -> Result<Comparison, Error> {
        if self.takes("contains") {
            return self.contains();
        }
        let at = self.peek().at;
        let relation = self.relation("contains, = or !=")?;
        if !matches!(relation, Relation::Equal | Relation::Unequal) {
            return Err(Error::new(at, "a body is compared by contains, = or !="));
        }
        let at = self.peek().at;
        match self.literal()? {
            text @ Literal::Text(_) => Ok(Comparison::Is(relation, text)),
            _ => Err(Error::new(at, "a body is compared with a text in quotes")),
        }
    }

    fn any(&mut self, subject: &Subject) -> Result<Comparison, Error> {
        if self.takes("exists") {
            return Ok(Comparison::Exists);
        }
        if self.takes("contains") {
            return self.contains();
        }
        let relation = self.relation("=, !=, <, <=, >, >=, contains or exists")?;
        let at = self.peek().at;
        let literal = self.literal()?;
        match (subject, &literal) {
            (Subject::Json(_), Literal::Truth(_) | Literal::Null)
                if !matches!(relation, Relation::Equal | Relation::Unequal) =>
            {
                Err(Error::new(at, "true, false and null are compared by = or != only"))
            }
            (Subject::Json(_), _) | (Subject::Attribute(_), Literal::Text(_) | Literal::Number(_)) => {
                Ok(Comparison::Is(relation, literal))
            }
            (Subject::Group, Literal::Text(_)) => Ok(Comparison::Is(relation, literal)),
            (Subject::Group, _) => Err(Error::new(at, "a group is compared with a text in quotes")),
            _ => Err(Error::new(at, "an attribute is compared with a number or with a text in quotes")),
        }
    }

    fn contains(&mut self) -> Result<Comparison, Error> {
        match self.take() {
            Token { word: Word::Text(text), .. } => Ok(Comparison::Contains(text.clone())),
            token => Err(Error::new(token.at, format!("expected a text in quotes, found {}", token.word.told()))),
        }
    }

    fn relation(&mut self, expected: &str) -> Result<Relation, Error> {
        match self.take() {
            Token { word: Word::Relation(relation), .. } => Ok(*relation),
            token => Err(Error::new(token.at, format!("expected {expected}, found {}", token.word.told()))),
        }
    }

    fn literal(&mut self) -> Result<Literal, Error> {
        let token = self.take();
        let found = || {
            let reason = format!("expected a text in quotes or a number, found {}", token.word.told());
            Error::new(token.at, reason)
        };
        match &token.word {
            Word::Text(text) => Ok(Literal::Text(text.clone())),
            Word::Number(text) => {
                text.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::Number).ok_or_else(found)
            }
            word if word.is("true") => Ok(Literal::Truth(true)),
            word if word.is("false") => Ok(Literal::Truth(false)),
            word if word.is("null") => Ok(Literal::Null),
            _ => Err(found()),
        }
    }
}

fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() > 1 {
        return several(parts);
    }
    parts.pop().expect("there is at least one part")
}

fn subject(token: &Token) -> Result<Subject, Error> {
    const KNOWN: &str = "attributes.NAME, body, body.json.PATH, group, receives or sent";
    let unknown = || Error::new(token.at, format!("expected {KNOWN}, found {}", token.word.told()));
    let Word::Path(names) = &token.word else { return Err(unknown()) };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["body"] => Ok(Subject::Body),
        ["group"] => Ok(Subject::Group),
        ["receives"] => Ok(Subject::Receives),
        ["sent"] => Ok(Subject::Sent),
        ["attributes"] => Err(Error::new(token.at, "expected the name of an attribute: attributes.NAME")),
        // Names of attributes may have dots.
        ["attributes", name @ ..] => Ok(Subject::Attribute(name.join("."))),
        ["body", "json"] => Err(Error::new(token.at, "expected a path into the body: body.json.PATH")),
        ["body", "json", path @ ..] => Ok(Subject::Json(path.iter().map(|&name| name.to_owned()).collect())),
        _ => Err(unknown()),
    }
}
