//! Assembles the text of a component into its binary.

/// The parts that components share, by the name in an `;; include` line.
const PARTS: [(&str, &str); 15] = [
    ("imports", include_str!("parts/imports.wat")),
    ("memory", include_str!("parts/memory.wat")),
    ("host", include_str!("parts/host.wat")),
    ("core", include_str!("parts/core.wat")),
    ("export", include_str!("parts/export.wat")),
    ("lift", include_str!("parts/lift.wat")),
    ("guard", include_str!("parts/guard.wat")),
    ("guard-reads", include_str!("parts/guard-reads.wat")),
    ("guard-deletes", include_str!("parts/guard-deletes.wat")),
    ("guard-other-deletes", include_str!("parts/guard-other-deletes.wat")),
    ("guard-export", include_str!("parts/guard-export.wat")),
    ("guard-lift", include_str!("parts/guard-lift.wat")),
    ("wasi", include_str!("parts/wasi.wat")),
    ("wasi-streams", include_str!("parts/wasi-streams.wat")),
    ("wasi-clocks", include_str!("parts/wasi-clocks.wat")),
];

/// Replaces every `;; include` line by the part that it names.
fn expand(text: &str) -> String {
    let mut expanded = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix(";; include ") {
            Some(name) => {
                let (_, part) = PARTS.iter().find(|(part, _)| *part == name).expect("a part with this name");
                expanded.push_str(&expand(part));
            }
            None => expanded.push_str(line),
        }
        expanded.push('\n');
    }
    expanded
}

/// Assembles a component or a core module.
pub fn bytes(text: &str) -> Vec<u8> {
    let text = expand(text);
    wat::parse_str(&text).unwrap_or_else(|error| {
        let numbered = text.lines().enumerate().map(|(at, line)| format!("{:4} {line}\n", at + 1)).collect::<String>();
        panic!("{error}\n{numbered}")
    })
}
