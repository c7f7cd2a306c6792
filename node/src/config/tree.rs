//! YAML text to a tree that knows where everything stands.
//!
//! Only what a configuration needs is taken: one document of mappings, lists and
//! scalars. Anchors, aliases and tags are refused, so nothing can expand.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::diagnostic::{Diagnostic, Origin};

/// How deep mappings and lists may nest; the schema needs four levels.
const DEPTH_MAX: usize = 16;

/// A position in the text, as an origin needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters to underline.
    pub width: usize,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a node of the tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A scalar, as written; `plain` tells that it stood without quotes.
    Scalar {
        /// The text.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Tree>),
    /// A mapping in the order of the file.
    Map(Vec<(String, Place, Tree)>),
}

/// The text of a configuration file with its name, to build origins from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// Its content.
    pub text: &'a str,
}

impl Source<'_> {
    /// The origin of something at `place`.
    pub fn origin(&self, place: Place) -> Origin {
        let text = self.text.lines().nth(place.line.saturating_sub(1));
        let text = hide_secret(text.unwrap_or_default().trim_end());
        let room = text.chars().count().saturating_sub(place.column - 1).max(1);
        Origin::File {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            width: place.width.min(room),
            text,
        }
    }
}

/// A line as it may be shown: the value of a secret key is not.
fn hide_secret(line: &str) -> String {
    match line.split_once(':') {
        Some((key, value))
            if key.contains("secret") && !key.contains("_file") && !value.is_empty() =>
        {
            format!("{key}: [REDACTED]")
        }
        _ => line.to_owned(),
    }
}

/// The tree of a file; an empty file is an empty mapping.
pub fn parse(source: Source<'_>) -> Result<Tree, Diagnostic> {
    let mut reader = Reader {
        source,
        parser: Parser::new_from_str(source.text),
    };
    let root = loop {
        match reader.next()? {
            (Event::StreamStart | Event::Nothing | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, span) => {
                return Ok(Tree {
                    place: place(span),
                    content: Content::Map(Vec::new()),
                });
            }
            (event, span) => break reader.node(event, span, 0)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::StreamEnd, _) => return Ok(root),
            (_, span) => {
                let origin = source.origin(place(span));
                return Err(
                    Diagnostic::new(origin, "a second YAML document begins here")
                        .help("keep one document per file"),
                );
            }
        }
    }
}

struct Reader<'a> {
    source: Source<'a>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Tree, Diagnostic> {
        let place = place(span);
        if depth > DEPTH_MAX {
            return Err(self.refuse(place, "too many nested levels"));
        }
        let content = match event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag)
                if anchor != 0 || tag.is_some() =>
            {
                return Err(self.refuse(place, "anchors and tags are not supported here"));
            }
            Event::MappingStart(anchor, tag) if anchor != 0 || tag.is_some() => {
                return Err(self.refuse(place, "anchors and tags are not supported here"));
            }
            Event::Scalar(text, style, ..) => Content::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_) => return Err(self.refuse(place, "aliases are not supported here")),
            _ => return Err(self.refuse(place, "a value is missing here")),
        };
        Ok(Tree { place, content })
    }

    fn list(&mut self, depth: usize) -> Result<Content, Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Diagnostic> {
        let mut pairs: Vec<(String, Place, Tree)> = Vec::new();
        loop {
            let (key, at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Map(pairs)),
                (Event::Scalar(text, _, 0, None), span) => (text.into_owned(), place(span)),
                (_, span) => return Err(self.refuse(place(span), "a key must be a plain word")),
            };
            if let Some((_, first, _)) = pairs.iter().find(|(name, ..)| *name == key) {
                let message = format!("`{key}` is given twice, first in line {}", first.line);
                return Err(self.refuse(at, &message));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            pairs.push((key, at, value));
        }
    }

    fn refuse(&self, place: Place, message: &str) -> Diagnostic {
        Diagnostic::new(self.source.origin(place), message)
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let place = at(*error.marker(), 1);
        Diagnostic::new(
            self.source.origin(place),
            format!("not valid YAML: {}", error.info()),
        )
    }
}

fn place(span: Span) -> Place {
    let one_line = span.start.line() == span.end.line();
    let width = if one_line {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    at(span.start, width.max(1))
}

fn at(marker: Marker, width: usize) -> Place {
    Place {
        line: marker.line().max(1),
        column: marker.col() + 1,
        width,
    }
}
