//! The body of a request: one of the keys that say it.

use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use super::{Compiler, Escape, Template, fill_in};
use crate::scenario::multipart;
use crate::scenario::request::{Body, Part, Piece};
use crate::scenario::spec::{MultipartSpec, StepSpec};

/// The media type of what nobody says the type of (RFC 2046, section 4.5.1).
const BYTES: &str = "application/octet-stream";

impl Compiler<'_> {
    /// The body and its media type.
    pub(super) fn body(&self, step: &StepSpec) -> Result<(Body, Option<String>), String> {
        let given = [
            step.json.is_some(),
            step.body.is_some(),
            step.form.is_some(),
            step.body_file.is_some(),
            step.multipart.is_some(),
        ];
        if given.into_iter().filter(|there| *there).count() > 1 {
            return Err(
                "a request has one body: `json`, `body`, `form`, `body-file` or `multipart`"
                    .to_owned(),
            );
        }
        let (template, media_type) = if let Some(form) = &step.form {
            let pairs = self.pairs(form).map_err(|m| format!("`form`: {m}"))?;
            (pairs, "application/x-www-form-urlencoded")
        } else if let Some(json) = &step.json {
            let mut json = json.clone();
            fill_in(&mut json, self.secrets)?;
            (
                Template::parse_json(&json, &self.names())?,
                "application/json",
            )
        } else if let Some(text) = &step.body {
            (
                self.template(text, Escape::None)?,
                "text/plain; charset=utf-8",
            )
        } else if let Some(file) = &step.body_file {
            let content = Piece::File(self.file(file)?);
            return Ok((Body::Pieces(vec![content]), Some(BYTES.to_owned())));
        } else if let Some(parts) = &step.multipart {
            return self
                .multipart(parts)
                .map_err(|m| format!("`multipart`: {m}"));
        } else {
            return Ok((Body::Text(Part::Constant(String::new())), None));
        };
        Ok((Body::Text(Part::new(template)), Some(media_type.to_owned())))
    }

    fn file(&self, path: &str) -> Result<Arc<[u8]>, String> {
        let known = self.bodies.get(path).cloned();
        known.ok_or_else(|| format!("the file `{path}` was not read"))
    }

    fn multipart(&self, parts: &[MultipartSpec]) -> Result<(Body, Option<String>), String> {
        if parts.is_empty() {
            return Err(
                "there is no part; write [{ name = \"photo\", file = \"photo.jpg\" }]".to_owned(),
            );
        }
        let contents = parts.iter().map(|part| self.content(part));
        let contents = contents.collect::<Result<Vec<Piece>, String>>()?;
        let written = || parts.iter().filter_map(|part| part.text.as_deref());
        let read = contents.iter().filter_map(|piece| match piece {
            Piece::File(bytes) => Some(&**bytes),
            Piece::Text(_) => None,
        });
        let boundary = multipart::boundary(&written().map(str::as_bytes).chain(read));
        let mut pieces = Vec::new();
        for (at, (part, content)) in parts.iter().zip(contents.iter().cloned()).enumerate() {
            let head = multipart::head(
                &boundary,
                at == 0,
                &part.name,
                filename(part).as_deref(),
                media_type(part)?,
            );
            pieces.push(Piece::Text(Part::Constant(head)));
            pieces.push(content);
        }
        pieces.push(Piece::Text(Part::Constant(multipart::end(&boundary))));
        let media_type = format!("multipart/form-data; boundary={boundary}");
        Ok((Body::Pieces(pieces), Some(media_type)))
    }

    fn content(&self, part: &MultipartSpec) -> Result<Piece, String> {
        let name = &part.name;
        match (&part.file, &part.text) {
            (Some(file), None) => Ok(Piece::File(self.file(file)?)),
            (None, Some(text)) => {
                let text = self.template(text, Escape::None);
                Ok(Piece::Text(Part::new(
                    text.map_err(|m| format!("`{name}`: {m}"))?,
                )))
            }
            (Some(_), Some(_)) => Err(format!("`{name}` has both `file` and `text`; remove one")),
            (None, None) => Err(format!("`{name}` has no content; give it `file` or `text`")),
        }
    }
}

/// What a part's file is said to be called.
fn filename(part: &MultipartSpec) -> Option<String> {
    let own = || {
        let path = Path::new(part.file.as_deref()?);
        Some(path.file_name()?.to_string_lossy().into_owned())
    };
    part.filename.clone().or_else(own)
}

fn media_type(part: &MultipartSpec) -> Result<Option<&str>, String> {
    let given = part.media_type.as_deref();
    if let Some(given) = given
        && HeaderValue::try_from(given).is_err()
    {
        return Err(format!("`{given}` is not a media type"));
    }
    Ok(given.or(part.file.as_ref().map(|_| BYTES)))
}
