//! A filter as words.

use super::error::Error;
use super::expression::Relation;

/// A word and where it starts, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) word: Word,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// Names with dots between them; a keyword is a path of one name.
    Path(Vec<String>),
    /// A text in quotes.
    Text(String),
    /// What starts as a number: a number, a moment or a day.
    Number(String),
    Relation(Relation),
    Open,
    Close,
    End,
}

impl Word {
    /// As an error names it.
    pub(super) fn told(&self) -> String {
        match self {
            Word::Path(names) => names.join("."),
            Word::Text(text) => format!("{text:?}"),
            Word::Number(text) => text.clone(),
            Word::Relation(relation) => told(*relation).to_owned(),
            Word::Open => "(".to_owned(),
            Word::Close => ")".to_owned(),
            Word::End => "the end".to_owned(),
        }
    }

    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Path(names) if matches!(names.as_slice(), [name] if name == keyword))
    }
}

pub(super) fn told(relation: Relation) -> &'static str {
    match relation {
        Relation::Equal => "=",
        Relation::Unequal => "!=",
        Relation::Less => "<",
        Relation::LessOrEqual => "<=",
        Relation::Greater => ">",
        Relation::GreaterOrEqual => ">=",
    }
}

/// Cuts a text into words; the last one is the end.
pub(super) fn words(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { rest: text.chars().peekable(), at: 1 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let ends = token.word == Word::End;
        tokens.push(token);
        if ends {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn take(&mut self) -> Option<char> {
        self.at += 1;
        self.rest.next()
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|&c| accepts(c)) {
            text.push(c);
            self.take();
        }
        text
    }

    fn next(&mut self) -> Result<Token, Error> {
        self.take_while(char::is_whitespace);
        let at = self.at;
        let word = match self.peek() {
            None => Word::End,
            Some('(') => self.single(Word::Open),
            Some(')') => self.single(Word::Close),
            Some('"') => Word::Text(self.quoted()?),
            Some('=' | '!' | '<' | '>') => Word::Relation(self.relation()?),
            Some(c) if c.is_ascii_digit() || c == '-' => {
                Word::Number(self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | ':')))
            }
            Some(c) if is_name(c) => Word::Path(self.path()?),
            Some(c) => return Err(Error::new(at, format!("{c:?} means nothing here"))),
        };
        Ok(Token { at, word })
    }

    fn single(&mut self, word: Word) -> Word {
        self.take();
        word
    }

    fn path(&mut self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        loop {
            let name = match self.peek() {
                Some('"') => self.quoted()?,
                _ => self.take_while(is_name),
            };
            if name.is_empty() {
                return Err(Error::new(self.at, "expected a name after the dot"));
            }
            names.push(name);
            if self.peek() != Some('.') {
                return Ok(names);
            }
            self.take();
        }
    }

    fn relation(&mut self) -> Result<Relation, Error> {
        let at = self.at;
        let first = self.take();
        let equal = self.peek() == Some('=');
        match (first, equal) {
            (Some('='), _) => {
                // `==` is what programmers write.
                if equal {
                    self.take();
                }
                Ok(Relation::Equal)
            }
            (Some('!'), true) => Ok(self.second(Relation::Unequal)),
            (Some('<'), true) => Ok(self.second(Relation::LessOrEqual)),
            (Some('>'), true) => Ok(self.second(Relation::GreaterOrEqual)),
            (Some('<'), false) => Ok(Relation::Less),
            (Some('>'), false) => Ok(Relation::Greater),
            _ => Err(Error::new(at, "expected != here; a negation is written as not")),
        }
    }

    fn second(&mut self, relation: Relation) -> Relation {
        self.take();
        relation
    }

    /// A text in quotes, with the escapes of JSON that people use.
    fn quoted(&mut self) -> Result<String, Error> {
        let start = self.at;
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(Error::new(start, "the text that starts here has no quote at its end")),
                Some('"') => return Ok(text),
                Some('\\') => match self.take() {
                    Some(c @ ('"' | '\\' | '/')) => text.push(c),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    _ => {
                        let at = self.at.saturating_sub(1);
                        return Err(Error::new(at, "after a backslash only \", \\, /, n, r or t can stand"));
                    }
                },
                Some(c) => text.push(c),
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}
