//! From the text of a hostile component to its bytes.

/// What the components have in common, by the names that `;; include` lines call them.
const PARTS: [(&str, &str); 9] = [
    ("imports", include_str!("parts/imports.wat")),
    ("memory", include_str!("parts/memory.wat")),
    ("host", include_str!("parts/host.wat")),
    ("core", include_str!("parts/core.wat")),
    ("export", include_str!("parts/export.wat")),
    ("lift", include_str!("parts/lift.wat")),
    ("wasi", include_str!("parts/wasi.wat")),
    ("wasi-streams", include_str!("parts/wasi-streams.wat")),
    ("wasi-clocks", include_str!("parts/wasi-clocks.wat")),
];

/// The text with every `;; include` line replaced by the part that it names.
fn complete(text: &str) -> String {
    let mut complete = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix(";; include ") {
            Some(name) => {
                let (_, part) = PARTS.iter().find(|(part, _)| *part == name).expect("a part of this name");
                complete.push_str(&self::complete(part));
            }
            None => complete.push_str(line),
        }
        complete.push('\n');
    }
    complete
}

/// The bytes of a component (or core module) in text.
pub fn bytes(text: &str) -> Vec<u8> {
    let text = complete(text);
    wat::parse_str(&text).unwrap_or_else(|error| {
        let numbered = text.lines().enumerate().map(|(at, line)| format!("{:4} {line}\n", at + 1)).collect::<String>();
        panic!("{error}\n{numbered}")
    })
}
