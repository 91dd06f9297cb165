//! A Rego policy, compiled once, that decides on inputs in JSON.

use std::cell::RefCell;


const POLICY: &str = include_str!("../../learnings.rego");

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static POLICY_COMPILED: regorus::CompiledPolicy = {
        let mut engine = regorus::Engine::new();
        engine.add_policy("learnings.rego".to_owned(), POLICY.to_owned()).expect("a valid policy");
        engine.compile_with_entrypoint(&"data.learnings.allow".into()).expect("a valid entry point")
    };
}

/// Makes room for an input of this many bytes, and returns its address.
#[unsafe(no_mangle)]
pub extern "C" fn input(bytes: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.resize(bytes, 0);
        input.as_mut_ptr()
    })
}

/// Decides on the input: 1 if it is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn allowed() -> u32 {
    INPUT.with_borrow(|input| {
        let text = std::str::from_utf8(input).expect("text");
        let value = regorus::Value::from_json_str(text).expect("JSON");
        let answer = POLICY_COMPILED.with(|policy| policy.eval_with_input(value)).expect("an answer");
        u32::from(answer == regorus::Value::from(true))
    })
}

/// The random numbers of hash maps. A benchmark needs no unpredictable ones.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(destination: *mut u8, bytes: usize) -> Result<(), getrandom::Error> {
    // SAFETY: the caller passes a destination of this many bytes.
    unsafe { std::ptr::write_bytes(destination, 7, bytes) };
    Ok(())
}
