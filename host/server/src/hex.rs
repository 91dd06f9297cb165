//! Lower-case hexadecimal digits.

/// The hexadecimal digits of these bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    write_hex(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

/// The hexadecimal digits of these bytes. `N` is twice their number.
pub(crate) fn hex_digits<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut digits = [0; N];
    write_hex(bytes, &mut digits);
    digits
}

fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::{hex, hex_digits};

    #[test]
    fn every_byte_has_its_two_digits() {
        for byte in 0..=u8::MAX {
            let expected = format!("{byte:02x}");
            assert_eq!(hex_digits::<2>(&[byte]), *expected.as_bytes());
            assert_eq!(hex(&[byte, 0]), format!("{expected}00"));
        }
        assert_eq!(hex(&[]), "");
    }
}
