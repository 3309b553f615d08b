//! Each process is a user of its own, and the server lets it do exactly what it needs.

mod allowed;
mod backups;
mod crew;
mod denied;
mod leaks;
mod refused;
mod rotation;

/// The users of the checkout are what the code needs; `jetsaga topology users > deploy/nats/users.conf` writes them anew.
#[test]
fn the_users_are_what_the_code_needs() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nats/users.conf");
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    assert!(
        kept == jetsaga_cli::users_configuration().unwrap(),
        "deploy/nats/users.conf is not what the code needs; run `jetsaga topology users > deploy/nats/users.conf`"
    );
}

/// What is there stays; what is missing is made, a seed for its owner alone.
#[test]
fn keys_are_made_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let made = jetsaga_cli::make_keys(&keys).unwrap();
    assert_eq!(
        made.len(),
        12,
        "eleven users, and the file of their public keys: {made:?}"
    );
    let mode = |name: &str| std::fs::metadata(keys.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("order.nk"), mode("nkeys.conf")), (0o600, 0o644));
    let read = |name: &str| std::fs::read_to_string(keys.join(name)).unwrap();
    let before = (read("order.nk"), read("nkeys.conf"));
    assert!(jetsaga_cli::make_keys(&keys).unwrap().is_empty());
    assert_eq!((read("order.nk"), read("nkeys.conf")), before);

    // A key that is to be replaced is removed together with what was made of it.
    std::fs::remove_file(keys.join("order.nk")).unwrap();
    let said = jetsaga_cli::make_keys(&keys).unwrap_err().to_string();
    assert!(said.contains("nkeys.conf is there and has other keys"), "{said}");
    std::fs::remove_file(keys.join("nkeys.conf")).unwrap();
    assert_eq!(jetsaga_cli::make_keys(&keys).unwrap(), ["nkeys.conf"]);
    assert_ne!(read("nkeys.conf"), before.1);
    std::fs::write(keys.join("payment.nk"), "no seed").unwrap();
    assert!(jetsaga_cli::make_keys(&keys).is_err());
    assert_eq!(read("payment.nk"), "no seed");
}
