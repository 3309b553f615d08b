//! What the documents show is what the repository has.

use std::fs;

/// The worked example in the README is the compiled one, and fits sixty lines.
#[test]
fn the_readme_shows_the_compiled_example() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let example = fs::read_to_string(format!("{root}/shared/jetsaga/examples/trip.rs")).unwrap();
    let readme = fs::read_to_string(format!("{root}/README.md")).unwrap();
    assert!(
        readme.contains(&format!("```rust\n{example}```")),
        "README.md shows another trip.rs"
    );
    assert!(example.lines().count() <= 60);
}

/// The AsyncAPI document and the JSON Schemas are what the code says; `jetsaga contract --write docs` makes them anew.
#[test]
fn the_contract_is_what_the_code_says() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let documents = jetsaga_cli::contract_documents().unwrap();
    for (name, text) in &documents {
        let kept = fs::read_to_string(format!("{root}/{name}")).unwrap_or_default();
        assert!(
            kept == *text,
            "docs/{name} is not what the code says; run `jetsaga contract --write docs`"
        );
    }
    let files = fs::read_dir(format!("{root}/events")).unwrap().count();
    assert_eq!(
        files + 1,
        documents.len(),
        "a document of an event that is no more"
    );
}

/// The documented order is the one in the file that the demo places.
#[test]
fn the_documented_order_is_accepted_as_it_stands() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = fs::read(format!("{root}/deploy/seed/order.json")).unwrap();
    let event: saga::Event<()> = serde_json::from_slice(&text).unwrap();
    let order = checkout::order::accept(&event.payload).unwrap();
    assert_eq!(order.total_amount.to_string(), "75.50");
}
