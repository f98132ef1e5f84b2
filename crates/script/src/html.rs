//! `k6/html`: documents are parsed and searched here, and walked in JavaScript.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use ego_tree::{NodeId, NodeRef};
use html5ever::ParseOpts;
use html5ever::tendril::{StrTendril, TendrilSink};
use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, Function, IntoJs, Object, Result, Value};
use scraper::{ElementRef, Html, HtmlTreeSink, Node, Selector};

#[cfg(test)]
mod tests;

/// The longest document, bytes.
const MAX_HTML: usize = 8 << 20;
/// Elements within elements, as deep as browsers nest them.
const MAX_DEPTH: usize = 512;
/// The most nodes of a document.
const MAX_NODES: usize = 500_000;
/// How much is parsed before the result is looked at, bytes.
const PIECE: usize = 1_024;
/// The longest selector, bytes.
const MAX_SELECTOR: usize = 4_096;
/// Selectors of a document that are kept once they are read.
const KEPT_SELECTORS: usize = 64;
/// Nodes that one search looks at.
const MAX_LOOKS: usize = 20_000_000;

/// A parsed document. Its nodes have numbers in document order; the document itself is 0.
struct Document {
    html: Html,
    nodes: Vec<NodeId>,
    numbers: HashMap<NodeId, u32>,
    selectors: RefCell<HashMap<String, Rc<Selector>>>,
}

impl Document {
    /// In pieces: how long a piece takes and how many nodes it makes grows with how deep the
    /// elements before it are nested.
    fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        if text.len() > MAX_HTML {
            return Err("the document has more than 8 MiB");
        }
        let sink = HtmlTreeSink::new(Html::new_document());
        let mut parser = html5ever::parse_document(sink, ParseOpts::default());
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            rest = after;
            parser.process(StrTendril::from(piece));
            let tree = &parser.tokenizer.sink.sink.0.borrow().tree;
            let last = tree.nodes().next_back();
            if last.is_some_and(|node| node.ancestors().count() > MAX_DEPTH) {
                return Err("the document's elements are nested more than 512 deep");
            }
            if tree.nodes().len() > MAX_NODES {
                return Err("the document has more than 500000 nodes");
            }
        }
        let html = parser.finish();
        let nodes: Vec<NodeId> = html
            .tree
            .root()
            .descendants()
            .map(|node| node.id())
            .collect();
        let numbers = (0..)
            .zip(&nodes)
            .map(|(number, id)| (*id, number))
            .collect();
        Ok(Self {
            html,
            nodes,
            numbers,
            selectors: RefCell::default(),
        })
    }

    fn node(&self, number: u32) -> Option<NodeRef<'_, Node>> {
        let id = self.nodes.get(usize::try_from(number).ok()?)?;
        self.html.tree.get(*id)
    }

    fn element(&self, number: u32) -> Option<ElementRef<'_>> {
        ElementRef::wrap(self.node(number)?)
    }

    fn number(&self, node: NodeRef<'_, Node>) -> Option<u32> {
        self.numbers.get(&node.id()).copied()
    }

    fn numbers<'a>(&self, nodes: impl Iterator<Item = NodeRef<'a, Node>>) -> Vec<u32> {
        nodes.filter_map(|node| self.number(node)).collect()
    }

    fn selector(&self, text: &str) -> std::result::Result<Rc<Selector>, String> {
        let mut kept = self.selectors.borrow_mut();
        if let Some(selector) = kept.get(text) {
            return Ok(Rc::clone(selector));
        }
        if text.len() > MAX_SELECTOR {
            return Err("the selector has more than 4096 bytes".to_owned());
        }
        let selector = Selector::parse(text)
            .map_err(|e| format!("`{text}` is not a selector that is supported: {e}"))?;
        if kept.len() >= KEPT_SELECTORS {
            kept.clear();
        }
        let selector = Rc::new(selector);
        kept.insert(text.to_owned(), Rc::clone(&selector));
        Ok(selector)
    }

    /// What a selector finds within nodes, each once.
    fn find(&self, within: &[u32], selector: &str) -> std::result::Result<Vec<u32>, String> {
        let selector = self.selector(selector)?;
        let (mut found, mut seen, mut looks) = (Vec::new(), HashSet::new(), 0);
        for root in within {
            // What is within another one was searched with it.
            if seen.contains(root) {
                continue;
            }
            let Some(node) = self.node(*root) else {
                continue;
            };
            for node in node.descendants().skip(1) {
                looks += 1;
                if looks > MAX_LOOKS {
                    return Err("the search takes too long; search in fewer elements".to_owned());
                }
                let Some(number) = self.number(node) else {
                    continue;
                };
                let is_new = seen.insert(number);
                let element = ElementRef::wrap(node).filter(|_| is_new);
                if element.is_some_and(|element| selector.matches(&element)) {
                    found.push(number);
                }
            }
        }
        Ok(found)
    }

    /// Those of some nodes that a selector is about.
    fn filter(&self, nodes: &[u32], selector: &str) -> std::result::Result<Vec<u32>, String> {
        let selector = self.selector(selector)?;
        let is_one = |node: &&u32| {
            self.element(**node)
                .is_some_and(|element| selector.matches(&element))
        };
        Ok(nodes.iter().filter(is_one).copied().collect())
    }

    fn text(&self, number: u32) -> String {
        let texts = self
            .node(number)
            .into_iter()
            .flat_map(|node| node.descendants());
        texts
            .filter_map(|node| node.value().as_text().map(|text| &**text))
            .collect()
    }

    /// Related nodes: all nodes or elements only.
    fn related(&self, number: u32, how: &str) -> Vec<u32> {
        let Some(node) = self.node(number) else {
            return Vec::new();
        };
        let is_element = |node: &NodeRef<'_, Node>| node.value().is_element();
        match how {
            "contents" => self.numbers(node.children()),
            "children" => self.numbers(node.children().filter(is_element)),
            "parents" => self.numbers(node.ancestors().filter(is_element)),
            "next" => self.numbers(node.next_siblings().filter(is_element)),
            "previous" => self.numbers(node.prev_siblings().filter(is_element)),
            "parentNode" => self.numbers(node.parent().into_iter()),
            "nextNode" => self.numbers(node.next_sibling().into_iter()),
            "previousNode" => self.numbers(node.prev_sibling().into_iter()),
            _ => Vec::new(),
        }
    }
}

/// Where the first piece of a text ends.
fn piece_end(text: &str) -> usize {
    let ends = (PIECE..text.len()).find(|at| text.is_char_boundary(*at));
    ends.unwrap_or(text.len())
}

/// The type of a node, as the DOM numbers them.
fn kind(node: &Node) -> u32 {
    match node {
        Node::Element(_) => 1,
        Node::Text(_) => 3,
        Node::ProcessingInstruction(_) => 7,
        Node::Comment(_) => 8,
        Node::Document => 9,
        Node::Doctype(_) => 10,
        Node::Fragment => 11,
    }
}

/// One question about a document, with the nodes and the text that it is about.
fn answer<'js>(
    ctx: &Ctx<'js>,
    document: &Document,
    question: &str,
    nodes: &[u32],
    text: &str,
) -> Result<Value<'js>> {
    let thrown = |message: String| Exception::throw_message(ctx, &message);
    let first = nodes.first().copied().unwrap_or(u32::MAX);
    let element = document.element(first);
    match question {
        "find" => document.find(nodes, text).map_err(thrown)?.into_js(ctx),
        "filter" => document.filter(nodes, text).map_err(thrown)?.into_js(ctx),
        "text" => {
            let texts: String = nodes.iter().map(|node| document.text(*node)).collect();
            texts.into_js(ctx)
        }
        "inner" => match (element, document.node(first)) {
            (Some(element), _) => element.inner_html().into_js(ctx),
            (None, Some(node)) if node.value().is_document() => document.html.html().into_js(ctx),
            _ => document.text(first).into_js(ctx),
        },
        "outer" => element.map(|element| element.html()).into_js(ctx),
        "attribute" => element.and_then(|element| element.attr(text)).into_js(ctx),
        "attributes" => {
            let attributes = element
                .into_iter()
                .flat_map(|element| element.value().attrs());
            let pairs: Vec<Vec<&str>> = attributes.map(|(name, value)| vec![name, value]).collect();
            pairs.into_js(ctx)
        }
        "name" => match document.node(first).map(|node| node.value()) {
            Some(Node::Element(element)) => element.name().into_js(ctx),
            Some(Node::Text(_)) => "#text".into_js(ctx),
            Some(Node::Comment(_)) => "#comment".into_js(ctx),
            Some(Node::Document) => "#document".into_js(ctx),
            Some(Node::Doctype(doctype)) => doctype.name().into_js(ctx),
            _ => "".into_js(ctx),
        },
        "kind" => document
            .node(first)
            .map(|node| kind(node.value()))
            .into_js(ctx),
        "value" => match document.node(first).map(|node| node.value()) {
            Some(Node::Text(value)) => (&**value).into_js(ctx),
            Some(Node::Comment(value)) => (&**value).into_js(ctx),
            _ => Ok(Value::new_undefined(ctx.clone())),
        },
        how => document.related(first, how).into_js(ctx),
    }
}

/// A document, as a function that answers questions about it.
fn parse<'js>(ctx: Ctx<'js>, text: String) -> Result<Function<'js>> {
    let document =
        Document::parse(&text).map_err(|message| Exception::throw_range(&ctx, message))?;
    let ask = move |ctx: Ctx<'js>,
                    question: String,
                    nodes: Vec<u32>,
                    text: Opt<String>|
          -> Result<Value<'js>> {
        answer(
            &ctx,
            &document,
            &question,
            &nodes,
            text.0.as_deref().unwrap_or(""),
        )
    };
    Function::new(ctx, ask)
}

/// The exports of `k6/html`.
pub(crate) fn install_html<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let make: Function = ctx.eval(include_str!("js/html.js"))?;
    make.call((Function::new(ctx.clone(), parse)?,))
}
