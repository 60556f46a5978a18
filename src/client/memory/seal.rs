//! The content of a token of the in-memory Kinesis, in a form that a client cannot read.

/// The content of a token. Only this says where reading continues, so that the same token twice gives
/// the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) kind: SealKind,
    /// Which stream this is, counted over all that were ever created.
    pub(super) incarnation: u64,
    /// The shard's index; of the page's first shard in a listing.
    pub(super) shard: u32,
    /// The lowest counter that is not read yet.
    pub(super) cursor: u64,
    /// When it was given, in milliseconds since 1970.
    pub(super) issued: i64,
    /// How often the stream's iterators had been expired by hand.
    pub(super) epoch: u32,
    /// How many empty answers were given at the shard's end.
    pub(super) empty_answers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealKind {
    Iterator,
    Page,
}

const WORDS: usize = 5;

impl Seal {
    /// Opaque text: every character depends on all of the content.
    pub(super) fn close(&self) -> String {
        let halves = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let mut words = [
            halves(self.kind as u32, self.shard),
            self.incarnation,
            self.cursor,
            self.issued as u64,
            halves(self.epoch, self.empty_answers),
        ];
        let check = checksum(&words);
        cover(&mut words, check);
        let mut bytes = [0; 8 * (WORDS + 1)];
        for (to, word) in bytes.chunks_exact_mut(8).zip([check].iter().chain(&words)) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        base64_simd::STANDARD.encode_to_string(bytes)
    }

    /// What `close` wrote; `None` for any other text, and for a token of the other kind.
    pub(super) fn open(text: &str, kind: SealKind) -> Option<Self> {
        let bytes = base64_simd::STANDARD.decode_to_vec(text).ok()?;
        if bytes.len() != 8 * (WORDS + 1) {
            return None;
        }
        let word =
            |at: usize| bytes[8 * at..][..8].iter().fold(0, |all, b| all << 8 | u64::from(*b));
        let check = word(0);
        let mut words: [u64; WORDS] = std::array::from_fn(|at| word(at + 1));
        cover(&mut words, check);
        if checksum(&words) != check || words[0] >> 32 != u64::from(kind as u32) {
            return None;
        }
        Some(Self {
            kind,
            incarnation: words[1],
            shard: words[0] as u32,
            cursor: words[2],
            issued: words[3] as i64,
            epoch: (words[4] >> 32) as u32,
            empty_answers: words[4] as u32,
        })
    }
}

fn checksum(words: &[u64; WORDS]) -> u64 {
    words.iter().fold(0x6b69_6e65_7369_7300, |sum, word| mix(sum ^ word))
}

/// Covers the words, and uncovers them again.
fn cover(words: &mut [u64; WORDS], check: u64) {
    for (at, word) in words.iter_mut().enumerate() {
        *word ^= mix(check.wrapping_add(at as u64));
    }
}

/// The finisher of SplitMix64: every bit of the result depends on every bit of `word`.
pub(super) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal {
        kind: SealKind::Iterator,
        incarnation: 3,
        shard: 7,
        cursor: 1_000,
        issued: -5,
        epoch: 2,
        empty_answers: 1,
    };

    #[test]
    fn what_was_sealed_is_read_back() {
        assert_eq!(Seal::open(&SEAL.close(), SealKind::Iterator), Some(SEAL));
    }

    #[test]
    fn other_text_and_other_kinds_are_refused() {
        let text = SEAL.close();
        assert_eq!(Seal::open(&text, SealKind::Page), None);
        for broken in ["", "shardId-000000000000", &text[4..], &text.replacen(&text[..1], "+", 1)] {
            assert_eq!(Seal::open(broken, SealKind::Iterator), None, "{broken}");
        }
    }

    #[test]
    fn neighbours_share_no_beginning() {
        let next = Seal { cursor: SEAL.cursor + 1, ..SEAL };
        assert_ne!(SEAL.close()[..8], next.close()[..8]);
    }
}
