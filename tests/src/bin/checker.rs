//! Checks a recording, offline: every invariant of a run, from what the run left behind. Exit code 0 if all of them hold,
//! 1 if one does not, 2 if the recording cannot be read.

use std::{env, path::Path, process::ExitCode};

use jetsaga_cli::record;

const USAGE: &str = "usage: checker FOLDER\n\nFOLDER is what `jetsaga fsck --save FOLDER` or a test wrote.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match record::check(Path::new(folder)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.holds()))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
