//! Where a request goes: its origin, and what its first line asks for.

use std::collections::BTreeMap;

use http::Uri;

use super::super::Origin;
use super::super::address;
use super::super::request::Part;
use super::super::template::{Escape, Template};
use super::Compiler;

impl Compiler<'_> {
    pub(super) fn target(
        &mut self,
        path: &str,
        query: &BTreeMap<String, toml::Value>,
    ) -> Result<(usize, Part), String> {
        if address::is_link(path) {
            return self.link(path, query);
        }
        let absolute = if address::is_whole(path) {
            path.to_owned()
        } else if self.base.is_empty() {
            return Err(format!(
                "`{path}` is a path, but the target has no address; write `url` under `[target]` \
                 or a whole address here"
            ));
        } else if path.is_empty() || path.starts_with('?') {
            format!("{}{path}", self.base)
        } else if path.starts_with('/') {
            format!("{}{path}", self.base.trim_end_matches('/'))
        } else {
            return Err(format!(
                "`{path}` must begin with `/`, `http://` or `https://`"
            ));
        };
        let absolute = address::normal(&absolute)?;
        let (origin, rest) = Origin::split(&absolute)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let text = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let mut template = Template::parse(&text, &self.names(), Escape::Url)?;
        if !query.is_empty() {
            let sign = if text.contains('?') { "&" } else { "?" };
            template.append(Template::parse(sign, &self.names(), Escape::Url)?);
            template.append(self.pairs(query).map_err(|m| format!("`query`: {m}"))?);
        }
        if let Some(text) = template.constant() {
            text.parse::<Uri>()
                .map_err(|e| format!("`{text}` is not valid in an address: {e}"))?;
        }
        Ok((self.origin(origin), Part::new(template)))
    }

    /// The number of an origin.
    pub(super) fn origin(&mut self, origin: Origin) -> usize {
        let known = self.origins.iter().position(|o| *o == origin);
        known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        })
    }

    /// An address that an answer gave: read when it is there.
    pub(super) fn link(
        &mut self,
        path: &str,
        query: &BTreeMap<String, toml::Value>,
    ) -> Result<(usize, Part), String> {
        if !query.is_empty() {
            return Err(
                "`query` does not go with a whole address from an answer; remove it".to_owned(),
            );
        }
        let (origin, _) = Origin::split(&address::normal(self.base)?)?;
        let template = Template::parse(path.trim(), &self.names(), Escape::Url)?;
        Ok((self.origin(origin), Part::new(template)))
    }

    /// The path of a request as it is written, behind that of the target's address where it has
    /// one.
    pub(super) fn shown_target(&self, path: &str) -> String {
        if path.contains("://") || address::is_link(path) {
            return path.to_owned();
        }
        let base = Origin::split(self.base).map_or("", |(_, base)| base);
        let whole = format!("{}{path}", base.trim_end_matches('/'));
        if whole.starts_with('/') {
            whole
        } else {
            format!("/{whole}")
        }
    }
}
