use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use jetsaga::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a backup holds. It is written last: a folder without one is no backup.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    format: String,
    version: u32,
    /// When it was begun.
    pub(super) taken_at: Timestamp,
    /// The server that it was taken from.
    server: String,
    /// How far `SEEN` had come after the consumers were asked and before any stream was taken.
    pub(super) marked: u64,
    pub(super) streams: Vec<Part>,
    /// Of the file that it was read from; empty before it is written.
    #[serde(skip)]
    pub(super) sha256: String,
}

/// One stream in a backup.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) name: String,
    /// The server's snapshot of it, beside the manifest.
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) taken_at: Timestamp,
    /// True if messages moved within it while it was taken, each time.
    #[serde(default)]
    pub(super) disturbed: bool,
    /// As the server has them.
    pub(super) config: Value,
    pub(super) state: Value,
    pub(super) consumers: Vec<Consumer>,
}

/// A durable consumer in a backup.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Consumer {
    pub(super) name: String,
    pub(super) config: Value,
    /// The sequence up to which it had acknowledged everything before any stream was taken.
    pub(super) acknowledged: u64,
}

const FILE: &str = "manifest.json";
/// The digest of the manifest itself, as `sha256sum -c` takes it.
const DIGEST: &str = "manifest.json.sha256";
const FORMAT: &str = "jetsaga-backup";
const VERSION: u32 = 2;

impl Manifest {
    pub(super) fn new(taken_at: Timestamp, server: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            taken_at,
            server: server.to_owned(),
            marked: 0,
            streams: Vec::new(),
            sha256: String::new(),
        }
    }

    /// Writes it, through to the disk.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let digest = hex(&Sha256::digest(&text));
        put(&folder.join(DIGEST), format!("{digest}  {FILE}\n").as_bytes())?;
        let part = folder.join("manifest.json.part");
        put(&part, &text)?;
        fs::rename(&part, folder.join(FILE)).context("the manifest is not in its place")?;
        File::open(folder)?
            .sync_all()
            .context("the folder is not on the disk")
    }

    /// Reads the manifest of a backup, every file of which is as it was written.
    ///
    /// # Errors
    /// Names what is missing or wrong.
    pub(super) fn verified(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path).with_context(|| {
            format!(
                "{} cannot be read; a folder without a manifest is no backup",
                path.display()
            )
        })?;
        let sha256 = hex(&Sha256::digest(&text));
        let digest = fs::read_to_string(folder.join(DIGEST));
        let digest = digest.with_context(|| format!("{DIGEST} cannot be read"))?;
        ensure!(
            digest.split_whitespace().next() == Some(&*sha256),
            "{} was changed since the backup: its SHA-256 is not what {DIGEST} says",
            path.display()
        );
        let manifest = Self::read(&text).with_context(|| path.display().to_string())?;
        for part in &manifest.streams {
            part.verify(folder)?;
        }
        Ok(Self { sha256, ..manifest })
    }

    fn read(text: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            format: String,
            version: u32,
        }
        let kind: Kind = serde_json::from_slice(text).context("it is no manifest")?;
        if (kind.format.as_str(), kind.version) != (FORMAT, VERSION) {
            bail!(
                "it is of format {:?}, version {}; this jetsaga reads {FORMAT:?}, version {VERSION}",
                kind.format,
                kind.version
            );
        }
        serde_json::from_slice(text).context("it is no manifest")
    }
}

impl Part {
    pub(super) fn messages(&self) -> u64 {
        self.state["messages"].as_u64().unwrap_or(0)
    }

    pub(super) fn last(&self) -> u64 {
        self.state["last_seq"].as_u64().unwrap_or(0)
    }

    fn verify(&self, folder: &Path) -> anyhow::Result<()> {
        let (name, path) = (&self.name, folder.join(&self.file));
        let shown = path.display();
        ensure!(
            Path::new(&self.file).components().count() == 1,
            "the snapshot of {name} is at {shown}, which is not in the folder"
        );
        let mut file = File::open(&path).with_context(|| format!("the snapshot of {name}, {shown}"))?;
        let size = file.metadata()?.len();
        ensure!(
            size == self.bytes,
            "the snapshot of {name}, {shown}, has {size} bytes; the manifest says {}",
            self.bytes
        );
        let (mut digest, mut chunk) = (Sha256::new(), vec![0; 128 * 1024]);
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                read => digest.update(chunk.get(..read).unwrap_or_default()),
            }
        }
        ensure!(
            hex(&digest.finalize()) == self.sha256,
            "the snapshot of {name}, {shown}, was changed since the backup: its SHA-256 is not the manifest's"
        );
        Ok(())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(text)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
