//! A network that behaves as badly as networks may, and the moments at which nodes die: choices
//! only, each from one seed. Who carries the messages asks it what becomes of them.
//!
//! A request may be lost, or its answer; it may come again, or late, when who sent it has given it
//! up. Order follows from who is chosen next among all that are under way.

use crate::dice::Dice;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and so does its answer.
    Delivered,
    /// Nobody gets it.
    Lost,
    /// It arrives, and who sent it never learns so.
    AnswerLost,
    /// It arrives, and once more some time later.
    Twice,
    /// Who sent it hears nothing, and it arrives some time later.
    Late,
}

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It is killed between two things that it does; what the kernel has taken stays.
    Killed,
    /// Its power goes, so many steps of its disk into what it does next.
    PowerCut(u64),
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The fate of that one of the requests that are under way.
    Request(usize),
    /// So many seconds pass.
    Time(u64),
    /// That node dies, and is away for so many of these.
    Death(usize, Death, usize),
}

/// How long nothing may happen, in seconds; the shorter, the likelier.
const PAUSES: [u64; 6] = [1, 1, 35, 601, 3_601, 86_401];

/// The weather over a network of two nodes.
#[derive(Debug, Clone)]
pub struct Weather {
    dice: Dice,
    /// One request in so many meets with something.
    harm: usize,
    /// One choice in so many is a death; none when that is 0.
    deaths: usize,
    fair: bool,
}

impl Weather {
    /// From that seed: some are mild, some are harsh, and in some nobody dies.
    #[must_use]
    pub fn new(seed: u64) -> Weather {
        let mut dice = Dice::new(seed);
        let harm = 1 + dice.below(4);
        let deaths = if dice.one_in(3) { 0 } else { 6 + dice.below(20) };
        Weather { dice, harm, deaths, fair: false }
    }

    /// Whether nobody dies in it.
    #[must_use]
    pub fn is_mild(&self) -> bool {
        self.deaths == 0
    }

    /// From now on everything arrives and nobody dies; order stays as it comes.
    pub fn clear_up(&mut self) {
        self.fair = true;
    }

    /// What happens next, with so many requests under way.
    pub fn next(&mut self, under_way: usize) -> Next {
        if self.fair {
            return match under_way {
                0 => Next::Time(3_601),
                _ => Next::Request(self.dice.below(under_way)),
            };
        }
        if self.deaths > 0 && self.dice.one_in(self.deaths) {
            let cut = Death::PowerCut(self.dice.roll() % 4);
            let death = if self.dice.one_in(3) { Death::Killed } else { cut };
            return Next::Death(self.dice.below(2), death, self.dice.below(6));
        }
        match under_way {
            0 => self.pause(),
            _ if self.dice.one_in(8) => self.pause(),
            _ => Next::Request(self.dice.below(under_way)),
        }
    }

    fn pause(&mut self) -> Next {
        // The smaller of two, so that a day is rare.
        let at = self.dice.below(PAUSES.len()).min(self.dice.below(PAUSES.len()));
        Next::Time(PAUSES.get(at).copied().unwrap_or(1))
    }

    /// What becomes of a request.
    pub fn fate(&mut self) -> Fate {
        if self.fair || !self.dice.one_in(self.harm) {
            return Fate::Delivered;
        }
        match self.dice.below(5) {
            0 => Fate::Delivered,
            1 => Fate::Lost,
            2 => Fate::AnswerLost,
            3 => Fate::Twice,
            _ => Fate::Late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Next, Weather};

    #[test]
    fn one_seed_is_one_weather_and_it_clears_up() {
        let run = |seed: u64| {
            let mut weather = Weather::new(seed);
            (0..200).map(|n| (weather.next(n % 3), weather.fate())).collect::<Vec<_>>()
        };
        let fates = |seed: u64| run(seed).into_iter().map(|(_, fate)| fate).collect::<Vec<_>>();
        for seed in 0..50 {
            assert_eq!(run(seed), run(seed), "{seed}");
            assert_ne!(run(seed), run(seed + 1), "{seed}");
            assert!(fates(seed).iter().any(|fate| *fate != Fate::Delivered), "{seed}");
            let mut weather = Weather::new(seed);
            weather.clear_up();
            assert_eq!((weather.next(0), weather.fate()), (Next::Time(3_601), Fate::Delivered));
            assert!(matches!(weather.next(3), Next::Request(0..=2)), "{seed}");
        }
    }
}
