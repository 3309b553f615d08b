//! The users of a system as a part of the nats-server's configuration.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{Permissions, Right, Topology, Worker, user_of};

/// Somebody who connects to the server, with an nkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What it is called: one subject token.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl User {
    /// The user that a worker is in this system.
    pub fn of(worker: &Worker, system: &Topology) -> Self {
        let name = user_of(worker.name());
        let permissions = worker.permissions(system);
        Self { name, permissions }
    }

    /// One who does this and nothing else.
    pub fn who(name: &str, rights: &[Right], system: &Topology) -> Self {
        let name = user_of(name);
        let mut permissions = Permissions::of_user(&name, system);
        for right in rights {
            permissions.add(right, system);
        }
        Self { name, permissions }
    }

    /// Who makes the streams and consumers of a system, and nothing else: it cannot change or delete a stream.
    pub fn who_makes(name: &str, system: &Topology) -> Self {
        let mut user = Self::who(name, &[], system);
        let publish = &mut user.permissions.publish;
        for stream in &system.streams {
            publish.insert(format!("$JS.API.STREAM.CREATE.{}", stream.name));
        }
        for (stream, config) in &system.consumers {
            let name = config.durable_name.as_deref().unwrap_or_default();
            publish.insert(format!("$JS.API.CONSUMER.CREATE.{stream}.{name}"));
            publish.insert(format!("$JS.API.CONSUMER.INFO.{stream}.{name}"));
        }
        user
    }

    /// The variable that holds its public key.
    pub fn variable(&self) -> String {
        format!("{}_NKEY", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// These users in the language of the server's configuration. The public keys are variables, which the file `keys` defines
/// beside it, so that a key is changed there and by a reload. Whoever is none of them is not let in.
pub fn configuration(users: &[User], keys: &str) -> String {
    let mut text = format!("include \"{keys}\"\n\nauthorization {{\n  default_permissions {{\n");
    text += "    publish { deny: \">\" }\n    subscribe { deny: \">\" }\n  }\n  users = [\n";
    for user in users {
        let Permissions {
            publish,
            not,
            subscribe,
        } = &user.permissions;
        let _ = write!(
            text,
            "    # {}\n    {{\n      nkey: ${}\n      permissions {{\n",
            user.name,
            user.variable()
        );
        text += "        publish {\n";
        list(&mut text, "allow", publish);
        if !not.is_empty() {
            list(&mut text, "deny", not);
        }
        text += "        }\n        subscribe {\n";
        list(&mut text, "allow", subscribe);
        text += "        }\n      }\n    }\n";
    }
    text + "  ]\n}\n"
}

fn list(text: &mut String, name: &str, subjects: &BTreeSet<String>) {
    let _ = writeln!(text, "          {name}: [");
    for subject in subjects {
        let _ = writeln!(text, "            \"{subject}\"");
    }
    text.push_str("          ]\n");
}
