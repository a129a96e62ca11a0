//! From "the parser stopped here and would have taken these rules" to a sentence with a code and a help text.

use super::error::{SyntaxError, codes};
use super::lexical::{Body, is_reserved, is_unit};
use super::parser::Rule;
use super::scan::{Lexer, Token, TokenKind};
use super::words::expected;
use crate::base::diag::did_you_mean;
use crate::base::{FileId, Span};

/// Where the parser stopped.
pub(super) struct Stop<'a> {
    pub(super) file: FileId,
    pub(super) text: &'a str,
    /// The tokens of the whole file without comments.
    pub(super) tokens: &'a [Token],
    /// Byte offset in the file.
    pub(super) at: usize,
    pub(super) rules: &'a [Rule],
    pub(super) body: Body,
}

const COMPARISONS: [&str; 7] = ["==", "!=", "<=", ">=", "<", ">", "crosses"];

impl Stop<'_> {
    /// Index of the token at or after the place of the stop.
    pub(super) fn index(&self) -> usize {
        self.tokens.partition_point(|t| t.start < self.at)
    }

    fn wants(&self, rule: Rule) -> bool {
        self.rules.contains(&rule)
    }

    fn wants_item(&self) -> bool {
        const ITEMS: [Rule; 15] = [
            Rule::file,
            Rule::piece_members,
            Rule::piece_plasticity,
            Rule::piece_circuits,
            Rule::piece_experiment,
            Rule::conclude_item,
            Rule::item,
            Rule::member,
            Rule::plasticity_item,
            Rule::circuit,
            Rule::experiment_item,
            Rule::stmt,
            Rule::clause,
            Rule::population_clause,
            Rule::action,
        ];
        ITEMS.iter().any(|r| self.wants(*r))
    }

    /// True after a complete expression, where only an operator could go on.
    fn after_expression(&self) -> bool {
        self.wants(Rule::sum_op) || self.wants(Rule::logic_op)
    }

    pub(super) fn error(&self) -> SyntaxError {
        let k = self.index();
        let before = k.checked_sub(1).and_then(|k| self.tokens.get(k)).copied();
        // The parser may stop inside what the scan takes for one token (`1_`), so the token is read at the stop itself.
        let found = Lexer::new(self.text, self.at).find(|t| t.kind != TokenKind::Comment);
        let Some(found) = found else {
            return self.at_end(before);
        };
        let word = found.text(self.text);
        let span = Span::new(self.file, found.start, found.end);
        self.lexical(found, word, span)
            .or_else(|| self.operator(found, word, span, before))
            .or_else(|| self.detached(found, word, span, before))
            .or_else(|| self.name_or_item(found, word, span))
            .unwrap_or_else(|| self.unexpected(found, word, span, before))
    }

    fn at_end(&self, before: Option<Token>) -> SyntaxError {
        let end = before.map_or(self.text.len(), |t| t.end);
        let mut open: Vec<Token> = Vec::new();
        for token in self.tokens {
            match token.kind {
                TokenKind::Open(_) => open.push(*token),
                TokenKind::Close(_) => {
                    open.pop();
                }
                _ => {}
            }
        }
        if let Some(open) = open.last() {
            return unclosed(self.file, self.text, *open);
        }
        let wanted = expected(self.rules, self.body).unwrap_or_else(|| "more".to_owned());
        SyntaxError::new(
            codes::UNEXPECTED,
            Span::new(self.file, end, end),
            format!("expected {wanted}, found the end of the file"),
            format!("expected {wanted} after this"),
        )
    }

    /// What is wrong with the token itself.
    fn lexical(&self, found: Token, word: &str, span: Span) -> Option<SyntaxError> {
        let bytes = self.text.as_bytes();
        let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
        match found.kind {
            TokenKind::OpenString => {
                return Some(
                    SyntaxError::new(codes::OPEN_STRING, span, "a string without its closing `\"`", "opened here")
                        .help("close the string on the same line; write `\\\"` for a quote inside it"),
                );
            }
            TokenKind::Number if !well_formed(word) => {
                return Some(
                    SyntaxError::new(codes::BAD_NUMBER, span, format!("`{word}` is no number"), "malformed number")
                        .help("an underscore stands between two digits: `10_000`"),
                );
            }
            TokenKind::Mark if word == "." && digit(bytes.get(found.end)) => {
                let mut end = found.end;
                while digit(bytes.get(end)) {
                    end += 1;
                }
                let digits = &self.text[found.end..end];
                if found.start > 0 && digit(bytes.get(found.start - 1)) {
                    return Some(SyntaxError::new(codes::BAD_NUMBER, span, "a number with two points", "second point"));
                }
                return Some(
                    SyntaxError::new(
                        codes::BAD_NUMBER,
                        Span::new(self.file, found.start, end),
                        format!("`.{digits}` is no number"),
                        "a digit is missing before the point",
                    )
                    .help(format!("write `0.{digits}`")),
                );
            }
            TokenKind::Mark if word == "." && found.start > 0 && digit(bytes.get(found.start - 1)) => {
                return Some(
                    SyntaxError::new(
                        codes::BAD_NUMBER,
                        span,
                        "a number ends in a point",
                        "a digit is missing after it",
                    )
                    .help("a number has a digit on both sides of its point (`1.0`), so that `0..4` is a range"),
                );
            }
            _ => {}
        }
        None
    }

    /// Operators and marks of other languages, and `=` for `==`.
    fn operator(&self, found: Token, word: &str, span: Span, before: Option<Token>) -> Option<SyntaxError> {
        let foreign = |message: String, help: &str| {
            Some(
                SyntaxError::new(codes::FOREIGN_OPERATOR, span, message, "not an operator of this language").help(help),
            )
        };
        match word {
            "&&" | "&" => return foreign(format!("`{word}` is no operator here"), "write `and`"),
            "||" | "|" => return foreign(format!("`{word}` is no operator here"), "write `or`"),
            "!" => return foreign("`!` is no operator here".to_owned(), "write `not`"),
            "*" if before.is_some_and(|b| b.end == found.start && b.text(self.text) == "*") => {
                return foreign("`**` is no operator here".to_owned(), "a power is written `x^2`");
            }
            "==" if self.wants(Rule::eq) || self.wants(Rule::assign_op) || self.wants(Rule::set_op) => {
                return foreign("`==` compares; here a value is set".to_owned(), "write `=`");
            }
            "=" if self.after_expression() => {
                if let Some(error) = self.swallowed_name(span) {
                    return Some(error);
                }
                return foreign("`=` sets a value; here one is compared".to_owned(), "write `==`");
            }
            "#" => {
                return Some(
                    SyntaxError::new(
                        codes::BAD_CHARACTER,
                        span,
                        "`#` begins nothing in this language",
                        "unknown character",
                    )
                    .help("a comment begins with `//`"),
                );
            }
            _ => {}
        }
        if COMPARISONS.contains(&word) && self.wants(Rule::logic_op) && !self.wants(Rule::compare_op) {
            return Some(
                SyntaxError::new(codes::CHAINED_COMPARISON, span, "comparisons do not chain", "second comparison")
                    .help("write `a < b and b < c`, or `b in a .. c` (both ends count)"),
            );
        }
        if found.kind == TokenKind::Stray {
            let c = word.chars().next().unwrap_or(' ');
            let shown = if c.is_whitespace() || c.is_control() {
                format!("the character U+{:04X}", u32::from(c))
            } else {
                format!("`{c}`")
            };
            let error = SyntaxError::new(
                codes::BAD_CHARACTER,
                span,
                format!("{shown} begins nothing in this language"),
                "unknown character",
            );
            return Some(match c {
                '\u{A0}' | '\u{2007}' | '\u{202F}' => error.help("this is a non-breaking space; type a plain one"),
                '\u{201C}' | '\u{201D}' | '\u{2018}' | '\u{2019}' => {
                    error.help("strings stand in straight quotes: `\"`")
                }
                '\u{2212}' | '\u{2013}' => error.help("write the minus sign of the keyboard: `-`"),
                '\u{D7}' | '\u{B7}' => error.help("write `*`"),
                '?' => error.help("write `if c then a else b`"),
                c if c.is_alphabetic() => {
                    let spelt = greek(c).map_or(String::new(), |name| format!("; write `{name}` for {c}"));
                    error.help(format!("names are ASCII: `[A-Za-z_][A-Za-z0-9_]*`{spelt}"))
                }
                _ => error,
            });
        }
        None
    }

    /// `x = 3 y = 4`: `y` was read as the unit of 3.
    fn swallowed_name(&self, span: Span) -> Option<SyntaxError> {
        let k = self.index();
        let (number, unit) = (self.tokens.get(k.checked_sub(2)?)?, self.tokens.get(k.checked_sub(1)?)?);
        let word = unit.text(self.text);
        let is_pair = number.kind == TokenKind::Number && unit.kind == TokenKind::Word && !is_unit(word);
        is_pair.then(|| {
            SyntaxError::new(
                codes::UNEXPECTED,
                span,
                format!(
                    "expected the end of the statement, found `=`: `{word}` was read as the unit of `{}`",
                    number.text(self.text)
                ),
                "a second statement?",
            )
            .help(format!("two items on one line are set apart by `;`: `{}; {word} = ..`", number.text(self.text)))
        })
    }

    /// A bracket, point or prime that stands apart from its name.
    fn detached(&self, found: Token, word: &str, span: Span, before: Option<Token>) -> Option<SyntaxError> {
        let before = before?;
        let can_carry = match before.kind {
            TokenKind::Word => !is_reserved(before.text(self.text)),
            TokenKind::Close(b) => b != b'}',
            _ => false,
        };
        let gap = found.start > before.end && !self.text[before.end..found.start].contains('\n');
        let quote = word == "'" && (self.wants(Rule::string) || self.wants(Rule::use_source));
        let attaches = matches!(word, "(" | "[") && self.after_expression() || matches!(word, "." | "'") && !quote;
        (can_carry && gap && attaches).then(|| {
            let name = before.text(self.text);
            SyntaxError::new(
                codes::DETACHED,
                span,
                format!("`{word}` stands apart from what it belongs to"),
                "no space before this",
            )
            .help(format!(
                "write `{name}{word}`: a call, an index, a point and a prime follow their name without a space"
            ))
        })
    }

    fn name_or_item(&self, found: Token, word: &str, span: Span) -> Option<SyntaxError> {
        if found.kind != TokenKind::Word {
            return None;
        }
        const NAMED: [Rule; 6] =
            [Rule::name, Rule::path, Rule::binding, Rule::formal, Rule::loop_range, Rule::record_what];
        if is_reserved(word) && NAMED.iter().any(|r| self.wants(*r)) && !self.wants(Rule::expr) {
            return Some(
                SyntaxError::new(
                    codes::RESERVED_NAME,
                    span,
                    format!("`{word}` is a reserved word and can't be a name"),
                    "expected a name",
                )
                .help(format!("choose another name, such as `{word}_`")),
            );
        }
        if !self.wants_item() {
            return None;
        }
        self.misplaced(word, span).or_else(|| self.equation_slip(word, span))
    }

    /// `V = ..`, `V ' = ..` or `dV / dt = ..` where an equation may stand.
    fn equation_slip(&self, word: &str, span: Span) -> Option<SyntaxError> {
        if !matches!(self.body, Body::Model | Body::Plasticity) || self.body.opens(word) {
            return None;
        }
        let next = self.tokens.get(self.index() + 1)?;
        let next_span = Span::new(self.file, next.start, next.end);
        let error =
            |code, span, what: &str| SyntaxError::new(code, span, what.to_owned(), "not an equation as it stands");
        match next.text(self.text) {
            "'" => Some(
                error(codes::DETACHED, next_span, "`'` stands apart from what it belongs to")
                    .help(format!("write `{word}'`: a prime follows its name without a space")),
            ),
            "/" if word.len() > 1 && word.starts_with('d') => Some(
                error(codes::DETACHED, span, "a derivative is written without spaces")
                    .help(format!("write `{0}' = ..` or `d{0}/dt = ..`", &word[1..])),
            ),
            "=" => Some(error(codes::UNEXPECTED, span, "a model or rule holds no assignments outside its blocks").help(
                format!("write `{word}' = ..` for an equation, `let {word} = ..` for a formula, `state {word} = ..` for a start value"),
            )),
            _ => None,
        }
    }

    /// What the place of the stop belongs to, and the words that open something there.
    fn place(&self) -> (&'static str, &'static [&'static str]) {
        if self.wants(Rule::population_clause) {
            ("the body of a population", &["position", "active", "mixed", "exempt"])
        } else if self.wants(Rule::clause) {
            ("a projection", &["connect", "weight", "delay", "gain", "plasticity", "columns"])
        } else if self.wants(Rule::conclude_item) {
            ("`conclude`", &["let", "expect", "plot"])
        } else if self.wants(Rule::action) {
            ("a sleep phase", &["set", "plasticity", "let", "drive", "kick", "at", "every", "replay"])
        } else if self.wants(Rule::stmt) && !self.wants(Rule::experiment_item) {
            ("a block", Body::Experiment.openers())
        } else {
            (self.body.owner(), self.body.openers())
        }
    }

    /// A word that opens no item here but might elsewhere, or might be meant for one that does.
    pub(super) fn misplaced(&self, word: &str, span: Span) -> Option<SyntaxError> {
        let (owner, openers) = self.place();
        if self.body.opens(word) || openers.contains(&word) || is_reserved(word) {
            return None;
        }
        let error = |label: &str| {
            SyntaxError::new(codes::UNKNOWN_ITEM, span, format!("`{word}` opens no item of {owner}"), label)
        };
        if let Some(here) = said_here(word).filter(|_| word == "reset" && self.body == Body::Model) {
            return Some(error("unknown item").help(format!("write {here}")));
        }
        if let Some(instead) = instead(word, self.body) {
            return Some(error("not here").help(instead));
        }
        let homes: Vec<&str> = Body::ALL.iter().filter(|b| b.opens(word)).map(|b| b.owner()).collect();
        if !homes.is_empty() {
            let homes = homes.join(" or ");
            return Some(
                error("not here")
                    .help(format!("`{word}` belongs in {homes}; is a `}}` missing or too much before it?")),
            );
        }
        if let Some(here) = said_here(word) {
            return Some(error("unknown item").help(format!("write {here}")));
        }
        let meant = did_you_mean(word, openers.iter().copied())?;
        Some(error("unknown item").help(format!("did you mean `{meant}`?")))
    }

    fn unexpected(&self, found: Token, word: &str, span: Span, before: Option<Token>) -> SyntaxError {
        let shown = match found.kind {
            TokenKind::String => "a string".to_owned(),
            _ if word.len() > 40 => format!("`{}..`", word.chars().take(36).collect::<String>()),
            _ => format!("`{word}`"),
        };
        let Some(wanted) = expected(self.rules, self.body) else {
            return SyntaxError::new(codes::UNEXPECTED, span, format!("{shown} can't stand here"), "unexpected");
        };
        let error = SyntaxError::new(
            codes::UNEXPECTED,
            span,
            format!("expected {wanted}, found {shown}"),
            format!("expected {wanted}"),
        );
        let after_unit = before.is_some_and(|b| {
            let k = self.index();
            let number = k.checked_sub(2).and_then(|k| self.tokens.get(k));
            b.kind == TokenKind::Word
                && number.is_some_and(|n| n.kind == TokenKind::Number)
                && !is_unit(b.text(self.text))
                && !is_reserved(b.text(self.text))
        });
        let number = before.is_some_and(|b| b.kind == TokenKind::Number);
        let before = before.map_or("", |b| b.text(self.text));
        let wants_value =
            [Rule::expr, Rule::arg, Rule::axis, Rule::postfix, Rule::primary].iter().any(|r| self.wants(*r));
        let after = self.text[found.end..].chars().next();
        let help = match word {
            "," if self.wants_item() => "items are set apart by a new line or `;`, not by `,`",
            "'" if wants_value || self.wants(Rule::string) || self.wants(Rule::use_source) => {
                "strings stand in double quotes"
            }
            "'" if self.wants(Rule::colon) => "is a `:` missing before the equation?",
            "'" => "an equation `x' = ..` stands in the body of a model or rule, not in a block",
            "{" if self.wants(Rule::close_brace) => "is a keyword missing before `{`?",
            "/" if after == Some('*') => "a comment begins with `//` and ends with its line",
            "+" | "-" if before == word || after == word.chars().next() => "write `x += 1` or `x -= 1`",
            "(" if self.wants(Rule::open_bracket) || self.wants(Rule::axes) => "a size stands in brackets: `E[100]`",
            "(" | "=" if after_unit => "the word after a number on the same line is its unit; is a `*` or `;` missing?",
            "=" | ":" if wants_value => {
                return error.help(format!("no opening word is followed by `{word}`: write `{before} ..`"));
            }
            "=" if self.wants(Rule::arrow) && after == Some('>') => "an arrow is written `->`",
            ":" if self.wants(Rule::eq) => "a `let` has the dimension of its formula: leave this out",
            ":" if self.wants(Rule::open_bracket) || self.wants(Rule::axes) => "its size comes first: `E[100]: Model`",
            "(" if number && self.next_is_unit() => "a unit follows its number without brackets: `10 ms`",
            "if" if self.wants_item() && self.body == Body::Model => {
                "a condition for a spike is `spike when c { .. }`, for a value `if c then a else b`"
            }
            _ if self.after_expression() && found.kind == TokenKind::Word && is_unit(word) => {
                return error.help(format!("a unit follows a number: write `{before} * 1 {word}`"));
            }
            _ if self.wants(Rule::close_brace) && Body::ALL.iter().any(|b| b.opens(word)) => match self.innermost() {
                Some(open) => {
                    let line = self.text[..open.start].matches('\n').count() + 1;
                    return error.help(format!("is a `}}` missing before it? The `{{` of line {line} is still open"));
                }
                None => return error,
            },
            _ if self.wants(Rule::assign_op) && before == ")" => match self.called().and_then(said_here) {
                Some(here) => return error.help(format!("write {here}")),
                None => return error,
            },
            ")" | "]" if before == "," => "no comma stands after the last element",
            "}" if wants_value => "a value is missing before `}`",
            "else" if self.wants_item() => "is a `}` missing or too much before `else`?",
            "elif" | "elseif" => "write `else if`",
            "*" if self.wants(Rule::use_select) || before == "." => {
                "there is no star: name what you use, or use the module"
            }
            _ if self.wants(Rule::open_brace) => "is a `{` missing?",
            _ => return error,
        };
        error.help(help)
    }
}

impl Stop<'_> {
    fn next_is_unit(&self) -> bool {
        let next = self.tokens.get(self.index() + 1);
        next.is_some_and(|t| t.kind == TokenKind::Word && is_unit(t.text(self.text)))
    }

    /// The brace around the place of the stop.
    fn innermost(&self) -> Option<Token> {
        self.opening(self.index(), b'{')
    }

    /// What is called by the `f(..)` that ends before the place of the stop.
    fn called(&self) -> Option<&str> {
        let close = self.index().checked_sub(1)?;
        let open = self.opening(close, b'(')?;
        let name = self.tokens.iter().take_while(|t| t.start < open.start).last()?;
        (name.kind == TokenKind::Word).then(|| name.text(self.text))
    }

    /// The last bracket of a kind that is open before token `k`.
    fn opening(&self, k: usize, bracket: u8) -> Option<Token> {
        let mut closed = 0;
        for token in self.tokens[..k].iter().rev() {
            match token.kind {
                TokenKind::Close(_) => closed += 1,
                TokenKind::Open(b) if closed == 0 => return (b == bracket).then_some(*token),
                TokenKind::Open(_) => closed -= 1,
                _ => {}
            }
        }
        None
    }
}

/// The name of a Greek letter.
fn greek(c: char) -> Option<&'static str> {
    const NAMES: [&str; 25] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    let from = |first: char| NAMES.get(usize::try_from(u32::from(c).checked_sub(u32::from(first))?).ok()?).copied();
    match c {
        '\u{3F5}' => Some("epsilon"),
        '\u{3D5}' => Some("phi"),
        '\u{3D1}' => Some("theta"),
        c if c.is_lowercase() => from('\u{3B1}'),
        _ => from('\u{391}'),
    }
}

/// What words of other languages and simulators are called here.
fn said_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "import" | "include" | "require" => "`use std.neurons.LifDelta` or `use \"file.nsm\"`",
        "while" | "loop" => "`repeat 100 until done { .. }`: every loop has a bound",
        "elif" | "elseif" => "`else if`",
        "def" | "fn" | "func" => "`let f(x: number) = ..`",
        "const" | "define" => "`let x = ..`",
        "print" | "assert" => "`measure x = ..` or `expect ..`",
        "run" => "`simulate 1 s`",
        "group" | "neurons" | "layer" => "`population E[100]: Model`",
        "connection" | "connections" | "synapses" => "`projection A -> B { .. }`",
        "parameter" | "parameters" | "params" => "`param a = 1, b = 2`",
        "threshold" | "reset" => "`spike when V >= V_th { V = V_reset }`",
        "variable" | "variables" => "`state V = 0 mV`",
        "symmetric" => "it after the rule: `connect bernoulli(0.1) symmetric`",
        "procedural" => "it after the rule: `connect bernoulli(0.1) procedural`",
        _ => return None,
    })
}

/// What does here what a word does in another body.
fn instead(word: &str, body: Body) -> Option<&'static str> {
    match (word, body) {
        ("couple", Body::Circuit) => Some(
            "`couple` joins the compartments of a cell; cells are joined by a projection from a state: \
             `projection A.V -> B.I_gap { .. }`",
        ),
        ("state", Body::Plasticity) => Some(
            "what a synapse keeps is written `synapse e: e' = -e / tau`, what is kept of either neuron's spikes \
             `pre trace x: x' = -x / tau`",
        ),
        _ => None,
    }
}

/// The error for a bracket that nothing closes.
pub(super) fn unclosed(file: FileId, text: &str, open: Token) -> SyntaxError {
    let bracket = open.text(text);
    SyntaxError::new(
        codes::UNBALANCED,
        Span::new(file, open.start, open.end),
        format!("this `{bracket}` is never closed"),
        "opened here",
    )
}

/// The error for a bracket that closes nothing.
pub(super) fn closes_nothing(file: FileId, text: &str, close: Token) -> SyntaxError {
    let bracket = close.text(text);
    SyntaxError::new(
        codes::UNBALANCED,
        Span::new(file, close.start, close.end),
        format!("this `{bracket}` closes nothing"),
        "nothing is open here",
    )
}

fn well_formed(number: &str) -> bool {
    let bytes = number.as_bytes();
    bytes.iter().enumerate().all(|(k, b)| {
        let digit = |k: Option<usize>| k.and_then(|k| bytes.get(k)).is_some_and(u8::is_ascii_digit);
        *b != b'_' || digit(k.checked_sub(1)) && digit(Some(k + 1))
    })
}
