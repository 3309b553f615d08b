//! Who connects to NATS, each with exactly what it needs: as a part of the server's configuration, and with keys.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use checkout::{
    Checkout,
    stock::{Adjustment, AdjustmentFact, Named, Product, ProductFact},
};
use jetsaga::{
    Entity as _, Journal, Plan, Right, Topology, Worker,
    engine::{User, configuration as written},
    subject::{EVENTS, INBOX, KV_STATE, RESTORE, RETRY, SEEN, TIMERS},
};
use nkeys::KeyPair;
use serde_json::json;

use crate::{
    output::{self, Output},
    system,
};

/// Who the tool is to the server.
pub(crate) const OPERATOR: &str = "operator";
/// Who it is while it makes streams and consumers.
pub(crate) const TOPOLOGY: &str = "topology";
/// Who it is while it takes a backup, puts one back, or rebuilds the bucket.
pub(crate) const KEEPER: &str = "keeper";
/// Who it is while it looks after read models: the worker that keeps them, in whose place they can be reached.
pub(crate) const PROJECTOR: &str = "projector";
/// The file of the public keys, which the configuration includes.
pub const FILE_OF_KEYS: &str = "nkeys.conf";

/// Flags of `topology users`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Make what is missing in this folder: the seed of each user, as <user>.nk, and nkeys.conf with the public keys. What
    /// is there is left as it is.
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, out: Output) -> anyhow::Result<()> {
    let Some(folder) = &args.keys else {
        return output::say(configuration()?.trim_end());
    };
    let made = make_keys(folder)?;
    out.print(&json!({"made": made}), |_| match made.as_slice() {
        [] => format!("every user has a key in {}", folder.display()),
        made => format!("made in {}: {}", folder.display(), made.join(", ")),
    })
}

/// The users as a part of the nats-server's configuration, which includes [`FILE_OF_KEYS`].
///
/// # Errors
/// When a worker cannot be built.
pub fn configuration() -> anyhow::Result<String> {
    let about = "# Who may connect, and to which subjects: made by `jetsaga topology users`. Each user's public key is a variable.\n";
    Ok(about.to_owned() + &written(&users()?, FILE_OF_KEYS))
}

/// Everybody who connects: each worker of the checkout, the tool, and the tool while it makes streams and consumers, and
/// while it takes a backup, puts one back, or rebuilds the bucket.
///
/// # Errors
/// When a worker cannot be built.
pub fn users() -> anyhow::Result<Vec<User>> {
    let workers = workers()?;
    let mut system = Topology::new(1);
    for worker in &workers {
        system.consumers.extend(worker.topology(1).consumers);
    }
    let mut users: Vec<User> = workers.iter().map(|worker| User::of(worker, &system)).collect();
    let checking = checking(&system);
    let operator = [checking.clone(), operating()?].concat();
    users.push(User::who(OPERATOR, &operator, &system));
    users.push(User::who_makes(TOPOLOGY, &system));
    let keeper = [checking, keeping(&system)].concat();
    users.push(User::who(KEEPER, &keeper, &system));
    Ok(users)
}

/// What backups and repairs need. It reads everything, keys of personal data included, and puts streams where there are none:
/// a restore of one that is there is refused by the server. The bucket it may delete and make with whatever configuration, one
/// that reads other streams included: so it is nobody's everyday user.
fn keeping(system: &Topology) -> Vec<Right> {
    let api = |request: String| Right::Publish(format!("$JS.API.{request}"));
    let mut rights = Vec::new();
    for stream in &system.streams {
        rights.extend(
            ["STREAM.SNAPSHOT", "STREAM.RESTORE", "CONSUMER.LIST"]
                .map(|what| api(format!("{what}.{}", stream.name))),
        );
    }
    for (stream, config) in &system.consumers {
        let name = config.durable_name.as_deref().unwrap_or_default();
        rights.extend(["CREATE", "RESET"].map(|what| api(format!("CONSUMER.{what}.{stream}.{name}"))));
    }
    rights.extend(["CREATE", "DELETE"].map(|what| api(format!("STREAM.{what}.{RESTORE}")))); // the mark of a restore
    rights.extend(["GET", "DELETE"].map(|what| api(format!("STREAM.MSG.{what}.{SEEN}")))); // what is handled again
    rights.extend(["ACK", "RESTORE"].map(|what| Right::Publish(format!("$JS.SNAPSHOT.{what}.>")))); // their pieces
    rights.extend(["DELETE", "CREATE"].map(|what| api(format!("STREAM.{what}.{KV_STATE}")))); // fsck --repair
    // It follows these as everybody does who follows them, and makes their durable consumers too.
    for stream in [EVENTS, KV_STATE] {
        rights
            .extend(["CREATE", "MSG.NEXT", "DELETE"].map(|what| api(format!("CONSUMER.{what}.{stream}.*"))));
    }
    rights
}

/// The workers, to be described and not to be run.
fn workers() -> anyhow::Result<Vec<Worker>> {
    Ok(vec![
        order::owner(std::time::Duration::MAX)?,
        payment::charging(system::args(&[])?)?,
        inventory::over(Journal::nowhere())?,
        shipping::refusing(Vec::new())?,
        notifier::notifying(system::args(&[])?)?,
        outbound::relaying(system::args::<outbound::Args>(&[])?.outbound_kinds),
        projector::declared(),
        gateway::declared(),
    ])
}

/// What it takes to see whether everything holds, and to carry on what was lost on its way.
fn checking(system: &Topology) -> Vec<Right> {
    let api = |request: String| Right::Publish(format!("$JS.API.{request}"));
    let mut rights = vec![
        Right::Look(KV_STATE),
        Right::Redrive, // letters, retry, fsck --repair; place and cancel by the same subjects
    ];
    rights.extend([INBOX, EVENTS, RETRY, TIMERS].map(|stream| api(format!("CONSUMER.LIST.{stream}"))));
    for (stream, config) in &system.consumers {
        let name = config.durable_name.as_deref().unwrap_or_default();
        rights.push(api(format!("CONSUMER.INFO.{stream}.{name}"))); // topology diff
    }
    rights
}

/// Whatever the tool's other commands need. With both it can neither make nor change nor delete a stream, nor a worker's
/// durable consumer.
fn operating() -> anyhow::Result<Vec<Right>> {
    let plan = Plan::of::<Checkout>()?;
    let saga = plan.saga.as_str();
    let steps = plan.steps();
    let outcomes = steps.flat_map(|(_, step)| [Some(&step.done), Some(&step.refused), step.undone.as_ref()]);
    let outcomes = outcomes.flatten().map(ToString::to_string).collect();
    Ok(vec![
        Right::Append(saga.to_owned(), outcomes), // resolve
        Right::Append(Product::KIND.to_owned(), names::<ProductFact>()), // stock adjust
        Right::Append(Adjustment::KIND.to_owned(), names::<AdjustmentFact>()),
        Right::Read("*".to_owned()), // history, at
        Right::Follow(EVENTS),       // watch, fsck
        Right::Follow(KV_STATE),
    ])
}

fn names<F: Named>() -> Vec<String> {
    F::ALL.iter().map(|fact| fact.event_type().to_owned()).collect()
}

/// Makes what is missing in `folder`: a seed for each user (`<user>.nk`, for its owner alone), and [`FILE_OF_KEYS`]. Returns
/// the names of what was made.
///
/// # Errors
/// When a file cannot be read or written, or holds no seed; nothing that was there is changed.
pub fn make_keys(folder: &Path) -> anyhow::Result<Vec<String>> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut made = Vec::new();
    let mut keys = String::from("# The public key of each user: made by `jetsaga topology users --keys`.\n");
    for user in users()? {
        let name = format!("{}.nk", user.name);
        let (pair, new) = seed(&folder.join(&name))?;
        keys += &format!("{}: \"{}\"\n", user.variable(), pair.public_key());
        made.extend(new.then_some(name));
    }
    let path = folder.join(FILE_OF_KEYS);
    let shown = path.display();
    match fs::read_to_string(&path) {
        Ok(kept) if kept == keys => {}
        Ok(_) => bail!(
            "{shown} is there and has other keys than the seeds beside it; remove it, and it is made anew"
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let file = create(&path, 0o644)?;
            write(file, &keys).with_context(|| format!("{shown} cannot be written"))?;
            made.push(FILE_OF_KEYS.to_owned());
        }
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
    }
    Ok(made)
}

/// The seed in this file, or a new one; true if it is new.
fn seed(path: &Path) -> anyhow::Result<(KeyPair, bool)> {
    let shown = path.display();
    match fs::read_to_string(path) {
        Ok(text) => match KeyPair::from_seed(text.trim()) {
            Ok(pair) => Ok((pair, false)),
            Err(_) => bail!("{shown} holds no seed; remove it, and one is made"),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let pair = KeyPair::new_user();
            let seed = pair
                .seed()
                .map_err(|error| anyhow::anyhow!("a key could not be made: {error}"))?;
            write(create(path, 0o600)?, &(seed + "\n"))
                .with_context(|| format!("{shown} cannot be written"))?;
            Ok((pair, true))
        }
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be read")),
    }
}

/// A new file with this mode, whatever the process's mask.
fn create(path: &Path, mode: u32) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let file = file.with_context(|| format!("{} cannot be made", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(file)
}

fn write(mut file: File, text: &str) -> std::io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
