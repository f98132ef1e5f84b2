//! `breakpoint init`: what a profile is made of.

use std::path::PathBuf;

use clap::Args;

use super::{ConnectArgs, RequestArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint init --url http://127.0.0.1:8080/api
  breakpoint init --url http://127.0.0.1:8080/orders -H 'x-tenant: a' --json '{\"item\": 7}'
  breakpoint init --llm http://127.0.0.1:8000
  breakpoint init --from-curl 'curl -d item=7 http://127.0.0.1:8080/orders'
  breakpoint init --from-har shop.har --out shop.toml
  breakpoint init --from-openapi openapi.json --url http://127.0.0.1:8000 --operations 'get /items'
  breakpoint init --from-postman collection.json

Credentials become {{ env.NAME }}, and the program lists the names to set. Requests to hosts that
are not this machine are left out and listed, unless --allow-target names them or --url sends them
to a service on this machine. `breakpoint try FILE` shows one cycle of what was written.
";

/// `breakpoint init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// URL of the service; with --from-har, --from-openapi, --from-postman or --from-curl, where
    /// the requests go in place of the host that they name.
    #[arg(long, required_unless_present_any = ["from_k6", "llm", "from_curl", "from_har", "from_openapi", "from_postman"])]
    pub url: Option<String>,
    /// URL of an LLM with chat completions in the shape of the `OpenAI` API, with or without the
    /// path: the profile asks for streamed answers, and its SLO is on the first word and on the
    /// gaps. A key comes from `OPENAI_API_KEY`, where that is set.
    #[arg(long, value_name = "URL", conflicts_with_all = ["url", "from_k6", "from_curl", "from_har", "from_openapi", "from_postman"])]
    pub llm: Option<String>,
    /// Name of the LLM's model.
    #[arg(long, value_name = "NAME", requires = "llm", default_value = "default")]
    pub model: String,
    /// A k6 script that makes the load, instead of a URL: its thresholds become the SLO, its
    /// scenarios functions with weights, and comments list what has no counterpart.
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["url", "from_curl", "from_har", "from_openapi", "from_postman"])]
    pub from_k6: Option<PathBuf>,
    /// The k6 program, which then runs the script itself; without it this program does.
    #[arg(long, value_name = "PATH", requires = "from_k6")]
    pub k6: Option<PathBuf>,
    /// A curl command line, as browsers copy it, in quotes; @FILE reads it from a file, - from the
    /// standard input.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["from_har", "from_openapi", "from_postman"])]
    pub from_curl: Option<String>,
    /// A recording of a browser: its pauses become think times, values that come back extractions.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from_openapi", "from_postman"])]
    pub from_har: Option<PathBuf>,
    /// Also take in images, scripts, styles and fonts of the recording.
    #[arg(long, requires = "from_har")]
    pub with_assets: bool,
    /// An OpenAPI description, JSON or YAML: a step per operation, with an example of its body.
    #[arg(long, value_name = "FILE", conflicts_with = "from_postman")]
    pub from_openapi: Option<PathBuf>,
    /// Operations of the description in their order, such as 'post /items,get /items/{id}', or
    /// their ids [default: every GET].
    #[arg(
        long,
        value_name = "OPERATIONS",
        value_delimiter = ',',
        requires = "from_openapi"
    )]
    pub operations: Vec<String>,
    /// A Postman collection (v2.1): its requests in order, with folders, variables and
    /// authorization.
    #[arg(long, value_name = "FILE")]
    pub from_postman: Option<PathBuf>,
    /// Host other than this machine that may be loaded; repeatable. Requests to others are left out
    /// and listed.
    #[arg(long, value_name = "HOST")]
    pub allow_target: Vec<String>,
    /// What is sent.
    #[command(flatten)]
    pub request: RequestArgs,
    /// How connections are made.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// File to write; an existing one is not overwritten.
    #[arg(long, value_name = "FILE", default_value = "breakpoint.toml")]
    pub out: PathBuf,
}
