//! CPU time and wind rows for the benches. CPU time is read from Linux's `/proc`, so that no bench
//! needs unsafe code for `getrusage`.
#![allow(dead_code, reason = "no bench uses all of it")]

use serde_json::{Value, json};
use std::time::Duration;
use twinpact_model::Timestamp;

/// That of the program.
#[global_allocator]
static ALLOCATOR: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

/// The turbine model of the examples: seven attributes.
pub(crate) const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");

/// Microseconds between two rows of a turbine: ten minutes.
const STEP: i64 = 600_000_000;
/// 2015-07-01T00:00:00Z in microseconds.
const FIRST: i64 = 1_435_708_800_000_000;

/// CPU time of this thread, in user and kernel mode. Linux counts it exactly, but brings the count
/// up to date only when it schedules; to yield makes it do so.
pub(crate) fn thread_cpu() -> Duration {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// CPU time of all threads of this process, ended ones included, in user and kernel mode, to 10 ms:
/// Linux shows hundredths of a second on every architecture that we build for.
pub(crate) fn process_cpu() -> Duration {
    cpu_of("self")
}

/// The same of the process with that id.
pub(crate) fn cpu_of(process: &str) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The second field is the program's name, in brackets, and may contain blanks.
    let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    // utime and stime are fields 14 and 15; the first of `fields` is field 3.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// How much of this process is in memory, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The body of `POST /ingest` with rows `from..from + rows` of four turbines. A row says seven
/// values with two to three decimals, as the turbines of the demo do.
pub(crate) fn body(from: usize, rows: usize) -> Vec<u8> {
    let observations: Vec<Value> = (from..from + rows).map(observation).collect();
    let batch = json!({
        "source": "urn:source:bench",
        "model": "wind-turbine@1",
        "observations": observations,
    });
    batch.to_string().into_bytes()
}

fn observation(row: usize) -> Value {
    let number = i64::try_from(row).unwrap();
    let (turbine, time) = (number % 4, Timestamp::from_micros(FIRST + number / 4 * STEP));
    // Digits that differ from row to row: a multiplicative hash (Knuth, TAOCP 6.4).
    let digits = u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let value = |shift: u64, below: u64, decimals: u32| {
        let unit = 10u64.pow(decimals);
        let drawn = (digits >> shift) % (below * unit);
        format!("{}.{:0width$}", drawn / unit, drawn % unit, width = decimals as usize)
    };
    json!({
        "id": format!("[\"R8071{turbine}\",\"{time}\"]"),
        "twin": format!("urn:turbine:R8071{turbine}"),
        "time": time.to_string(),
        "values": {
            "pitch": value(0, 90, 2),
            "power": value(3, 2000, 3),
            "wind_speed": value(5, 30, 3),
            "vane": value(7, 90, 2),
            "outdoor_temperature": value(11, 30, 2),
            "nacelle": value(13, 359, 2),
            "wind_direction": value(17, 359, 2),
        },
    })
}

/// The smallest of these times that `percent` of them do not exceed (nearest rank).
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}
