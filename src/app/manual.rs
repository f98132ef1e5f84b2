//! Completions and manual pages, made from the command line's own description.

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{Exit, Refusal};
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::store;
use crate::term::Terminal;

/// The program's name in a shell.
const NAME: &str = "breakpoint";

pub(super) fn completions(args: &CompletionsArgs, terminal: &Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    terminal.print(&String::from_utf8_lossy(&script));
    Exit::Answer
}

/// `breakpoint.1`, and `breakpoint-find.1` and so on.
pub(super) fn pages(args: &ManArgs, terminal: &Terminal) -> Result<Exit, Refusal> {
    let mut command = Cli::command();
    // Names of commands in full, and the flags that all have.
    command.build();
    let mut files = vec![page(&command, NAME)?];
    for part in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        if part.get_name() == "help" {
            continue;
        }
        files.push(page(part, &format!("{NAME}-{}", part.get_name()))?);
    }
    store::write_files(&args.out, &files).map_err(|e| Refusal::new(Exit::Usage, e))?;
    let many = files.len();
    terminal.print(&format!("wrote {many} pages to {}\n", args.out.display()));
    Ok(Exit::Answer)
}

fn page(command: &clap::Command, name: &str) -> Result<(String, Vec<u8>), Refusal> {
    let mut bytes = Vec::new();
    // `name` takes text that lives as long as the program, or owned text.
    let command = command
        .clone()
        .name(name.to_owned())
        .display_name(name.to_owned());
    Man::new(command)
        .render(&mut bytes)
        .map_err(|e| Refusal::new(Exit::Failure, e))?;
    Ok((format!("{name}.1"), bytes))
}
