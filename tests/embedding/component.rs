//! The component file: what it imports, how large it is, and that it was built from these sources.

use crate::support::database::project;
use wasmtime::component::Component;

#[path = "../../guest/builder/src/digest.rs"]
mod digest;

fn bytes() -> Vec<u8> {
    std::fs::read(project("guest/policy/component/delete-learning.wasm")).expect("the component")
}

#[test]
fn it_imports_identity_and_storage_and_nothing_else() {
    let engine = wasmtime::Engine::default();
    let component = Component::from_binary(&engine, &bytes()).expect("a component");
    let component = component.component_type();
    let imports: Vec<&str> = component.imports(&engine).map(|(name, _)| name).collect();
    let contract =
        ["learnings:plugin/types@0.1.0", "learnings:plugin/identity@0.1.0", "learnings:plugin/storage@0.1.0"];
    // `types` holds types alone: there is nothing in it to call.
    assert!(imports.iter().all(|name| contract.contains(name)), "{imports:?}");
    assert!(contract[1..].iter().all(|name| imports.contains(name)), "{imports:?}");
    let exports: Vec<&str> = component.exports(&engine).map(|(name, _)| name).collect();
    assert_eq!(exports, ["delete-learning"]);
}

#[test]
fn it_is_small() {
    let size = bytes().len();
    println!("the component has {size} bytes of the 32768 that it may have");
    assert!(size <= 32 * 1024, "{size}");
}

#[test]
fn an_instance_of_it_has_one_memory_and_the_one_table_that_ties_its_imports() {
    let component = Component::from_binary(&wasmtime::Engine::default(), &bytes()).expect("a component");
    let needs = component.resources_required().expect("it imports no modules");
    assert_eq!((needs.num_memories, needs.num_tables), (1, 1), "each is set up and reset for every request");
}

#[test]
fn it_was_built_from_the_sources_that_are_here() {
    let bytes = bytes();
    let expected = digest::of_sources(&project("")).expect("the sources can be read");
    let name = digest::SECTION.as_bytes();
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the section is there") + name.len();
    let built_from = std::str::from_utf8(&bytes[at..at + expected.len()]).expect("hexadecimal digits");
    assert_eq!(
        built_from, expected,
        "the component is older than its sources; `cargo run -p component-builder` builds it anew"
    );
}
