//! Errors that show the place to edit.

use std::fmt;

/// Where a value or an error comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table of keys.
    Default,
    /// A place in a file; lines and columns count from 1.
    File {
        /// The file as the user named it.
        file: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
        /// The text of the line.
        text: String,
        /// How many characters to underline.
        width: usize,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// `--set KEY=VALUE` or a flag.
    Argument {
        /// As given.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                file, line, column, ..
            } => write!(f, "{file}:{line}:{column}"),
            Self::Env { name } => write!(f, "environment variable {name}"),
            Self::Argument { text } => write!(f, "argument {text}"),
        }
    }
}

/// One error in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub origin: Origin,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without advice.
    pub fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            origin,
            help: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let margin = match &self.origin {
            Origin::File {
                line,
                column,
                text,
                width,
                ..
            } => {
                let number = line.to_string();
                let margin = " ".repeat(number.len());
                writeln!(f, "{margin}--> {}", self.origin)?;
                writeln!(f, "{margin} |")?;
                writeln!(f, "{number} | {text}")?;
                let indent = " ".repeat(column.saturating_sub(1));
                writeln!(f, "{margin} | {indent}{}", "^".repeat((*width).max(1)))?;
                margin
            }
            Origin::Default => " ".to_owned(),
            other => {
                writeln!(f, " --> {other}")?;
                " ".to_owned()
            }
        };
        match &self.help {
            Some(help) => writeln!(f, "{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// All errors of a configuration, in the order of their layers and places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// At least one.
    pub errors: Vec<Diagnostic>,
}

impl Report {
    /// `Ok` if there is nothing to report.
    pub fn check(errors: Vec<Diagnostic>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self { errors })
        }
    }
}

impl From<Diagnostic> for Report {
    fn from(error: Diagnostic) -> Self {
        Self {
            errors: vec![error],
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.errors.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
