//! Vectors as they are kept from one run to the next: the values, and a checksum of 48 bits over the scope, the key and
//! the values, as two whole numbers that every store of floats keeps exactly.

use crate::format::sha256;

/// Values of the checksum.
pub(super) const CHECKSUM: usize = 2;

/// The name under which the vector of `text` is kept, in 64 hexadecimal digits. The token ids are in it, so that whatever
/// makes other ids of a text (tokenizer, template, begin and end tokens, a limit) makes another name.
pub(super) fn key(text: &str, ids: &[u32]) -> String {
    let ids: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    crate::format::hex(&sha256(&[text.as_bytes(), b"\0", &ids]))
}

/// `vector` with its checksum behind it.
pub(super) fn sealed(scope: &str, key: &str, mut vector: Vec<f32>) -> Vec<f32> {
    let checksum = checksum(scope, key, &vector);
    vector.extend(checksum);
    vector
}

/// The vector in `stored`, if it has not changed since it was [`sealed`].
pub(super) fn opened<'a>(scope: &str, key: &str, stored: &'a [f32]) -> Option<&'a [f32]> {
    let (vector, found) = stored.split_at_checked(stored.len().checked_sub(CHECKSUM)?)?;
    (found == checksum(scope, key, vector)).then_some(vector)
}

fn checksum(scope: &str, key: &str, vector: &[f32]) -> [f32; CHECKSUM] {
    let values: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let digest = sha256(&[scope.as_bytes(), key.as_bytes(), &values]);
    let number = |at: usize| u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], 0]) as f32;
    [number(0), number(3)]
}

#[cfg(test)]
mod tests {
    use super::{key, opened, sealed};

    #[test]
    fn what_has_changed_is_not_opened() {
        let vector = vec![0.6, -0.8, 0.0];
        let (scope, key) = ("s", key("a red cube", &[1, 2]));
        let stored = sealed(scope, &key, vector.clone());
        assert_eq!(opened(scope, &key, &stored), Some(&vector[..]));
        for at in 0..stored.len() {
            for bit in [0, 7, 22, 31] {
                let mut damaged = stored.clone();
                damaged[at] = f32::from_bits(damaged[at].to_bits() ^ 1 << bit);
                assert_eq!(opened(scope, &key, &damaged), None, "value {at}, bit {bit}");
            }
        }
        assert_eq!(opened("t", &key, &stored), None);
        assert_eq!(opened(scope, &super::key("a red cube", &[1, 3]), &stored), None);
        assert_eq!(opened(scope, &key, &stored[1..]), None);
        assert_eq!(opened(scope, &key, &[]), None);
    }
}
