//! One error for each broken item instead of one for each file.
//!
//! The parser stops at its first error. So the text is cut where items start, each piece is parsed alone, and a broken piece
//! that has a body (a model, a rule, a network, an experiment) is cut once more into its members. Each token belongs to at
//! most one piece of each kind, so the work stays linear.
//!
//! An item starts where an opening word stands at the start of a line or after `;` or `}` and at no open brace. Two things
//! keep one missing bracket from hiding the rest: `neuron X {` and its like start an item wherever they stand, because no
//! body may hold them; and `{`, `}` and `;` close every open parenthesis, because none may stand inside one.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};

use super::ast::*;
use super::builder::Builder;
use super::error::{SyntaxError, codes};
use super::lexical::{Body, is_reserved};
use super::message::{Stop, closes_nothing, unclosed};
use super::parser::{NsmParser, Pair, Parts, Rule};
use super::scan::{Lexer, Scan, Token, TokenKind, too_deep};
use crate::base::{FileId, Span};

/// The items of the text from byte `from` on, and the names that broken members of theirs would have declared; errors are
/// appended.
pub(super) fn items(
    file: FileId,
    text: &str,
    from: usize,
    scan: &mut Scan,
    errors: &mut Vec<SyntaxError>,
) -> (Vec<Item>, Vec<String>) {
    match NsmParser::parse(Rule::file, &text[from..]) {
        Ok(mut pairs) => {
            let mut builder = Builder { file, base: from, text, scan, errors, level: 0 };
            match pairs.next().and_then(|p| builder.file_items(p)) {
                Some(items) => (items, Vec::new()),
                None => {
                    errors.push(internal(Span::new(file, from, text.len())));
                    Default::default()
                }
            }
        }
        Err(error) => {
            let tokens: Vec<Token> = Lexer::new(text, from).filter(|t| t.kind != TokenKind::Comment).collect();
            let before = errors.len();
            let mut recovery =
                Recovery { file, text, tokens: &tokens, scan, errors, items: Vec::new(), lost: Vec::new() };
            recovery.file();
            let Recovery { items, lost, .. } = recovery;
            if errors.len() == before {
                // Each piece is right alone but their sum is not; the parser's own word is the best there is.
                let (at, rules) = place_of(&error);
                errors.push(Stop { file, text, tokens: &tokens, at: from + at, rules, body: Body::File }.error());
            }
            (items, lost)
        }
    }
}

fn internal(span: Span) -> SyntaxError {
    SyntaxError::new(codes::INTERNAL, span, "the parser and the tree builder disagree", "about this text")
        .help("this is a bug in the compiler, not in the text; please report it")
}

fn place_of(error: &Error<Rule>) -> (usize, &[Rule]) {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => (at, positives),
        ErrorVariant::CustomError { .. } => (at, &[]),
    }
}

struct Recovery<'a> {
    file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    scan: &'a mut Scan,
    errors: &'a mut Vec<SyntaxError>,
    items: Vec<Item>,
    lost: Vec<String>,
}

/// How a piece of a body went.
enum Piece<T> {
    Good(Vec<Documented<T>>),
    /// The index of the token at which the parser stopped.
    Bad(usize),
}

impl<'a> Recovery<'a> {
    fn word(&self, k: usize) -> &'a str {
        self.tokens.get(k).map_or("", |t| t.text(self.text))
    }

    fn is(&self, k: usize, kind: TokenKind) -> bool {
        self.tokens.get(k).is_some_and(|t| t.kind == kind)
    }

    fn is_name(&self, k: usize) -> bool {
        self.is(k, TokenKind::Word) && !is_reserved(self.word(k))
    }

    fn offset(&self, k: usize) -> usize {
        self.tokens.get(k).map_or(self.text.len(), |t| t.start)
    }

    fn span(&self, from: usize, to: usize) -> Span {
        let start = self.offset(from);
        let end = to.checked_sub(1).and_then(|k| self.tokens.get(k)).map_or(start, |t| t.end);
        Span::new(self.file, start, end.max(start))
    }

    fn first_on_line(&self, k: usize) -> bool {
        match k.checked_sub(1).and_then(|k| self.tokens.get(k)) {
            None => true,
            Some(before) => self.text[before.end..self.offset(k)].contains('\n'),
        }
    }

    /// True if token `k` can be the first after a complete item.
    fn after_an_item(&self, k: usize) -> bool {
        let Some(before) = k.checked_sub(1).and_then(|k| self.tokens.get(k)) else {
            return true;
        };
        match before.kind {
            TokenKind::Word => !is_reserved(before.text(self.text)) || matches!(before.text(self.text), "on" | "off"),
            TokenKind::Number | TokenKind::String | TokenKind::OpenString | TokenKind::Close(_) => true,
            TokenKind::Mark => matches!(before.text(self.text), ";" | "%" | "." | "->" | "<-" | ".."),
            TokenKind::Open(b) => b == b'{',
            TokenKind::Comment | TokenKind::Stray => false,
        }
    }

    /// `neuron X {`, `experiment X of`: nothing else in the language looks like that.
    fn starts_top_item_for_sure(&self, k: usize) -> bool {
        let mark = match self.word(k) {
            "neuron" | "source" | "modulator" | "environment" | "plasticity" | "region" | "network" => "{",
            "sleep" | "experiment" => "of",
            _ => return false,
        };
        self.is_name(k + 1) && self.word(k + 2) == mark
    }

    /// True if an item of `body` starts at token `k`, seen at no open brace; `in_parens` if a parenthesis is open.
    fn starts_item(&self, body: Body, k: usize, in_parens: bool) -> bool {
        if !self.is(k, TokenKind::Word) {
            return false;
        }
        let word = self.word(k);
        let separated = matches!(self.word(k.wrapping_sub(1)), ";" | "}");
        // Neither an expression nor a parenthesis holds two names side by side: an opening word and what it opens start an
        // item whatever was left unfinished before.
        let followed = self.is_name(k + 1)
            || self.is(k + 1, TokenKind::Number)
            || self.is(k + 1, TokenKind::String)
            || word == "spike" && matches!(self.word(k + 1), "when" | "at");
        if self.first_on_line(k) && body.opens(word) && !is_reserved(word) && followed {
            return true;
        }
        if in_parens {
            return false;
        }
        let on_its_own = separated || self.first_on_line(k) && self.after_an_item(k);
        if !on_its_own {
            return false;
        }
        if is_reserved(word) {
            return body.opens(word);
        }
        // Words that go on with an item on a new line.
        const TAILS: [&str; 12] = [
            "holds",
            "shown",
            "weight",
            "dendritic",
            "symmetric",
            "procedural",
            "keep",
            "cycles",
            "after",
            "periodic",
            "because",
            "least",
        ];
        separated || body.opens(word) || !TAILS.contains(&word)
    }

    /// The end of the item that starts at token `k`: where the next starts, or a `}` that is not its own.
    fn item_end(&self, body: Body, k: usize, limit: usize) -> usize {
        let (mut braces, mut parens) = (0usize, 0usize);
        for j in k..limit {
            if j > k && (braces == 0 && self.starts_item(body, j, parens > 0)) {
                return j;
            }
            match self.tokens[j].kind {
                TokenKind::Open(b'{') => (braces, parens) = (braces + 1, 0),
                TokenKind::Close(b'}') => {
                    if braces == 0 {
                        return j;
                    }
                    (braces, parens) = (braces - 1, 0);
                }
                TokenKind::Open(_) => parens += 1,
                TokenKind::Close(_) => parens = parens.saturating_sub(1),
                TokenKind::Mark if self.word(j) == ";" => parens = 0,
                _ => {}
            }
        }
        limit
    }

    fn file(&mut self) {
        let mut sure: Vec<usize> = (0..self.tokens.len()).filter(|k| self.starts_top_item_for_sure(*k)).collect();
        sure.reverse();
        let mut k = 0;
        // After an item of another body at this level more of them follow: a `}` too much came before them all.
        let mut adrift = false;
        while k < self.tokens.len() {
            if self.word(k) == ";" {
                k += 1;
                continue;
            }
            while sure.last().is_some_and(|s| *s <= k) {
                sure.pop();
            }
            let limit = sure.last().copied().unwrap_or(self.tokens.len());
            if self.is(k, TokenKind::Close(b'}')) {
                if !adrift {
                    self.errors.push(closes_nothing(self.file, self.text, self.tokens[k]));
                }
                k += 1;
                continue;
            }
            let end = self.item_end(Body::File, k, limit).max(k + 1);
            let belongs = Body::File.opens(self.word(k));
            let elsewhere = Body::ALL.iter().any(|b| b.opens(self.word(k)));
            if adrift && !belongs && elsewhere {
                self.broken_item(k, end);
            } else {
                self.top_piece(k, end);
            }
            adrift = !belongs && elsewhere;
            k = end;
        }
    }

    fn broken_item(&mut self, from: usize, to: usize) {
        let name =
            (Body::File.opens(self.word(from)) && self.is_name(from + 1) && from + 1 < to).then(|| self.name(from + 1));
        self.items.push(Documented { doc: Vec::new(), kind: ItemKind::Broken { name }, span: self.span(from, to) });
    }

    fn name(&self, k: usize) -> Name {
        Name { text: self.word(k).to_owned(), span: self.span(k, k + 1) }
    }

    fn builder(&mut self, from: usize, level: usize) -> Builder<'_> {
        let base = self.offset(from);
        Builder { file: self.file, base, text: self.text, scan: self.scan, errors: self.errors, level }
    }

    /// Parses the tokens `from..to` and builds from the pair; `None` if the parser stopped (the place is given then).
    fn attempt<T>(
        &mut self,
        rule: Rule,
        from: usize,
        to: usize,
        level: usize,
        build: impl FnOnce(&mut Builder<'_>, Pair<'_>) -> Option<T>,
    ) -> Result<T, (usize, Vec<Rule>)> {
        let (start, end) = (self.offset(from), self.offset(to));
        match NsmParser::parse(rule, &self.text[start..end]) {
            Ok(mut pairs) => {
                let built = pairs.next().and_then(|p| build(&mut self.builder(from, level), p));
                built.ok_or_else(|| {
                    self.errors.push(internal(self.span(from, to)));
                    (start, Vec::new())
                })
            }
            Err(error) => {
                if matches!(error.variant, ErrorVariant::CustomError { .. }) {
                    // pest ran short of stack: too little is left for a nesting that the limit allows.
                    if !self.scan.deep_reported {
                        self.scan.deep_reported = true;
                        self.errors.push(too_deep(self.span(from, from + 1)));
                    }
                    return Err((start, Vec::new()));
                }
                let (at, rules) = place_of(&error);
                Err((start + at, rules.to_vec()))
            }
        }
    }

    /// Reports where the parser stopped, unless something that explains it is reported already (no rules are known then).
    fn report(&mut self, at: usize, rules: &[Rule], body: Body, from: usize, to: usize) -> usize {
        let stop = Stop { file: self.file, text: self.text, tokens: self.tokens, at, rules, body };
        let stopped = stop.index();
        if rules.is_empty() {
            return stopped;
        }
        // The parser takes an unknown opening word for a name and stops after it; the word itself is what is wrong.
        let first = self.word(from);
        let slip = (self.is(from, TokenKind::Word)
            && stopped == from + 1
            && !matches!(self.word(from + 1), "." | "'" | "[" | "=="))
        .then(|| stop.misplaced(first, self.span(from, from + 1)))
        .flatten();
        let error = match slip {
            Some(error) => error,
            None => match self.never_closed(from, to) {
                Some(open) if stopped >= to => unclosed(self.file, self.text, open),
                _ => stop.error(),
            },
        };
        self.errors.push(error);
        stopped
    }

    /// The innermost bracket in `from..to` that is not closed there.
    fn never_closed(&self, from: usize, to: usize) -> Option<Token> {
        let mut open = Vec::new();
        for token in &self.tokens[from..to] {
            match token.kind {
                TokenKind::Open(_) => open.push(*token),
                TokenKind::Close(_) => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.pop()
    }

    fn top_piece(&mut self, from: usize, to: usize) {
        let (at, rules) = match self.attempt(Rule::file, from, to, 0, |b, p| b.file_items(p)) {
            Ok(items) => {
                self.items.extend(items);
                return;
            }
            Err(stop) => stop,
        };
        let before = self.errors.len();
        let whole = match self.word(from) {
            "neuron" | "source" | "modulator" | "environment" => self.model(from, to),
            "plasticity" => self.plasticity(from, to),
            "network" | "region" => self.network(from, to),
            "experiment" => self.experiment(from, to),
            _ => None,
        };
        match whole {
            Some(kind) => {
                let span = self.span(from, to);
                let doc = self.scan.take_docs(self.text, span.start as usize);
                self.items.push(Documented { doc, kind, span });
                if self.errors.len() == before {
                    self.report(at, &rules, Body::File, from, to);
                }
            }
            None => {
                self.report(at, &rules, Body::File, from, to);
                self.broken_item(from, to);
            }
        }
    }

    fn model(&mut self, from: usize, to: usize) -> Option<ItemKind> {
        let (kind, name) = self.attempt(Rule::model_head, from, to, 0, |b, p| b.model_head(p)).ok()?;
        let members = self.body(
            Body::Model,
            Rule::piece_members,
            (from, to),
            |b, p| Parts::of(p).all(Rule::member).map(|p| b.member(p)).collect(),
            |_| MemberKind::Broken,
        )?;
        Some(ItemKind::Model(Model { kind, name, members }))
    }

    fn plasticity(&mut self, from: usize, to: usize) -> Option<ItemKind> {
        let head = |b: &mut Builder<'_>, p: Pair<'_>| b.next_name(&mut Parts::of(p));
        let name = self.attempt(Rule::plasticity_head, from, to, 0, head).ok()?;
        let items = self.body(
            Body::Plasticity,
            Rule::piece_plasticity,
            (from, to),
            |b, p| Parts::of(p).all(Rule::plasticity_item).map(|p| b.plasticity_item(p)).collect(),
            |_| PlasticityKind::Broken,
        )?;
        Some(ItemKind::Plasticity(Plasticity { name, items }))
    }

    fn network(&mut self, from: usize, to: usize) -> Option<ItemKind> {
        let (region, name) = self.attempt(Rule::network_head, from, to, 0, |b, p| b.network_head(p)).ok()?;
        let items = self.body(
            Body::Circuit,
            Rule::piece_circuits,
            (from, to),
            |b, p| Parts::of(p).all(Rule::circuit).map(|p| b.circuit(p)).collect(),
            |name| CircuitKind::Broken { name },
        )?;
        Some(ItemKind::Network(Network { region, name, items }))
    }

    fn experiment(&mut self, from: usize, to: usize) -> Option<ItemKind> {
        let (name, of) = self.attempt(Rule::experiment_head, from, to, 0, |b, p| b.experiment_head(p)).ok()?;
        let body = self.body(
            Body::Experiment,
            Rule::piece_experiment,
            (from, to),
            |b, p| Parts::of(p).all(Rule::experiment_item).map(|p| b.experiment_item(p)).collect(),
            |_| ExperimentKind::Broken,
        )?;
        Some(ItemKind::Experiment(Experiment { name, of, body }))
    }

    /// The members of the item at `from..to`, cut and parsed one by one.
    fn body<T>(
        &mut self,
        body: Body,
        rule: Rule,
        (from, to): (usize, usize),
        build: impl Fn(&mut Builder<'_>, Pair<'_>) -> Option<Vec<Documented<T>>>,
        broken: impl Fn(Option<Name>) -> T,
    ) -> Option<Vec<Documented<T>>> {
        let open = (from..to).find(|k| self.is(*k, TokenKind::Open(b'{')))?;
        let mut members = Vec::new();
        let mut k = open + 1;
        let mut lost_brace = false;
        let closed = loop {
            if k >= to {
                break None;
            }
            if self.word(k) == ";" {
                k += 1;
                continue;
            }
            if self.is(k, TokenKind::Close(b'}')) {
                break Some(k);
            }
            let end = self.item_end(body, k, to).max(k + 1);
            match self.member(body, rule, k, end, &build) {
                Piece::Good(good) => {
                    members.extend(good);
                    k = end;
                }
                Piece::Bad(stopped) => {
                    let name = self.broken_name(body, k, end);
                    let span = self.span(k, end);
                    members.push(Documented { doc: Vec::new(), kind: broken(name), span });
                    // A body's own `}` ends its last member, so this one has taken that for its own.
                    lost_brace |= end == to;
                    // Where a member swallowed the rest, go on from the item that it could not take in.
                    let resume = end == to
                        && stopped > k
                        && stopped < end
                        && self.first_on_line(stopped)
                        && body.opens(self.word(stopped));
                    let next = if resume { stopped } else { end };
                    self.lose(k, next);
                    k = next;
                }
            }
        };
        match closed {
            None if !lost_brace => {
                let error = unclosed(self.file, self.text, self.tokens[open]);
                self.errors.push(error);
            }
            None => {}
            Some(close) => {
                let stray = (close + 1..to).find(|k| self.word(*k) != ";");
                if let Some(stray) = stray {
                    self.stray(stray, lost_brace);
                }
            }
        }
        Some(members)
    }

    fn member<T>(
        &mut self,
        body: Body,
        rule: Rule,
        from: usize,
        to: usize,
        build: impl Fn(&mut Builder<'_>, Pair<'_>) -> Option<Vec<Documented<T>>>,
    ) -> Piece<T> {
        match self.attempt(rule, from, to, 1, |b, p| build(b, p)) {
            Ok(members) => Piece::Good(members),
            Err((at, rules)) => Piece::Bad(self.report(at, &rules, body, from, to)),
        }
    }

    /// Text after the closing brace of an item that starts no item of its own.
    fn stray(&mut self, k: usize, lost_brace: bool) {
        if lost_brace {
            return;
        }
        let token = self.tokens[k];
        let error = if matches!(token.kind, TokenKind::Close(_)) {
            closes_nothing(self.file, self.text, token)
        } else {
            let rules = [Rule::item];
            Stop {
                file: self.file,
                text: self.text,
                tokens: self.tokens,
                at: token.start,
                rules: &rules,
                body: Body::File,
            }
            .error()
        };
        self.errors.push(error);
    }

    /// Takes note of what the broken member at `from..to` may declare. No expression holds two names side by side, so a name
    /// after a word is what that word opens; after a comma it goes on with a list, as in `param a = 1, b = 2`.
    fn lose(&mut self, from: usize, to: usize) {
        let mut depth = 0_usize;
        let labels = self.word(from) == "labels";
        for k in from..to.min(self.tokens.len()) {
            match self.tokens[k].kind {
                TokenKind::Open(b'(' | b'[') => depth += 1,
                TokenKind::Close(b')' | b']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            let Some(before) = k.checked_sub(1).filter(|b| *b >= from && self.is_name(k)) else { continue };
            let opened =
                self.is(before, TokenKind::Word) && matches!(self.word(before), "as" | "for") || self.is_name(before);
            let listed = depth == 0 && self.word(before) == "," && matches!(self.word(k + 1), "=" | ":" | "in");
            if opened || listed || labels {
                let name = self.word(k).to_owned();
                self.lost.push(name);
            }
        }
    }

    /// The name a broken member would have had: `population E`, `projection rec:`.
    fn broken_name(&self, body: Body, from: usize, to: usize) -> Option<Name> {
        let named = match self.word(from) {
            "projection" => self.word(from + 2) == ":",
            "port" => return (from + 2 < to && self.is_name(from + 2)).then(|| self.name(from + 2)),
            word => body.opens(word) || !is_reserved(word),
        };
        (named && from + 1 < to && self.is_name(from + 1)).then(|| self.name(from + 1))
    }
}
