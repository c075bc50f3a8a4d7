//! The part of TypeScript that the page's declarations are written in: types of plain data, and whether a JSON value is of one.

use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
enum Type {
    /// A primitive, a declared type, or one of TypeScript's own, like `Record`, with its arguments.
    Named(String, Vec<Type>),
    /// A text such as `'last'`.
    Literal(String),
    /// A text with a part that varies, such as `` `layer(${number})` ``: what comes before it and after it.
    Template(String, String),
    Array(Box<Type>),
    Tuple(Vec<Type>),
    Object(Object),
    Union(Vec<Type>),
    Intersection(Vec<Type>),
    /// A function, which is no data.
    Function,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Object {
    fields: BTreeMap<String, Field>,
    /// The type of fields that are not declared by name, where there may be any.
    others: Option<Box<Type>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    optional: bool,
    of: Type,
}

/// The interfaces and types that a file declares.
pub struct Declarations(BTreeMap<String, Type>);

impl Declarations {
    /// Reads the text of a `.d.ts` file.
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut declared = BTreeMap::new();
        while parser.at < parser.tokens.len() {
            let is_interface = parser.eat_word("interface");
            if !is_interface && !parser.eat_word("type") {
                parser.at += 1;
                continue;
            }
            let Some(name) = parser.word() else { continue }; // `import type { … }`
            if parser.is('<') {
                parser.skip_balanced();
            }
            let of = if is_interface {
                let bases = if parser.eat_word("extends") { parser.list('{') } else { Vec::new() };
                let own = Type::Object(parser.object());
                if bases.is_empty() { own } else { Type::Intersection([bases, vec![own]].concat()) }
            } else {
                parser.expect('=');
                parser.union()
            };
            declared.insert(name, of);
        }
        Self(declared)
    }

    /// Lists where `value` is not of the type `name`: fields that are not declared, fields that it lacks, other primitives.
    /// `added` are fields of the type that `value` gets later.
    pub fn problems(&self, name: &str, value: &Value, added: &[&str]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut fields = self.fields(&Type::Named(name.into(), vec![]));
        match (&mut fields, added) {
            (None, []) => self.check(&Type::Named(name.into(), vec![]), value, name, &mut problems),
            (None, _) => problems.push(format!("{name} is not an object that is declared")),
            (Some(fields), _) => {
                for field in added {
                    if fields.fields.remove(*field).is_none() {
                        problems.push(format!("{name}.{field} is not declared"));
                    }
                }
                self.check(&Type::Object(fields.clone()), value, name, &mut problems);
            }
        }
        problems
    }

    fn check(&self, of: &Type, value: &Value, path: &str, problems: &mut Vec<String>) {
        let mut expect = |right: bool, declared: &str| {
            if !right {
                problems.push(format!("{path} is {value}, declared as {declared}"));
            }
        };
        match of {
            Type::Named(name, arguments) => match (name.as_str(), &arguments[..]) {
                ("any" | "unknown", _) => {}
                ("null" | "undefined", _) => expect(value.is_null(), name),
                ("boolean", _) => expect(value.is_boolean(), name),
                ("number", _) => expect(value.is_number(), name),
                ("string", _) => expect(value.is_string(), name),
                ("Record", [_, of]) => {
                    let others = Some(Box::new(of.clone()));
                    let object = Object { others, ..Object::default() };
                    self.check(&Type::Object(object), value, path, problems);
                }
                _ => match (self.fields(of), self.0.get(name)) {
                    (Some(object), _) => self.check(&Type::Object(object), value, path, problems),
                    (None, Some(of)) => self.check(of, value, path, problems),
                    (None, None) => {
                        problems.push(format!("{path} is of the type {name}, which is not known"))
                    }
                },
            },
            Type::Literal(text) => expect(value == text, &format!("'{text}'")),
            Type::Template(start, end) => {
                let right = value.as_str().is_some_and(|text| text.starts_with(start) && text.ends_with(end));
                expect(right, &format!("`{start}…{end}`"));
            }
            Type::Array(of) => match value.as_array() {
                Some(values) => {
                    for (i, value) in values.iter().enumerate() {
                        self.check(of, value, &format!("{path}[{i}]"), problems);
                    }
                }
                None => expect(false, "an array"),
            },
            Type::Tuple(types) => match value.as_array().filter(|values| values.len() == types.len()) {
                Some(values) => {
                    for (i, (of, value)) in types.iter().zip(values).enumerate() {
                        self.check(of, value, &format!("{path}[{i}]"), problems);
                    }
                }
                None => expect(false, &format!("{} values", types.len())),
            },
            Type::Object(object) => match value.as_object() {
                Some(values) => self.check_object(object, values, path, problems),
                None => expect(false, "an object"),
            },
            Type::Union(types) => {
                // The alternative with the fewest faults is the one that was meant.
                let faults = types.iter().map(|of| {
                    let mut faults = Vec::new();
                    self.check(of, value, path, &mut faults);
                    faults
                });
                let is_structure = value.is_object() || value.is_array();
                match faults.min_by_key(Vec::len).unwrap_or_default() {
                    faults if faults.is_empty() || is_structure => problems.extend(faults),
                    _ => expect(false, "one of several that it is not"),
                }
            }
            Type::Intersection(_) => match self.fields(of) {
                Some(object) => self.check(&Type::Object(object), value, path, problems),
                None => expect(false, "an intersection of what are not objects"),
            },
            Type::Function => expect(false, "a function"),
        }
    }

    fn check_object(
        &self,
        object: &Object,
        values: &serde_json::Map<String, Value>,
        path: &str,
        problems: &mut Vec<String>,
    ) {
        for (name, value) in values {
            let of = object.fields.get(name).map(|field| &field.of).or(object.others.as_deref());
            match of {
                Some(of) => self.check(of, value, &format!("{path}.{name}"), problems),
                None => problems.push(format!("{path}.{name} is not declared")),
            }
        }
        for (name, field) in &object.fields {
            if !field.optional && !values.contains_key(name) {
                problems.push(format!("{path}.{name} is declared, but is not there"));
            }
        }
    }

    /// The fields of an object, of an intersection, or of what `Pick`, `Omit` and `Partial` make of one.
    fn fields(&self, of: &Type) -> Option<Object> {
        match of {
            Type::Object(object) => Some(object.clone()),
            Type::Intersection(types) => {
                let mut all = Object::default();
                for of in types {
                    let object = self.fields(of)?;
                    all.fields.extend(object.fields);
                    all.others = all.others.or(object.others);
                }
                Some(all)
            }
            Type::Named(name, arguments) => match (name.as_str(), &arguments[..]) {
                ("Partial", [of]) => {
                    let mut object = self.fields(of)?;
                    object.fields.values_mut().for_each(|field| field.optional = true);
                    Some(object)
                }
                ("Readonly", [of]) => self.fields(of),
                ("Pick" | "Omit", [of, keys]) => {
                    let keys = match keys {
                        Type::Union(keys) => &keys[..],
                        key => std::slice::from_ref(key),
                    };
                    let mut object = self.fields(of)?;
                    object
                        .fields
                        .retain(|field, _| keys.contains(&Type::Literal(field.clone())) == (name == "Pick"));
                    Some(object)
                }
                _ => self.fields(self.0.get(name)?),
            },
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Template(String),
    /// A sign; `=>` is the one of two characters, and stands here as `→`.
    Sign(char),
}

/// The tokens of a file, without its comments.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").expect("a comment's end") + 2
        } else if rest.starts_with("=>") {
            tokens.push(Token::Sign('→'));
            2
        } else if ['\'', '"', '`'].contains(&first) {
            let len = rest[1..].find(first).expect("a text's end");
            let text = rest[1..=len].to_string();
            tokens.push(if first == '`' { Token::Template(text) } else { Token::Text(text) });
            len + 2
        } else if first.is_alphanumeric() || first == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..len].into()));
            len
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[len..];
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn is(&self, sign: char) -> bool {
        self.tokens.get(self.at) == Some(&Token::Sign(sign))
    }

    fn eat(&mut self, sign: char) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, sign: char) {
        assert!(self.eat(sign), "`{sign}` is expected, not {:?}", &self.tokens[self.at..][..4]);
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is = self.tokens.get(self.at) == Some(&Token::Word(word.into()));
        self.at += usize::from(is);
        is
    }

    fn word(&mut self) -> Option<String> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => {
                self.at += 1;
                Some(word.clone())
            }
            _ => None,
        }
    }

    /// Passes over `(…)`, `<…>` or `[…]` with all that is in it.
    fn skip_balanced(&mut self) {
        let mut depth = 0;
        loop {
            match self.tokens[self.at] {
                Token::Sign('(' | '<' | '[' | '{') => depth += 1,
                Token::Sign(')' | '>' | ']' | '}') => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Types with commas between them, up to `end`, which stays.
    fn list(&mut self, end: char) -> Vec<Type> {
        let mut types = Vec::new();
        while !self.is(end) {
            types.push(self.union());
            self.eat(',');
        }
        types
    }

    fn union(&mut self) -> Type {
        self.eat('|');
        let mut types = vec![self.intersection()];
        while self.eat('|') {
            types.push(self.intersection());
        }
        if types.len() == 1 { types.remove(0) } else { Type::Union(types) }
    }

    fn intersection(&mut self) -> Type {
        let mut types = vec![self.array()];
        while self.eat('&') {
            types.push(self.array());
        }
        if types.len() == 1 { types.remove(0) } else { Type::Intersection(types) }
    }

    fn array(&mut self) -> Type {
        let mut of = self.single();
        while self.eat('[') {
            self.expect(']');
            of = Type::Array(Box::new(of));
        }
        of
    }

    fn single(&mut self) -> Type {
        let token = self.tokens[self.at].clone();
        match token {
            Token::Sign('{') => Type::Object(self.object()),
            Token::Sign('(') => self.function_or_group(),
            Token::Sign('[') => {
                self.at += 1;
                let types = self.list(']');
                self.expect(']');
                Type::Tuple(types)
            }
            Token::Text(text) => {
                self.at += 1;
                Type::Literal(text)
            }
            Token::Template(text) => {
                self.at += 1;
                let start = text.split("${").next().unwrap_or_default().to_string();
                let end = text.rsplit('}').next().unwrap_or_default().to_string();
                Type::Template(start, end)
            }
            Token::Word(name) => {
                self.at += 1;
                let mut arguments = Vec::new();
                if self.eat('<') {
                    arguments = self.list('>');
                    self.expect('>');
                }
                Type::Named(name, arguments)
            }
            Token::Sign(sign) => panic!("a type is expected, not `{sign}`"),
        }
    }

    fn function_or_group(&mut self) -> Type {
        let start = self.at;
        self.skip_balanced();
        if self.eat('→') {
            self.union();
            return Type::Function;
        }
        self.at = start + 1;
        let of = self.union();
        self.expect(')');
        of
    }

    fn object(&mut self) -> Object {
        let mut object = Object::default();
        self.expect('{');
        while !self.eat('}') {
            if self.eat(';') || self.eat(',') || self.eat_word("readonly") {
                continue;
            }
            if self.is('[') {
                self.skip_balanced();
                self.expect(':');
                object.others = Some(Box::new(self.union()));
                continue;
            }
            let name = match self.tokens[self.at].clone() {
                Token::Word(name) | Token::Text(name) => name,
                token => panic!("a field's name is expected, not {token:?}"),
            };
            self.at += 1;
            let optional = self.eat('?');
            let is_method = self.is('(') || self.is('<');
            while self.is('(') || self.is('<') {
                self.skip_balanced();
            }
            self.expect(':');
            let of = self.union();
            let of = if is_method { Type::Function } else { of };
            object.fields.insert(name, Field { optional, of });
        }
        object
    }
}
