//! `delete-learning completions` and `delete-learning manual`: what packages install, made from the arguments.

use super::CommandResult;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Prints the completions for a shell.
pub(super) fn completions(mut command: Command, shell: Shell) -> CommandResult {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut text);
    // In bash, clap_complete 4.6.11 encodes a hyphen in the name of the program in two ways, and then completes nothing below
    // a command.
    let text = String::from_utf8_lossy(&text).replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one page for the program and one for each of its commands.
pub(super) fn manual(command: Command, date: &str, directory: &Path) -> CommandResult {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, date, directory)?;
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: &Command, date: &str, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(subcommand, date, directory)?;
    }
    let page = Man::new(command.clone()).date(date).manual("delete-learning");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(page.get_filename()), layout(&String::from_utf8_lossy(&text)))
}

/// Corrects what the generator of pages does not: it fills the lines of the help after the options, which are laid out
/// already, and writes an empty line between two line breaks.
fn layout(page: &str) -> String {
    let page = page.replace("\n.br\n\n.br\n", "\n.sp\n");
    let Some((before, rest)) = page.split_once(".SH EXTRA\n") else { return page };
    let (notes, after) = rest.split_at(rest.find("\n.SH ").unwrap_or(rest.len()));
    format!("{before}.SH NOTES\n.nf\n{}\n.fi{}", notes.trim_end(), if after.is_empty() { "\n" } else { after })
}
