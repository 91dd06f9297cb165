//! Rewrites a source file so that each of its mutants can be selected at run time.

use crate::list::{Mutant, Position, Status};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Ident};

/// A part of the source that is written as a choice between itself and its mutants.
struct Choice {
    range: Range<usize>,
    kind: Kind,
    mutants: Vec<(usize, String)>,
}

enum Kind {
    /// Before the first statement of a function. The range is empty.
    Function,
    Binary {
        left: Range<usize>,
        operator: String,
        right: Range<usize>,
        lazy: bool,
    },
    Unary {
        operand: Range<usize>,
    },
    /// After the pattern of an arm. The range is empty.
    Arm,
    Guard,
    Field {
        name: String,
        value: Range<usize>,
        base: Range<usize>,
    },
    /// The keyword `const` of a function, which is left out.
    Const,
}

/// A rewritten file, and which mutants each of its parts contains.
pub struct Rewritten {
    pub text: String,
    pub parts: Vec<(Range<usize>, Vec<usize>)>,
}

/// Rewrites the file, and changes the status of mutants that cannot be selected at run time.
pub fn rewrite(source: &str, path: &str, mutants: &mut [&mut Mutant]) -> Rewritten {
    let file = syn::parse_file(source).expect("a source file");
    let mut starts = HashMap::<usize, Vec<usize>>::new();
    for (index, mutant) in mutants.iter().enumerate() {
        starts.entry(offset(source, mutant.span.start)).or_default().push(index);
    }
    let mut constants = FindsConstants(HashSet::new());
    constants.visit_file(&file);
    let called_by_constants = constants.0;
    let mut finder = Finder { source, mutants, starts, choices: Vec::new(), called_by_constants, is_constant: false };
    finder.visit_file(&file);
    let Finder { starts, mut choices, .. } = finder;
    for index in starts.into_values().flatten() {
        mutants[index].status = Status::Unswitchable;
    }
    // An insertion before an expression is not a part of it.
    choices.sort_by_key(|Choice { range, .. }| (range.start, !range.is_empty(), std::cmp::Reverse(range.end)));
    let mut writer = Writer { source, path, choices: &choices, text: String::new(), parts: Vec::new() };
    writer.copy(0..source.len(), 0..choices.len());
    Rewritten { text: writer.text, parts: writer.parts }
}

/// The byte at a position.
fn offset(source: &str, position: Position) -> usize {
    let line: usize = source.split_inclusive('\n').take(position.line - 1).map(str::len).sum();
    let rest = &source[line..];
    line + rest.char_indices().nth(position.column - 1).map_or(rest.len(), |(index, _)| index)
}

struct Finder<'a, 'b> {
    source: &'a str,
    mutants: &'a mut [&'b mut Mutant],
    /// Indexes of mutants that were not found yet, by the start of their spans.
    starts: HashMap<usize, Vec<usize>>,
    choices: Vec<Choice>,
    called_by_constants: HashSet<Ident>,
    is_constant: bool,
}

impl Finder<'_, '_> {
    fn add(&mut self, genre: &str, start: usize, range: Range<usize>, kind: Kind) {
        if self.is_constant {
            return;
        }
        let Some(indexes) = self.starts.get_mut(&start) else { return };
        let found: Vec<usize> = indexes.extract_if(.., |index| self.mutants[*index].genre == genre).collect();
        let mutants = found.into_iter().map(|index| &self.mutants[index]);
        let mutants: Vec<_> = mutants
            .filter(|mutant| mutant.status == Status::Switched)
            .map(|mutant| (mutant.number, mutant.replacement.clone()))
            .collect();
        if !mutants.is_empty() {
            self.choices.push(Choice { range, kind, mutants });
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        if let Some(keyword) = signature.constness
            && !self.called_by_constants.contains(&signature.ident)
        {
            self.choices.push(Choice { range: keyword.span().byte_range(), kind: Kind::Const, mutants: Vec::new() });
        }
        // A function has one type, and an early return of another value can have another.
        let mut opaque = FindsOpaque(false);
        opaque.visit_return_type(&signature.output);
        if let (false, Some(first)) = (opaque.0, block.stmts.first()) {
            let start = first.span().byte_range().start;
            self.add("FnValue", start, start..start, Kind::Function);
        }
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let was_constant = std::mem::replace(&mut self.is_constant, true);
        visit(self);
        self.is_constant = was_constant;
    }
}

/// Whether the expression is a `let` of a chain of conditions, whose operators have no alternative.
fn contains_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => contains_let(&binary.left) || contains_let(&binary.right),
        _ => false,
    }
}

/// Finds the functions that constants of the file call, which must stay constant.
struct FindsConstants(HashSet<Ident>);

impl Visit<'_> for FindsConstants {
    fn visit_item_const(&mut self, item: &syn::ItemConst) {
        let mut names = FindsNames(&mut self.0);
        names.visit_expr(&item.expr);
    }
}

struct FindsNames<'a>(&'a mut HashSet<Ident>);

impl Visit<'_> for FindsNames<'_> {
    fn visit_ident(&mut self, ident: &Ident) {
        self.0.insert(ident.clone());
    }
}

struct FindsOpaque(bool);

impl Visit<'_> for FindsOpaque {
    fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
        self.0 = true;
    }
}

impl<'ast> Visit<'ast> for Finder<'_, '_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let is_constant = self.called_by_constants.contains(&item.sig.ident);
        let was_constant = std::mem::replace(&mut self.is_constant, is_constant);
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
        self.is_constant = was_constant;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|finder| visit::visit_item_const(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(|finder| visit::visit_item_static(finder, item));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.constant(|finder| visit::visit_type_array(finder, array));
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
        self.constant(|finder| finder.visit_expr(&repeat.len));
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let start = binary.op.span().byte_range().start;
        if contains_let(&binary.left) || contains_let(&binary.right) {
            for index in self.starts.remove(&start).into_iter().flatten() {
                self.mutants[index].status = Status::Unviable;
            }
        }
        let kind = Kind::Binary {
            left: binary.left.span().byte_range(),
            operator: self.source[binary.op.span().byte_range()].to_owned(),
            right: binary.right.span().byte_range(),
            lazy: matches!(binary.op, BinOp::And(_) | BinOp::Or(_)),
        };
        self.add("BinaryOperator", start, binary.span().byte_range(), kind);
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let range = unary.span().byte_range();
        let kind = Kind::Unary { operand: unary.expr.span().byte_range() };
        self.add("UnaryOperator", unary.op.span().byte_range().start, range, kind);
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        // An arm with a guard does not count when rustc tests whether the arms are exhaustive.
        if expression.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none()) {
            for arm in &expression.arms {
                let end = arm.pat.span().byte_range().end;
                self.add("MatchArm", arm.span().byte_range().start, end..end, Kind::Arm);
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard {
            let range = guard.span().byte_range();
            self.add("MatchArmGuard", range.start, range, Kind::Guard);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        if let Some(base) = &expression.rest {
            for field in &expression.fields {
                let range = field.span().byte_range();
                let value = field.expr.span().byte_range();
                let syn::Member::Named(name) = &field.member else { continue };
                let kind = Kind::Field { name: name.to_string(), value, base: base.span().byte_range() };
                self.add("StructField", range.start, range, kind);
            }
        }
        visit::visit_expr_struct(self, expression);
    }
}

struct Writer<'a> {
    source: &'a str,
    /// The path of the function that tells whether a mutant is selected.
    path: &'a str,
    choices: &'a [Choice],
    text: String,
    parts: Vec<(Range<usize>, Vec<usize>)>,
}

impl Writer<'_> {
    /// Writes this range of the source with these choices.
    fn copy(&mut self, range: Range<usize>, choices: Range<usize>) {
        let mut position = range.start;
        let mut next = choices.start;
        while next < choices.end {
            let choice = &self.choices[next];
            // The choices inside of this one follow it.
            let mut inner = next + 1;
            while inner < choices.end && self.choices[inner].range.start < choice.range.end {
                inner += 1;
            }
            self.text.push_str(&self.source[position..choice.range.start]);
            let start = self.text.len();
            self.choose(choice, next + 1..inner);
            let numbers: Vec<usize> = choice.mutants.iter().map(|mutant| mutant.0).collect();
            if !numbers.is_empty() {
                self.parts.push((start..self.text.len(), numbers));
            }
            position = choice.range.end;
            next = inner;
        }
        self.text.push_str(&self.source[position..range.end]);
    }

    /// Writes this range with those of the choices that are inside of it.
    fn copy_inside(&mut self, range: &Range<usize>, choices: &Range<usize>) {
        let inside = |choice: &Choice| range.start <= choice.range.start && choice.range.end <= range.end;
        let all = &self.choices[choices.clone()];
        let first = all.iter().position(inside).unwrap_or(0);
        let count = all.iter().filter(|choice| inside(choice)).count();
        self.copy(range.clone(), choices.start + first..choices.start + first + count);
    }

    fn condition(&self, mutant: usize) -> String {
        format!("{}({mutant})", self.path)
    }

    /// Writes a part that belongs to one mutant.
    fn part(&mut self, mutant: usize, write: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        write(self);
        self.parts.push((start..self.text.len(), vec![mutant]));
    }

    fn choose(&mut self, choice: &Choice, inner: Range<usize>) {
        match &choice.kind {
            Kind::Const => {}
            Kind::Function => {
                for (mutant, replacement) in &choice.mutants {
                    let condition = self.condition(*mutant);
                    self.part(*mutant, |writer| {
                        writer.text.push_str(&format!("if {condition} {{ return {replacement}; }} "));
                    });
                }
            }
            Kind::Arm => {
                let (mutant, _) = choice.mutants[0];
                let condition = self.condition(mutant);
                self.part(mutant, |writer| writer.text.push_str(&format!(" if !{condition}")));
            }
            Kind::Guard => {
                self.text.push('(');
                for (mutant, replacement) in &choice.mutants {
                    let condition = self.condition(*mutant);
                    let choice =
                        if replacement == "true" { format!("{condition} ||") } else { format!("!{condition} &&") };
                    self.text.push_str(&format!("{choice} ("));
                }
                self.copy_inside(&choice.range, &inner);
                self.text.push_str(&")".repeat(choice.mutants.len() + 1));
            }
            Kind::Binary { left, operator, right, lazy } => {
                self.text.push('(');
                // The left side of a chain of conditions is written once, so that the chain does not double with each.
                if *lazy {
                    self.text.push_str("match ");
                    self.copy_inside(left, &inner);
                    self.text.push_str(" { mutant_left => ");
                }
                let write = |writer: &mut Self, operator: &str| {
                    if *lazy {
                        writer.text.push_str("mutant_left");
                    } else {
                        writer.copy_inside(left, &inner);
                    }
                    writer.text.push_str(&format!(" {operator} "));
                    writer.copy_inside(right, &inner);
                };
                for (mutant, replacement) in &choice.mutants {
                    self.text.push_str(&format!("if {} {{ ", self.condition(*mutant)));
                    self.part(*mutant, |writer| write(writer, replacement));
                    self.text.push_str(" } else ");
                }
                self.text.push_str("{ ");
                write(self, operator);
                self.text.push_str(if *lazy { " } })" } else { " })" });
            }
            Kind::Unary { operand } => {
                let (mutant, _) = choice.mutants[0];
                self.text.push_str(&format!("(if {} {{ ", self.condition(mutant)));
                self.part(mutant, |writer| writer.copy_inside(operand, &inner));
                self.text.push_str(" } else { ");
                let operator = choice.range.start..operand.start;
                self.text.push_str(&self.source[operator]);
                self.copy_inside(operand, &inner);
                self.text.push_str(" })");
            }
            Kind::Field { name, value, base } => {
                let (mutant, _) = choice.mutants[0];
                self.text.push_str(&format!("{name}: (if {} {{ (", self.condition(mutant)));
                let base = self.source[base.clone()].to_owned();
                self.part(mutant, |writer| writer.text.push_str(&format!("{base}).{name}")));
                self.text.push_str(" } else { ");
                self.copy_inside(value, &inner);
                self.text.push_str(" })");
            }
        }
    }
}
