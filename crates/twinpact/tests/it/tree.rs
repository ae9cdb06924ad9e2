//! The commands of this build, read from its own help.

use crate::world::World;

/// A command or a group of commands.
pub(crate) struct Command {
    /// Its words: `twin list`; none for the program itself.
    pub(crate) words: String,
    /// Whether it only holds others.
    pub(crate) group: bool,
}

/// The program, its groups and its commands, in the order of the help.
pub(crate) fn commands(world: &World) -> Vec<Command> {
    let mut found = Vec::new();
    walk(world, "", &mut found);
    found
}

fn walk(world: &World, words: &str, found: &mut Vec<Command>) {
    let help = world.run(&format!("{words} --help")).stdout;
    let below: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What begins further to the right goes on about the command above.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split(' ').next())
        .collect();
    found.push(Command { words: words.to_owned(), group: !below.is_empty() });
    for name in below {
        walk(world, format!("{words} {name}").trim_start(), found);
    }
}
