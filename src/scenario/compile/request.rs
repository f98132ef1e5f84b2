//! What a step sends, and what it expects of the answer's status and body.

use std::collections::BTreeMap;

use http::Method;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};

use super::super::address;
use super::super::check::Check;
use super::super::request::Part;
use super::super::spec::{BasicAuthSpec, StepSpec};
use super::super::template::{Escape, Template};
use super::super::websocket::request_address;
use super::super::{Expect, RequestTemplate};
use super::{AGENT, Compiler, status};
use crate::secret;
use crate::secret::masked;

impl<'a> Compiler<'a> {
    pub(super) fn request(
        &mut self,
        step: &'a StepSpec,
        method: Method,
        path: &str,
        own: &[(HeaderName, String)],
    ) -> Result<RequestTemplate, String> {
        let filled = secret::fill(path, self.secrets)?;
        // An error quotes what is wrong: not what was filled in.
        let address = if step.connect.is_some() {
            request_address(&filled)
        } else {
            filled.clone()
        };
        let (origin, target) = self.target(&address, &step.query).map_err(|why| {
            if filled == path {
                return why;
            }
            format!("`{path}`, with its secrets filled in, is not a valid address of a request")
        })?;
        let shown = format!("{method} {}", masked(&self.shown_target(path)));
        let (body, body_type) = self.body(step)?;
        let authority = self.origins[origin].authority.as_str();
        HeaderValue::try_from(authority)
            .map_err(|e| format!("the host is not valid in a header: {e}"))?;
        let constant = |text: &str| Part::Constant(text.to_owned());
        let mut headers = vec![(HOST, constant(authority)), (USER_AGENT, constant(AGENT))];
        headers.extend(body_type.map(|body_type| (CONTENT_TYPE, constant(&body_type))));
        headers.extend(
            own.iter()
                .map(|(name, value)| (name.clone(), constant(value))),
        );
        for (name, value) in &self.spec.headers {
            self.header(&mut headers, name, value.get_ref())?;
        }
        if let Some(auth) = &step.basic_auth {
            headers.retain(|(name, _)| name != AUTHORIZATION);
            headers.push((AUTHORIZATION, self.basic(auth)?));
        }
        for (name, value) in &step.headers {
            self.header(&mut headers, name, value)?;
        }
        let request = RequestTemplate {
            method,
            origin,
            target,
            is_link: address::is_link(path),
            headers,
            body,
            expect: expected(step)?,
            check: self.check(step)?,
            extract: self.extractions(step)?,
            stream: None,
            shown,
            constant: None,
        };
        Ok(request.sealed())
    }

    /// Sets a header, in the place of one of the same name.
    pub(super) fn header(
        &self,
        headers: &mut Vec<(HeaderName, Part)>,
        name: &str,
        value: &str,
    ) -> Result<(), String> {
        let header = HeaderName::try_from(name)
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&header) {
            return Err(format!(
                "header `{name}`: the length of a body is sent automatically, and two lengths \
                 would make two requests of one; remove it"
            ));
        }
        let template = self
            .template(value, Escape::None)
            .map_err(|m| format!("header `{name}`: {m}"))?;
        if let Some(text) = template.constant() {
            HeaderValue::try_from(text).map_err(|_| {
                format!("header `{name}` has a value that is not allowed in a header")
            })?;
        }
        if header == USER_AGENT && template.constant() == Some("") {
            headers.retain(|(known, _)| *known != USER_AGENT);
            return Ok(());
        }
        let part = Part::new(template);
        match headers.iter_mut().find(|(known, _)| *known == header) {
            Some(known) => known.1 = part,
            None => headers.push((header, part)),
        }
        Ok(())
    }

    /// HTTP's basic authentication (RFC 7617): the first colon ends the name.
    pub(super) fn basic(&self, auth: &BasicAuthSpec) -> Result<Part, String> {
        if auth.user.contains(':') {
            return Err("`basic-auth`: a user name has no colon".to_owned());
        }
        let both = self
            .template(&format!("{}:{}", auth.user, auth.password), Escape::None)
            .map_err(|m| format!("`basic-auth`: {m}"))?;
        Ok(Part::new(Template::basic(both)))
    }

    pub(super) fn check(&self, step: &StepSpec) -> Result<Option<Box<Check>>, String> {
        // The status is looked at with every answer; the body only where something is asked of it.
        let Some(spec) = step.check.as_ref().filter(|check| check.is_about_a_body()) else {
            return Ok(None);
        };
        let check = Check::compile(spec, |text| self.template(text, Escape::None));
        let check = check.map_err(|m| format!("`check`: {m}"))?;
        Ok(Some(Box::new(check)))
    }

    /// `name=value` for each, behind one another; a list gives its name to each value.
    pub(super) fn pairs(&self, table: &BTreeMap<String, toml::Value>) -> Result<Template, String> {
        let mut out = Template::parse("", &self.names(), Escape::Query)?;
        for (name, value) in table {
            let values = match value {
                toml::Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                let text = plain(value).ok_or_else(|| {
                    format!("`{name}` is a table; give it a text, a number, or a list of them")
                })?;
                if !out.is_empty() {
                    out.append(Template::parse("&", &self.names(), Escape::Url)?);
                }
                out.append(self.template(name, Escape::Query)?);
                out.append(Template::parse("=", &self.names(), Escape::Url)?);
                out.append(self.template(&text, Escape::Query)?);
            }
        }
        Ok(out)
    }
}

/// A single value as text; `None` for a table.
pub(super) fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(x) => Some(x.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

pub(super) fn expected(step: &StepSpec) -> Result<Expect, String> {
    let checked = step.check.as_ref().and_then(|check| check.status.as_ref());
    let statuses = match (&step.expect, checked) {
        (None, None) => return Ok(Expect::Success),
        (Some(statuses), None) => statuses.as_slice(),
        (None, Some(statuses)) => statuses.all(),
        (Some(_), Some(_)) => {
            return Err("`expect` and the `status` of `check` say the same; keep one".to_owned());
        }
    };
    if statuses.is_empty() {
        return Err(
            "no status is allowed, so that no answer could succeed; add one to `expect` or \
             remove it"
                .to_owned(),
        );
    }
    statuses
        .iter()
        .copied()
        .map(status)
        .collect::<Result<_, _>>()
        .map(Expect::OneOf)
}
