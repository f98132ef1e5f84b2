//! Texts that the program carries: completions and manual pages, made from the command line's own
//! description, and the plug-in for Locust.

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{CommandError, Exit};
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::engine::locust::PLUGIN;
use crate::store;
use crate::term::Terminal;

/// The program's name in a shell.
const NAME: &str = "breakpoint";

pub(super) fn completions(args: &CompletionsArgs, terminal: &Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    terminal.print_own(&String::from_utf8_lossy(&script));
    Exit::Answer
}

/// The plug-in for Locust.
pub(super) fn plugin(terminal: &Terminal) -> Exit {
    terminal.print_own(PLUGIN);
    Exit::Answer
}

/// `breakpoint.1`, and `breakpoint-find.1` and so on.
pub(super) fn pages(args: &ManArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let mut command = Cli::command();
    // Names of commands in full, and the flags that all have.
    command.build();
    let parts = command.get_subcommands();
    let parts = parts.filter(|c| !c.is_hide_set() && c.get_name() != "help");
    let pages = [&command].into_iter().chain(parts).map(page);
    let files = pages.collect::<Result<Vec<_>, _>>()?;
    store::write_files(&args.out, &files).map_err(|e| CommandError::new(Exit::Usage, e))?;
    let many = files.len();
    terminal.print(&format!("wrote {many} pages to {}\n", args.out.display()));
    Ok(Exit::Answer)
}

fn page(command: &clap::Command) -> Result<(String, Vec<u8>), CommandError> {
    let name = command.get_display_name().unwrap_or(NAME);
    let mut bytes = Vec::new();
    Man::new(command.clone())
        .render(&mut bytes)
        .map_err(|e| CommandError::new(Exit::Failure, e))?;
    Ok((format!("{name}.1"), bytes))
}
