use anyhow::Context as _;
use clap::Subcommand;
use jetsaga::{Letter, Letters, Nats};
use serde::Serialize;

use crate::output::{Output, plain, progress};

/// What to do with dead letters.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// List them, oldest first.
    List,
    /// Show one with all that was published.
    Show {
        /// Its sequence.
        sequence: u64,
    },
    /// Give one back to whoever buried it, or all.
    Redrive {
        /// Its sequence.
        #[arg(
            required_unless_present = "all",
            conflicts_with = "all",
            value_name = "SEQUENCE|--all"
        )]
        sequence: Option<u64>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
    /// Remove one for good.
    Drop {
        /// Its sequence.
        sequence: u64,
    },
}

#[derive(Serialize)]
struct Done {
    redriven: usize,
    dropped: usize,
}

/// Does it.
pub(crate) async fn run(nats: &Nats, command: Command, out: Output) -> anyhow::Result<()> {
    let letters = Letters::new(nats);
    match command {
        Command::List => {
            for letter in letters.list().await? {
                out.print(&letter, brief)?;
            }
            Ok(())
        }
        Command::Show { sequence } => {
            let letter = get(&letters, sequence).await?;
            out.print(&letter, |letter| {
                format!("{}\n{}", brief(letter), plain(&letter.body))
            })
        }
        Command::Redrive { sequence, .. } => {
            let chosen = match sequence {
                Some(sequence) => vec![get(&letters, sequence).await?],
                None => letters.list().await?,
            };
            let bar = progress(chosen.len() as u64, "redriving");
            for letter in &chosen {
                letters.redrive(letter).await?;
                bar.inc(1);
            }
            bar.finish_and_clear();
            let done = Done {
                redriven: chosen.len(),
                dropped: 0,
            };
            out.print(&done, |done| format!("{} redriven", done.redriven))
        }
        Command::Drop { sequence } => {
            get(&letters, sequence).await?;
            letters.drop(sequence).await?;
            out.print(
                &Done {
                    redriven: 0,
                    dropped: 1,
                },
                |_| format!("letter {sequence} dropped"),
            )
        }
    }
}

async fn get(letters: &Letters, sequence: u64) -> anyhow::Result<Letter> {
    let letter = match sequence {
        0 => None, // the server takes it for no number
        sequence => letters.get(sequence).await?,
    };
    letter.with_context(|| format!("there is no letter {sequence}"))
}

fn brief(letter: &Letter) -> String {
    format!(
        "{:>6}  {}  {:<12} {:<20} {}#{} {}\n        {}",
        letter.sequence,
        letter.buried_at,
        letter.reason,
        letter.consumer,
        letter.stream,
        letter.stream_sequence,
        plain(&letter.subject),
        plain(&letter.detail)
    )
}
