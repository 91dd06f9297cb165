//! The component files: imports, sizes, and whether they were built from the current sources.

use crate::malicious_policies::text;
use crate::support::database::repository_path;
use delete_learning::Limits;
use wasmtime::component::Component;

#[path = "../../guest/builder/src/digest.rs"]
mod digest;

fn bytes() -> Vec<u8> {
    std::fs::read(repository_path("guest/policy/component/delete-learning.wasm")).expect("the component")
}

#[test]
fn components_import_only_what_they_call() {
    const IDENTITY: &str = "learnings:plugin/identity@0.1.0";
    const STORAGE: &str = "learnings:plugin/storage@0.1.0";
    const SETTINGS: &str = "wasi:config/store@0.2.0-rc.1";
    const CLOCK: &str = "wasi:clocks/wall-clock@0.2.12";
    for (file, export, expected) in [
        ("guest/policy/component/delete-learning.wasm", "delete-learning", &[IDENTITY, STORAGE][..]),
        ("guest/examples/legal-hold/component/legal-hold.wasm", STORAGE, &[IDENTITY, STORAGE, SETTINGS]),
        ("guest/examples/retention/component/retention.wasm", STORAGE, &[IDENTITY, STORAGE, CLOCK, SETTINGS]),
    ] {
        let engine = wasmtime::Engine::default();
        let component = Component::from_file(&engine, repository_path(file)).expect("a component").component_type();
        // `types` has no functions, so the component does not have to import it.
        let mut imports: Vec<&str> = component.imports(&engine).map(|(name, _)| name).collect();
        imports.retain(|name| *name != "learnings:plugin/types@0.1.0");
        imports.sort_unstable();
        assert_eq!(imports, expected, "{file}");
        let exports: Vec<&str> = component.exports(&engine).map(|(name, _)| name).collect();
        assert_eq!(exports, [export], "{file}");
    }
}

#[test]
fn component_has_at_most_32_kib() {
    let size = bytes().len();
    println!("the component has {size} bytes; the maximum is 32768");
    assert!(size <= 32 * 1024, "{size}");
}

#[test]
fn component_has_one_memory_and_one_table() {
    let component = Component::from_binary(&wasmtime::Engine::default(), &bytes()).expect("a component");
    let needs = component.resources_required().expect("no imported modules");
    assert_eq!((needs.num_memories, needs.num_tables), (1, 1), "each is initialized and reset for every request");
}

/// The crates whose components are checked in, with their components.
const CHECKED_IN: [(&str, &str); 3] = [
    ("guest/policy", "component/delete-learning.wasm"),
    ("guest/examples/legal-hold", "component/legal-hold.wasm"),
    ("guest/examples/retention", "component/retention.wasm"),
];

#[test]
fn components_were_built_from_the_current_sources() {
    for (directory, component) in CHECKED_IN {
        let directory = repository_path(directory);
        let bytes = std::fs::read(directory.join(component)).expect("the component");
        let expected = digest::of_sources(&repository_path(""), &directory).expect("the sources can be read");
        let name = digest::SECTION.as_bytes();
        let at = bytes.windows(name.len()).position(|window| window == name).expect("the section exists") + name.len();
        let built_from = std::str::from_utf8(&bytes[at..at + expected.len()]).expect("hexadecimal digits");
        assert_eq!(built_from, expected, "{component} is older than its sources; run `cargo run -p component-builder`");
    }
}

#[test]
fn components_have_the_metadata_of_their_crates() {
    for (directory, component) in CHECKED_IN {
        let directory = repository_path(directory);
        let bytes = std::fs::read(directory.join(component)).expect("the component");
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).expect("the manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let value = |key: &str| manifest["package"][key].as_str().expect("text").to_owned();
        // A custom section is the length of its name, its name, and its content.
        for (section, content) in [
            ("component-name", value("name")),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("licenses", env!("CARGO_PKG_LICENSE").to_owned()),
            ("description", value("description")),
        ] {
            let start = [&[u8::try_from(section.len()).expect("short")], section.as_bytes()].concat();
            let at = bytes.windows(start.len()).rposition(|window| window == start).expect(section) + start.len();
            let found = bytes[at..].windows(content.len()).take(8).any(|window| window == content.as_bytes());
            assert!(found, "{component}: {section} is not {content:?}");
        }
    }
}

#[test]
fn description_has_only_what_the_component_itself_imports_and_exports() {
    let bytes = text::bytes(
        r#"(component
            (import "a" (func $a))
            (core module $m)
            (component
                (import "b" (func $b))
                (component (import "c" (func)))
                (core module $n)
                (core instance (instantiate $n))
                (export "d" (func $b)))
            (import "e" (func))
            (core instance (instantiate $m))
            (export "f" (func $a)))"#,
    );
    let description = delete_learning::describe(&bytes, &Limits::default()).expect("a component");
    assert_eq!(
        (description.imports, description.exports),
        (vec!["a".to_owned(), "e".to_owned()], vec!["f".to_owned()])
    );
    assert_eq!(description.core_instances, 1);
}
