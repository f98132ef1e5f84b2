//! What is sent to `--url`.

use clap::Args;

use crate::import::{Data, RequestFlags};

/// What is sent to --url; the flags are curl's.
#[derive(Debug, Clone, Default, Args)]
pub struct RequestArgs {
    /// Header of the request to --url, such as 'x-tenant: a', or @FILE with one per line;
    /// repeatable. A secret stays out of sight as '{{ env.NAME }}'.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "HEADER",
        allow_hyphen_values = true
    )]
    pub headers: Vec<String>,
    /// Method of the request to --url [default: GET, or POST with a body].
    #[arg(short = 'X', long = "request", alias = "method", value_name = "METHOD")]
    pub request: Option<String>,
    /// Body of the request to --url, or @FILE; repeatable, joined by `&`. Its type is that of a
    /// form unless -H says another.
    #[arg(short = 'd', long, value_name = "DATA", allow_hyphen_values = true)]
    pub data: Vec<String>,
    /// JSON body of the request to --url, or @FILE.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub json: Vec<String>,
    /// Field of a form that is sent to --url, urlencoded; repeatable.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub form: Vec<String>,
    /// Part of a form with files that is sent to --url (multipart), as NAME=TEXT or
    /// NAME=@FILE, which may be followed by ;type=TYPE and ;filename=NAME; repeatable.
    #[arg(short = 'F', value_name = "NAME=TEXT", allow_hyphen_values = true)]
    pub multipart: Vec<String>,
    /// User name and password for --url (basic authentication), as NAME:PASSWORD or
    /// 'NAME:{{ env.PASSWORD }}'.
    #[arg(short = 'u', long, value_name = "NAME:PASSWORD")]
    pub user: Option<String>,
    /// Cookies of the request to --url, as 'NAME=VALUE; NAME=VALUE'; repeatable.
    #[arg(short = 'b', long, value_name = "COOKIES")]
    pub cookie: Vec<String>,
}

impl RequestArgs {
    /// What they say.
    pub fn flags(&self) -> RequestFlags {
        let data = |texts: &[String]| texts.iter().map(|t| Data::of(t)).collect();
        RequestFlags {
            headers: data(&self.headers),
            method: self.request.clone(),
            data: data(&self.data),
            json: data(&self.json),
            form: self.form.clone(),
            multipart: self.multipart.clone(),
            user: self.user.clone(),
            cookie: self.cookie.clone(),
        }
    }
}
