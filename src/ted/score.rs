//! From the scores of an item's statements to a prediction.

/// The index of the highest score; of equal ones the first, as in the reference.
pub fn predict(scores: &[f32]) -> usize {
    let better = |best, i| if scores[i] > scores[best] { i } else { best };
    (0..scores.len()).fold(0, better)
}

/// Whether several statements share the highest score exactly.
pub(crate) fn is_tie(scores: &[f32]) -> bool {
    let highest = scores.get(predict(scores));
    scores.iter().filter(|score| Some(*score) == highest).count() > 1
}

/// The letter of an option: A for 0, H for 7, the last an item can have.
pub fn letter(option: usize) -> String {
    char::from(b'A' + option as u8).to_string()
}
