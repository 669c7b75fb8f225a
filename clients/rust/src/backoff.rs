use std::time::Duration;

const MIN_MS: f64 = 50.0;
const MAX_MS: f64 = 2_000.0;

/// Waits between attempts that grow, with jitter: half to full of 50 ms, 100 ms … up to 2 s.
#[derive(Default)]
pub(crate) struct Backoff {
    attempt: u32,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        let full = (MIN_MS * f64::from(1u32 << self.attempt.min(16))).min(MAX_MS);
        self.attempt += 1;
        let jitter = (crate::ids::random() >> 11) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64(full * (0.5 + jitter / 2.0) / 1_000.0)
    }

    /// It worked: the next wait is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_jitter_to_the_maximum_and_begins_anew() {
        let mut backoff = Backoff::default();
        for full in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let wait = backoff.next();
            assert!(wait >= Duration::from_millis(full / 2) && wait <= Duration::from_millis(full));
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(50));
    }
}
