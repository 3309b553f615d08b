use gateway::{NewToken, Role, new_token};
use jetsaga::Token;
use serde_json::json;

use crate::output::Output;

/// `jetsaga token …`.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Make a bearer token for the gateway: what its holder sends, and the line for the gateway's file of keys.
    New {
        /// Who will hold it.
        #[arg(long)]
        name: Token,
        /// What the holder may do: customer-facing or operator.
        #[arg(long, default_value = "customer-facing", value_parser = str::parse::<Role>)]
        role: Role,
    },
}

pub(crate) fn run(command: &Command, out: Output) -> anyhow::Result<()> {
    let Command::New { name, role } = command;
    let NewToken { token, line } = new_token(name, *role)?;
    out.print(&json!({"token": token, "line": line}), |_| {
        format!("token, shown this once:        {token}\nline for the file of keys:     {line}")
    })
}
