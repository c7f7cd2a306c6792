//! Ten places in the world and how far apart they are.

use decube_core::types::Span;

/// The places, in the order in which validators settle: the first few of them are
/// far apart already.
pub const REGIONS: [&str; 10] = [
    "Dallas",
    "Frankfurt",
    "Tokyo",
    "Sao Paulo",
    "Sydney",
    "London",
    "Washington",
    "Osaka",
    "Toronto",
    "Madrid",
];

/// Round trips in milliseconds: averages of 27 July to 25 August 2024 as IBM Cloud
/// published them for its regions (repository `ibm-cloud-docs/vpc`, "Network latency
/// dashboards"). Where the two directions differ, that of the upper triangle there.
const ROUND_TRIPS: [[u64; 10]; 10] = [
    [0, 123, 143, 146, 186, 113, 31, 150, 34, 119],
    [123, 0, 233, 198, 250, 13, 91, 232, 93, 29],
    [143, 233, 0, 284, 115, 243, 164, 9, 162, 258],
    [146, 198, 284, 0, 328, 188, 118, 293, 129, 209],
    [186, 250, 115, 328, 0, 261, 214, 122, 215, 275],
    [113, 13, 243, 188, 261, 0, 75, 244, 82, 27],
    [31, 91, 164, 118, 214, 75, 0, 172, 19, 87],
    [150, 232, 9, 293, 122, 244, 172, 0, 168, 257],
    [34, 93, 162, 129, 215, 82, 19, 168, 0, 108],
    [119, 29, 258, 209, 275, 27, 87, 257, 108, 0],
];

/// Between two data centres of one region: about a millisecond, of the same source.
const WITHIN_REGION: Span = Span::from_micros(1_000);

/// How long a message takes from one validator to another, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Everywhere the same.
    Uniform(Span),
    /// Validators settle in the ten regions in turn; half of the round trip.
    World,
}

impl Distance {
    /// The time that a message takes.
    pub fn between(self, from: usize, to: usize) -> Span {
        match self {
            _ if from == to => Span::ZERO,
            Self::Uniform(span) => span,
            Self::World => {
                let (from, to) = (from % REGIONS.len(), to % REGIONS.len());
                if from == to {
                    return WITHIN_REGION;
                }
                Span::from_micros(ROUND_TRIPS[from][to] * 500)
            }
        }
    }

    /// The mean over all ordered pairs of different validators.
    pub fn mean(self, count: usize) -> Span {
        assert!(count > 1, "a distance needs two");
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let sum: u64 = pairs.map(|(from, to)| self.between(from, to).0).sum();
        let pairs = count * (count - 1);
        Span(sum / u64::try_from(pairs).expect("a small number"))
    }
}
