//! The component file: its imports, its size, and whether it was built from the current sources.

use crate::support::database::repository_path;
use wasmtime::component::Component;

#[path = "../../guest/builder/src/digest.rs"]
mod digest;

fn bytes() -> Vec<u8> {
    std::fs::read(repository_path("guest/policy/component/delete-learning.wasm")).expect("the component")
}

#[test]
fn component_imports_only_identity_and_storage() {
    let engine = wasmtime::Engine::default();
    let component = Component::from_binary(&engine, &bytes()).expect("a component");
    let component = component.component_type();
    let imports: Vec<&str> = component.imports(&engine).map(|(name, _)| name).collect();
    let contract =
        ["learnings:plugin/types@0.1.0", "learnings:plugin/identity@0.1.0", "learnings:plugin/storage@0.1.0"];
    // `types` has no functions, so the component does not have to import it.
    assert!(imports.iter().all(|name| contract.contains(name)), "{imports:?}");
    assert!(contract[1..].iter().all(|name| imports.contains(name)), "{imports:?}");
    let exports: Vec<&str> = component.exports(&engine).map(|(name, _)| name).collect();
    assert_eq!(exports, ["delete-learning"]);
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

#[test]
fn component_was_built_from_the_current_sources() {
    let bytes = bytes();
    let expected = digest::of_sources(&repository_path("")).expect("the sources can be read");
    let name = digest::SECTION.as_bytes();
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the section exists") + name.len();
    let built_from = std::str::from_utf8(&bytes[at..at + expected.len()]).expect("hexadecimal digits");
    assert_eq!(built_from, expected, "the component is older than its sources; run `cargo run -p component-builder`");
}
